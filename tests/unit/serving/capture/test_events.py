"""Events of captured predictions: CloudEvents 1.0 that the cloudevents library reads, one per row."""

import json
from typing import Any

import numpy as np
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat

from podium_crds.plan import PlannedSticky
from podium_serving.capture.events import CapturedPrediction, CapturedShadow
from podium_serving.capture.texts import PlanText, RowWriter, rfc3339
from podium_serving.exchange import Answer, Columns, Fallback, InferRequest
from podium_serving.oip.rows import RunTexts
from podium_serving.traffic.mirror import Shadowed
from traffic_fixtures import plan, request, route

AT = 1_800_000_000.25


def captured(asked: InferRequest, columns: Any, sticky: PlannedSticky | None = None) -> CapturedPrediction:
    answer = Answer("churn-3", "sha256:3", 7, columns, arm_assigned="neural-net", fallback=Fallback.TIMEOUT)
    return CapturedPrediction(b"e", AT, PlanText(plan(sticky=sticky)), asked, answer, 0.0123456789)


def scores(*values: float) -> dict[str, Any]:
    return {"score": np.array([[value] for value in values], dtype=np.float64)}


def test_a_row_is_an_event_with_everything_that_the_architecture_page_names() -> None:
    events = captured(request((1, 2), (3, float("nan"))), scores(3, 4)).events(0, 2)
    assert json.loads(events[1]) == {
        "specversion": "1.0",
        "id": "e-1",
        "source": "/namespaces/shop/modeldeployments/churn",
        "type": "dev.podium.prediction.v1",
        "time": "2027-01-15T08:00:00.250Z",
        "datacontenttype": "application/json",
        "data": {
            "request_id": "request-1",
            "row": 1,
            "join_key": "request-1",
            "arm_assigned": "neural-net",
            "arm_answered": "champion",
            "fallback": "Timeout",
            "epoch": 7,
            "version": "churn-3",
            "digest": "sha256:3",
            "inputs": {"x0": 3.0, "x1": None},
            "outputs": {"score": 4.0},
            "latency_seconds": 0.012346,
        },
    }


def test_the_cloudevents_library_reads_them() -> None:
    for text in captured(request((1, 2)), scores(3)).events(0, 1):
        headers = {"content-type": "application/cloudevents+json"}
        event = from_structured_event(HTTPMessage(headers, text), JSONFormat())
        assert event.get_id() == "e-0"
        assert event.get_type() == "dev.podium.prediction.v1"


def test_a_slice_of_rows_has_the_same_events_as_all_of_them() -> None:
    rows = tuple((float(row), 0.0) for row in range(10))
    whole = captured(request(*rows), scores(*range(10)))
    assert whole.events(0, 4) + whole.events(4, 10) == whole.events(0, 10)


def test_wide_tensors_and_bytes_keep_their_form() -> None:
    asked = request((1, 2))
    asked.columns = {
        "wide": np.arange(4, dtype=np.int64).reshape(1, 2, 2),
        "text": np.array([["é"]], dtype=object),
        "raw": np.array([[b"\xff"]], dtype=object),
        "yes": np.array([[True]]),
    }
    inputs = json.loads(captured(asked, {}).events(0, 1)[0])["data"]["inputs"]
    assert inputs == {"wide": [[0, 1], [2, 3]], "text": "é", "raw": {"base64": "/w=="}, "yes": True}


@pytest.mark.parametrize(
    ("sticky", "keys"),
    [
        pytest.param(PlannedSticky(type="Input", name="x0"), ["1", "3"], id="each-rows-input"),
        pytest.param(PlannedSticky(type="Input", name="other"), ["request-1"] * 2, id="an-input-that-is-not-there"),
        pytest.param(PlannedSticky(type="Header", name="X-Customer"), ["Zoë"] * 2, id="header"),
        pytest.param(PlannedSticky(), ["request-1"] * 2, id="request"),
    ],
)
def test_rows_are_joined_by_the_sticky_key_or_the_request_id(sticky: PlannedSticky, keys: list[str]) -> None:
    asked = request((1, 2), (3, 4), headers={"x-customer": "Zoë".encode().decode("latin-1")})
    events = captured(asked, scores(1, 2), sticky).events(0, 2)
    assert [json.loads(event)["data"]["join_key"] for event in events] == keys


