"""What a collector reads of captured predictions: one event per row."""

import json
from typing import Any

import numpy as np
import pytest

from capture_fixtures import events_of
from podium_crds.plan import PlannedCapture, PlannedJoinKey, PlannedSticky
from podium_serving.capture.events import CapturedRequest, CapturedRuns, CapturedShadow, Taken
from podium_serving.capture.planned import PlanCapture
from podium_serving.exchange import Answer, Columns, Fallback, InferRequest
from podium_serving.oip.rows import RunTexts
from podium_serving.traffic.mirror import Shadowed
from traffic_fixtures import plan, request, route

AT = 1_800_000_000.25


def captured(
    asked: InferRequest, columns: Any, sticky: PlannedSticky | None = None, join_key: PlannedJoinKey | None = None
) -> CapturedRequest:
    answer = Answer("churn-3", "sha256:3", 7, columns, arm_assigned="neural-net", fallback=Fallback.TIMEOUT)
    planned = PlanCapture(plan(sticky=sticky, capture=PlannedCapture(join_key=join_key or PlannedJoinKey())))
    return CapturedRequest(b"e", 10, planned, planned.members(answer), asked, answer, AT, 0.0123456789)


def scores(*values: float) -> dict[str, Any]:
    return {"score": np.array([[value] for value in values], dtype=np.float64)}


def test_a_row_is_an_event_with_everything_that_the_architecture_page_names() -> None:
    events = events_of(captured(request((1, 2), (3, float("nan"))), scores(3, 4)))
    assert len(events) == 2
    assert events[1] == {
        "id": "e-a-1",
        "time": AT,
        "data": {
            "request_id": "request-1",
            "row": 1,
            "join_key": "request-1-1",
            "arm_assigned": "neural-net",
            "arm_answered": "champion",
            "fallback": "Timeout",
            "epoch": 7,
            "version": "churn-3",
            "digest": "sha256:3",
            "inputs": {"x0": 3.0, "x1": pytest.approx(float("nan"), nan_ok=True)},
            "outputs": {"score": 4.0},
            "latency_seconds": 0.0123456789,
        },
    }


def test_a_slice_of_rows_has_the_same_events_as_all_of_them() -> None:
    rows = tuple((float(row), 0.0) for row in range(10))
    whole = captured(request(*rows), scores(*range(10)))
    assert events_of(whole, 0, 4) + events_of(whole, 4, 10) == events_of(whole)


def test_wide_tensors_and_bytes_keep_their_form() -> None:
    asked = request((1, 2))
    asked.columns = {
        "wide": np.arange(4, dtype=np.int64).reshape(1, 2, 2),
        "text": np.array([["é"]], dtype=object),
        "raw": np.array([[b"\xff"]], dtype=object),
        "yes": np.array([[True]]),
        "half": np.array([[0.1, np.inf]], np.float16),
        "none": np.ones((1, 0), np.float32),
        '50% "off", ok': np.array([[0.1]], np.float32),
    }
    inputs = events_of(captured(asked, {}))[0]["data"]["inputs"]
    assert inputs == {
        "wide": [[0, 1], [2, 3]],
        "text": "é",
        "raw": {"base64": "/w=="},
        "yes": True,
        "half": [float(np.float16(0.1)), float("inf")],
        "none": [],
        '50% "off", ok': float(np.float32(0.1)),
    }


@pytest.mark.parametrize(
    ("sticky", "join_key", "keys"),
    [
        pytest.param(PlannedSticky(type="Input", name="x0"), None, ["1", "3"], id="each-rows-input"),
        pytest.param(
            PlannedSticky(type="Input", name="other"), None, ["request-1-0", "request-1-1"], id="an-input-that-is-not-there"
        ),
        pytest.param(PlannedSticky(type="Header", name="X-Customer"), None, ["Zoë"] * 2, id="header"),
        pytest.param(PlannedSticky(), None, ["request-1-0", "request-1-1"], id="request"),
        pytest.param(None, PlannedJoinKey(type="Input", name="x1"), ["2", "4"], id="a-named-input"),
        pytest.param(None, PlannedJoinKey(type="Header", name="X-Customer"), ["Zoë"] * 2, id="a-named-header"),
        pytest.param(
            None,
            PlannedJoinKey(type="Header", name="other"),
            ["request-1-0", "request-1-1"],
            id="a-header-that-is-not-there",
        ),
        pytest.param(
            PlannedSticky(type="Input", name="x0"),
            PlannedJoinKey(type="Request"),
            ["request-1-0", "request-1-1"],
            id="the-row-of-the-request",
        ),
    ],
)
def test_rows_are_joined_by_what_the_plan_says_or_the_request_id(
    sticky: PlannedSticky | None, join_key: PlannedJoinKey | None, keys: list[str]
) -> None:
    asked = request((1, 2), (3, 4), headers={"x-customer": "Zoë".encode().decode("latin-1")})
    events = events_of(captured(asked, scores(1, 2), sticky, join_key))
    assert [event["data"]["join_key"] for event in events] == keys
    assert "join_key_hashed" not in events[0]["data"]


