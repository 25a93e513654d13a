"""The access log's lines, and how many of them are written."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from podium_serving.exchange import Answer, Fallback, InferRequest
from podium_serving.observation.allowance import Allowance
from podium_serving.observation.lines import MOST_LINE_BYTES, chunks, left_out_line, line_of
from podium_serving.observation.seen import HTTP, Seen, route_of
from podium_serving.observation.trace_context import Trace

AT = datetime(2026, 11, 21, 12, 0, 0, 123_000, tzinfo=UTC)


def seen(**changes: Any) -> Seen:
    made: dict[str, Any] = {
        "protocol": HTTP,
        "method": "POST",
        "path": "/v2/models/churn/infer",
        "status": 200,
        "admitted_at": 10.0,
        "ended_at": 10.0025,
    }
    return Seen(**(made | changes))


def test_a_line_says_what_was_asked_who_answered_and_how_long_it_took() -> None:
    request = InferRequest({}, 3, admitted_at=10.0, deadline=11.0, request_id="r-1")
    answer = Answer(
        "churn-4", "sha256:1", 7, columns={}, arm_assigned="boosting", fallback=Fallback.TIMEOUT, queue_seconds=0.0001
    )
    answer.inference_seconds, answer.forward_seconds = 0.0002, 0.001
    trace = Trace("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    known = {"request_id": "r-1", "model": "churn", "caller": "app", "bytes_in": 99, "bytes_out": 77}
    line = line_of(seen(request=request, answer=answer, trace=trace, **known), AT)
    assert json.loads(line) == {
        "time": "2026-11-21T12:00:00.123000Z",
        "protocol": "HTTP",
        "method": "POST",
        "status": 200,
        "duration_ms": 2.5,
        "path": "/v2/models/churn/infer",
        "model": "churn",
        "version": "churn-4",
        "arm": "champion",
        "fallback": "Timeout",
        "rows": 3,
        "bytes_in": 99,
        "bytes_out": 77,
        "queue_ms": 0.1,
        "inference_ms": 0.2,
        "forward_ms": 1.0,
        "request_id": "r-1",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "caller": "app",
    }
    assert line.endswith(b"}\n")


@pytest.mark.parametrize("character", ["\x00", "\n", '"', "\U0001f600", "é", "a"])
def test_no_client_can_make_a_line_too_long_or_into_two(character: str) -> None:
    text = character * 100_000
    line = line_of(seen(path=text, request_id=text, reason="InvalidRequest", caller=character * 128, status=400), AT)
    assert len(line) <= MOST_LINE_BYTES
    assert line.count(b"\n") == 1
    assert json.loads(line)["status"] == 400


def test_writes_hold_whole_lines() -> None:
    lines = [b"x" * size + b"\n" for size in (10, 4000, 90, 4095, 1, 1, 2000, 2000, 2000)]
    joined = chunks(lines)
    assert b"".join(joined) == b"".join(lines)
    assert [len(chunk) for chunk in joined] == [4012, 91, 4096, 4006, 2001]
    assert chunks([]) == []


def test_so_many_failures_per_second_and_the_rest_is_counted() -> None:
    allowance = Allowance(3)
    assert [allowance.take(5.0 + turn / 10) for turn in range(5)] == [True, True, True, False, False]
    assert allowance.left_out(5.9) == 0, "the second is not over"
    assert allowance.take(6.1)
    assert (allowance.left_out(7.0), allowance.left_out(7.0)) == (2, 0)
    assert json.loads(left_out_line(2, AT))["left_out"] == 2


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v2/models/churn/infer", "/v2/models/{model}/infer"),
        ("/v2/models/churn/versions/churn-3/infer", "/v2/models/{model}/versions/{version}/infer"),
        ("/v1/models/churn:predict", "/v1/models/{model}:predict"),
        ("/score", "/score"),
        ("/models/churn/score", "/models/{model}/score"),
        ("/v2/models", "/v2/models"),
        ("/v2/models/", "/v2/models/{model}"),
        ("/", "/"),
    ],
)
def test_a_route_has_names_for_what_varies(path: str, route: str) -> None:
    assert route_of(path) == route