def test_a_shadows_event_names_the_prediction_it_belongs_to() -> None:
    shadow = CapturedShadow(b"e", AT, PlanText(plan()), route("boosting", "host", mode="Shadow"), 2, Shadowed(scores(1, 2)))
    event = json.loads(shadow.events(1, 2)[0])
    assert (event["id"], event["type"]) == ("e-1-boosting", "dev.podium.shadow.v1")
    digest = route("boosting", "host").version.digest
    assert event["data"] == {
        "prediction_id": "e-1",
        "version": "boosting-1",
        "digest": digest,
        "outputs": {"score": 2.0},
        "error": "",
    }


def test_a_shadow_that_failed_says_why() -> None:
    shadow = CapturedShadow(
        b"e", AT, PlanText(plan()), route("boosting", "host", mode="Shadow"), 1, Shadowed(None, "Timeout: slow")
    )
    content = json.loads(shadow.events(0, 1)[0])["data"]
    assert (content["outputs"], content["error"]) == (None, "Timeout: slow")


RUN: Columns = {
    "label": np.array([1, 0, 2], np.int64),
    "probabilities": np.array([[0.1, 0.9], [np.nan, np.inf], [1e-9, 3e20]], np.float32),
    "score": np.array([[0.5], [1.5], [2.5]], np.float64),
    "half": np.array([[0.1], [0.2], [0.3]], np.float16),
    "name": np.array([["é"], [b"\xff"], ["a,b"]], object),
    "cube": np.arange(12, dtype=np.int32).reshape(3, 2, 2),
}


def test_a_row_of_a_joined_run_is_written_as_if_it_had_run_alone() -> None:
    writer, texts = RowWriter(RUN), RunTexts(RUN)
    whole = writer.rows(RUN, 0, 3)
    for row in range(3):
        alone = {name: column[row : row + 1] for name, column in RUN.items()}
        assert writer.row_of(alone, texts, row) == writer.one_row(alone) == whole[row]
    plain = {name: column for name, column in RUN.items() if name not in ("half", "name")}
    writer, texts = RowWriter(plain), RunTexts(plain)
    for row in range(3):
        alone = {name: column[row : row + 1] for name, column in plain.items()}
        assert writer.row_of(alone, texts, row) == writer.one_row(alone) == writer.rows(plain, 0, 3)[row]
    assert json.loads(whole[1]) == {
        "label": 0,
        "probabilities": [None, None],
        "score": 1.5,
        "half": float(np.float16(0.2)),
        "name": {"base64": "/w=="},
        "cube": [[4, 5], [6, 7]],
    }


def test_columns_of_one_value_are_written_at_once_whatever_their_names() -> None:
    names = ['50% "off"', "x,y", "é", "plain", "last"]
    columns = {name: np.array([[place + 0.1], [np.nan]], np.float32) for place, name in enumerate(names)}
    writer = RowWriter(columns)
    one = {name: column[:1] for name, column in columns.items()}
    assert json.loads(writer.one_row(one)) == {name: place + 0.1 for place, name in enumerate(names)}
    assert [writer.one_row(one)] == writer.rows(columns, 0, 2)[:1]
    assert json.loads(writer.rows(columns, 1, 2)[0]) == dict.fromkeys(names)


def test_a_request_that_is_shaped_like_no_other_is_still_written() -> None:
    usual = {"a": np.ones((1, 1), np.float32), "b": np.ones((1, 1), np.float32)}
    writer = RowWriter(usual)
    wide = {"a": np.ones((1, 2), np.float32), "b": np.ones((1, 0), np.float32)}
    assert json.loads(writer.one_row(wide)) == {"a": [1.0, 1.0], "b": []}
    assert writer.size(wide, 1) == 2 * 24


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0.0, b"1970-01-01T00:00:00.000Z"),
        (1_800_000_000.9996, b"2027-01-15T08:00:01.000Z"),
        (1.001, b"1970-01-01T00:00:01.001Z"),
    ],
)
def test_times_are_rfc_3339_in_utc_with_milliseconds(at: float, text: bytes) -> None:
    assert rfc3339(at) == text