def test_the_only_row_of_a_request_needs_no_number() -> None:
    (event,) = events_of(captured(request((1, 2)), scores(1), join_key=PlannedJoinKey(type="Request")))
    assert event["data"]["join_key"] == "request-1"


def test_a_shadows_event_names_the_prediction_it_belongs_to() -> None:
    boosting = route("boosting", "host", mode="Shadow")
    shadow = CapturedShadow(b"e", 10, PlanCapture(plan()), boosting, 2, Shadowed(scores(1, 2)), AT)
    (event,) = events_of(shadow, 1, 2)
    assert event["id"] == "e-a-1-boosting"
    assert event["data"] == {
        "prediction_id": "e-a-1",
        "version": "boosting-1",
        "digest": boosting.version.digest,
        "outputs": {"score": 2.0},
        "error": "",
    }


def test_a_shadow_that_failed_says_why() -> None:
    failed = Shadowed(None, "Timeout: slow")
    shadow = CapturedShadow(b"e", 10, PlanCapture(plan()), route("boosting", "host", mode="Shadow"), 1, failed, AT)
    content = events_of(shadow)[0]["data"]
    assert (content["outputs"], content["error"]) == (None, "Timeout: slow")


RUN: Columns = {
    "label": np.array([1, 0, 2], np.int64),
    "probabilities": np.array([[0.1, 0.9], [-1.0, np.inf], [1e-9, 3e20]], np.float32),
    "name": np.array([["é"], [b"\xff"], ["a,b"]], object),
}


def run_of(places: list[int], planned: PlanCapture | None = None, runs: int = 1) -> CapturedRuns:
    """Rows of `runs` runs that are alike; `places` of each are captured."""
    asked = {"x0": np.array([[0.0], [1.0], [2.0]]), "x1": np.array([[5.0], [6.0], [7.0]])}
    planned = planned or PlanCapture(plan())
    kept = CapturedRuns(b"e", 10, planned, planned.members(Answer("churn-3", "sha256:3", 7, {})), AT)
    for _ in range(runs):
        texts = RunTexts(3, asked, RUN)
        for place in places:
            one = request((float(place), float(place + 5)))
            one.request_id, one.admitted_at = f"asked-{place}", 1.0
            kept.taken.append(Taken(one, texts, place, 2.0 + place))
    kept.weigh()
    return kept


@pytest.mark.parametrize("places", [[0, 1, 2], [1, 2], [2, 0], [1]])
def test_a_row_of_a_run_is_captured_as_if_it_had_run_alone(places: list[int]) -> None:
    events = events_of(run_of(places))
    for number, (place, event) in enumerate(zip(places, events, strict=True)):
        data = event["data"]
        assert (event["id"], data["request_id"], data["join_key"]) == (f"e-{10 + number:x}-0", *[f"asked-{place}"] * 2)
        assert (data["row"], data["latency_seconds"]) == (0, 1.0 + place)
        assert data["inputs"] == {"x0": float(place), "x1": place + 5.0}
        answer = Answer("churn-3", "sha256:3", 7, {name: column[place : place + 1] for name, column in RUN.items()})
        planned = PlanCapture(plan())
        alone = CapturedRequest(b"e", 1, planned, planned.members(answer), request((0, 0)), answer, AT, 0.0)
        assert data["outputs"] == events_of(alone)[0]["data"]["outputs"]
    assert events_of(run_of(places), 0, 1) == events[:1]


