"""Events of captured predictions: CloudEvents 1.0 that the cloudevents library reads, one per row."""

import json
from typing import Any

import numpy as np
import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat

from podium_crds.plan import PlannedSticky
from podium_serving.capture.events import CapturedPrediction, CapturedShadow, batch
from podium_serving.exchange import Answer, Fallback, InferRequest
from traffic_fixtures import plan, request, route

AT = 1_800_000_000.25


def captured(asked: InferRequest, columns: Any, sticky: PlannedSticky | None = None) -> CapturedPrediction:
    answer = Answer("churn-3", "sha256:3", 7, columns, arm_assigned="neural-net", fallback=Fallback.TIMEOUT)
    return CapturedPrediction("e", AT, plan(sticky=sticky), asked, answer, 0.0123456789)


def scores(*values: float) -> dict[str, Any]:
    return {"score": np.array([[value] for value in values], dtype=np.float64)}


def test_a_row_is_an_event_with_everything_that_the_architecture_page_names() -> None:
    events = captured(request((1, 2), (3, float("nan"))), scores(3, 4)).events(0, 2)
    assert json.loads(batch(events))[1] == {
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
    shadow = CapturedShadow("e", AT, plan(), route("boosting", "host", mode="Shadow"), 2, scores(1, 2), "")
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
    shadow = CapturedShadow("e", AT, plan(), route("boosting", "host", mode="Shadow"), 1, None, "Timeout: slow")
    content = json.loads(shadow.events(0, 1)[0])["data"]
    assert (content["outputs"], content["error"]) == (None, "Timeout: slow")