def test_runs_are_written_one_behind_the_other() -> None:
    kept = run_of([2, 0], runs=3)
    events = events_of(kept)
    assert [event["data"]["inputs"]["x0"] for event in events] == [2, 0] * 3
    assert [event["data"]["outputs"] for event in events[2:4]] == [
        event["data"]["outputs"] for event in events_of(run_of([2, 0]))
    ]
    assert [event["id"] for event in events] == [f"e-{10 + number:x}-0" for number in range(6)]
    assert events_of(kept, 3, 5) == events[3:5]


def test_each_row_of_a_run_has_the_key_of_its_own_request() -> None:
    planned = PlanCapture(plan(capture=PlannedCapture(join_key=PlannedJoinKey(type="Input", name="x1"))))
    assert [event["data"]["join_key"] for event in events_of(run_of([2, 0], planned))] == ["7", "5"]


def test_what_is_hidden_does_not_leave_the_pod() -> None:
    capture = PlannedCapture(
        redact=["text", "score"],
        hash=["customer", "pair", "X-Customer"],
        join_key=PlannedJoinKey(type="Input", name="customer"),
    )
    asked = request((1, 2), (3, 4))
    asked.columns = {
        "text": np.array([["secret"], ["words"]], object),
        "customer": np.array([["anna"], [None]], object),
        "pair": np.array([["a", "b"], ["c", "d"]], object),
        "x0": np.array([[1.0], [2.0]]),
    }
    planned = PlanCapture(plan(capture=capture), b"key")
    answer = Answer("churn-3", "sha256:3", 7, {**scores(1, 2), "label": np.array([1, 0])})
    whole = CapturedRequest(b"e", 10, planned, planned.members(answer), asked, answer, AT, 0.0)
    text = json.dumps(first := events_of(whole)[0]["data"]) + whole.block(0, 2).decode("latin-1")
    assert not any(word in text for word in ("secret", "words", "anna", '"a"'))
    # HMAC-SHA256 of "anna" under "key", by openssl dgst -sha256 -hmac key
    assert first["inputs"]["customer"] == first["join_key"] == "d27d461c645c7ca868ae8aca573e224c"
    assert first["join_key_hashed"] is True
    assert (first["inputs"].keys(), first["outputs"]) == ({"customer", "pair", "x0"}, {"label": 1})
    second = events_of(whole)[1]["data"]
    assert (second["inputs"]["customer"], second["join_key"]) == (None, "request-1-1")


def test_without_a_key_what_should_be_hashed_is_left_out() -> None:
    capture = PlannedCapture(hash=["x0"], join_key=PlannedJoinKey(type="Input", name="x0"))
    planned = PlanCapture(plan(capture=capture))
    answer = Answer("churn-3", "sha256:3", 7, scores(1))
    whole = CapturedRequest(b"e", 10, planned, planned.members(answer), request((7, 2)), answer, AT, 0.0)
    data = events_of(whole)[0]["data"]
    assert (data["inputs"], data["join_key"]) == ({"x1": 2.0}, "request-1")


def test_a_header_that_is_hashed_is_hashed_in_the_key_it_makes() -> None:
    capture = PlannedCapture(hash=["X-Customer"], join_key=PlannedJoinKey(type="Header", name="x-customer"))
    planned = PlanCapture(plan(capture=capture), b"key")
    answer = Answer("churn-3", "sha256:3", 7, scores(1))
    asked = request((7, 2), headers={"x-customer": "anna"})
    whole = CapturedRequest(b"e", 10, planned, planned.members(answer), asked, answer, AT, 0.0)
    assert events_of(whole)[0]["data"]["join_key"] == "d27d461c645c7ca868ae8aca573e224c"


def test_what_a_rule_keeps_beyond_the_sample_says_so() -> None:
    planned = PlanCapture(plan())
    answer = Answer("churn-3", "sha256:3", 7, scores(1))
    assert json.loads(planned.members(answer, sampled=False))["sampled"] is False
    assert "sampled" not in json.loads(planned.members(answer))


NOT_SPLIT: list[dict[str, Any]] = [
    {"pinned": True},
    {"fallback": Fallback.MIXED_KEYS},
    {"fallback": Fallback.MISSING_KEY},
]


def test_the_split_that_gave_a_request_its_arm_is_said() -> None:
    canaries = [route("neural-net", "a", percent=10), route("old", "b", percent=0), route("boosting", "c", mode="Shadow")]
    planned = PlanCapture(split := plan(*canaries))
    said = json.loads(planned.members(Answer("churn-3", "sha256:3", 7, {}, fallback=Fallback.BODY_TOO_LARGE)))["split"]
    assert said == {
        "champion": {"percent": 90, "digest": split.champion.version.digest},
        "neural-net": {"percent": 10, "digest": canaries[0].version.digest},
    }


@pytest.mark.parametrize("change", NOT_SPLIT)
def test_a_request_that_chance_did_not_assign_has_no_split(change: dict[str, Any]) -> None:
    planned = PlanCapture(plan(route("neural-net", "a", percent=10)))
    answer = Answer("churn-3", "sha256:3", 7, {}, fallback=change.get("fallback", Fallback.NONE))
    assert "split" in json.loads(planned.members(Answer("churn-3", "sha256:3", 7, {})))
    assert "split" not in json.loads(planned.members(answer, pinned=change.get("pinned", False)))


def test_without_a_canary_nothing_is_split() -> None:
    planned = PlanCapture(plan(route("boosting", "c", mode="Shadow")))
    assert "split" not in json.loads(planned.members(Answer("churn-3", "sha256:3", 7, {})))


@pytest.mark.parametrize(
    ("sticky", "capture", "keys"),
    [
        pytest.param(PlannedSticky(type="Input", name="x0"), {"type": "Request"}, ["1", "3"], id="an-input"),
        pytest.param(PlannedSticky(type="Header", name="x-customer"), {"type": "Request"}, ["anna"] * 2, id="a-header"),
        pytest.param(PlannedSticky(type="Header", name="x-other"), {"type": "Request"}, [None] * 2, id="a-header-not-there"),
        pytest.param(PlannedSticky(type="Input", name="other"), {"type": "Request"}, [None] * 2, id="an-input-not-there"),
        pytest.param(PlannedSticky(type="Input", name="x0"), {"type": "Sticky"}, None, id="joined-by-it"),
        pytest.param(PlannedSticky(type="Input", name="x0"), {"type": "Input", "name": "x0"}, None, id="joined-by-the-same"),
        pytest.param(PlannedSticky(), {"type": "Input", "name": "x0"}, None, id="nothing-is-sticky"),
    ],
)
@pytest.mark.parametrize("alone", [False, True])
def test_a_sticky_key_that_rows_are_not_joined_by_is_captured_beside(
    sticky: PlannedSticky, capture: dict[str, str], keys: list[str | None] | None, alone: bool
) -> None:
    planned = PlanCapture(plan(sticky=sticky, capture=PlannedCapture(join_key=PlannedJoinKey(**capture))))
    asked, answer = request((1, 2), (3, 4), headers={"x-customer": "anna"}), Answer("churn-3", "sha256:3", 7, scores(1, 2))
    whole: CapturedRequest | CapturedRuns
    if alone:
        said = {"score": np.array([[1.0]])}
        whole = CapturedRuns(b"e", 10, planned, planned.members(answer), 0.0)
        for row, values in enumerate([(1, 2), (3, 4)]):
            one = request(values, headers=dict(asked.headers))
            whole.taken.append(Taken(one, RunTexts(1, one.columns, said), 0, AT + row))
        whole.weigh()
    else:
        whole = CapturedRequest(b"e", 10, planned, planned.members(answer), asked, answer, AT, 0.0)
    found = [event["data"] for event in events_of(whole)]
    assert [one.get("unit_key", "absent") for one in found] == (keys or ["absent"] * 2)


def test_a_sticky_key_of_a_hidden_field_is_a_hash() -> None:
    capture = PlannedCapture(hash=["X-Customer"], join_key=PlannedJoinKey(type="Request"))
    planned = PlanCapture(plan(sticky=PlannedSticky(type="Header", name="x-customer"), capture=capture), b"key")
    answer = Answer("churn-3", "sha256:3", 7, scores(1))
    asked = request((7, 2), headers={"x-customer": "anna"})
    data = events_of(CapturedRequest(b"e", 10, planned, planned.members(answer), asked, answer, AT, 0.0))[0]["data"]
    assert (data["unit_key"], data["join_key"]) == ("d27d461c645c7ca868ae8aca573e224c", "request-1")
    assert "join_key_hashed" not in data
