"""Records of topics become rows; what is not of the topic's deployments, or no event, is told apart and named."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kafka_fixtures import STRUCTURED, binary, structured
from monitor_fixtures import KEY, event, prediction, shadow
from podium_monitor.events import Clock
from podium_monitor.kafka.records import Record
from podium_monitor.kafka.taking import Taken, taken
from podium_monitor.kafka.topics import Topic

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
PRODUCED = datetime(2026, 11, 21, 13, 59, tzinfo=UTC)
CLOCK = Clock(NOW, timedelta(days=2), timedelta(hours=1))
CHURN = Topic("t", ("shop/churn",))


def record(offset: int = 0, **message: Any) -> Record:
    value = message.get("value")
    given = value.encode() if isinstance(value, str) else value
    return Record("t", 0, offset, PRODUCED, None, given, tuple(message.get("headers", ())))


def read(*messages: dict[str, Any], topic: Topic = CHURN) -> Taken:
    return taken([record(offset, **one) for offset, one in enumerate(messages)], {"t": topic}, CLOCK, KEY)


def label(**changes: Any) -> dict[str, Any]:
    told = event("l-1", type="dev.podium.label.v1", data={"join_key": "c-1", "label": "yes"}, **changes)
    return {"value": json.dumps(told), "headers": STRUCTURED}


def ids(found: Taken) -> list[str]:
    return [one for rows in found.events for one in rows.event_ids]


def test_both_modes_say_the_same() -> None:
    one, other = read(structured("e-0")), read(binary("e-0"))
    assert one.events == other.events
    assert ids(one) == ["e-0"]
    assert one.events[0].columns["deployment_uid"] == [""]


def test_the_uid_is_an_attribute_in_both_modes() -> None:
    found = read(structured("e-0", deploymentuid="uid-1"), binary("e-1", deploymentuid="uid-1"))
    assert [rows.columns["deployment_uid"] for rows in found.events] == [["uid-1", "uid-1"]]


def test_predictions_and_shadows_of_several_deployments_are_told_apart() -> None:
    fraud = structured("e-1", source="/namespaces/shop/modeldeployments/fraud")
    seen = {"value": json.dumps(event("s-0", type="dev.podium.shadow.v1", data=shadow())), "headers": STRUCTURED}
    found = read(structured("e-0"), fraud, seen, topic=Topic("t", ("shop/*",)))
    places = [(rows.place.table, rows.place.deployment, rows.event_ids) for rows in found.events]
    assert places == [("predictions", "churn", ["e-0"]), ("shadows", "churn", ["s-0"]), ("predictions", "fraud", ["e-1"])]


@pytest.mark.parametrize(
    ("message", "says"),
    [
        pytest.param({"value": None}, "has no value", id="tombstone"),
        pytest.param({"value": b" " * (8 * 1024 * 1024 + 1)}, "8388609 bytes, may have 8388608", id="large"),
        pytest.param({"value": "{", "headers": STRUCTURED}, "no CloudEvent in JSON", id="broken-json"),
        pytest.param({"value": b"\xff", "headers": STRUCTURED}, "no CloudEvent in JSON", id="not-utf-8"),
        pytest.param(structured("e", source="/namespaces/shop/modeldeployments/fraud"), "is of shop/fraud", id="another's"),
        pytest.param(structured("e", source="/namespaces/risk/modeldeployments/churn"), "is of risk/churn", id="namespace"),
        pytest.param(structured("e", source="churn"), "source is 'churn', must be /namespaces/", id="no-source-of-ours"),
        pytest.param(structured("e", type="com.example.order"), "the event's type is 'com.example.order'", id="type"),
        pytest.param(structured("e", specversion="0.3"), "specversion '0.3'", id="old"),
        pytest.param(structured("e" * 300), "an id of 300 characters", id="long-id"),
        pytest.param(structured("e", deploymentuid="../.."), "must be names of Kubernetes and a uid", id="uid"),
        pytest.param(structured("e", data={"rows": 1}), "does not fit", id="data"),
        pytest.param(
            {"value": "[]", "headers": [("content-type", b"application/cloudevents-batch+json")]}, "one event", id="batch"
        ),
        pytest.param({"value": "x", "headers": [("ce_id", b"1")]}, "headers and value are no CloudEvent", id="binary"),
        pytest.param({**binary("e"), "value": '{}},{"id":1'}, "headers and value are no CloudEvent", id="smuggled"),
        pytest.param(
            {"value": "<x/>", "headers": [("ce_id", b"1"), ("content-type", b"text/xml")]}, "text/xml", id="not-json"
        ),
        pytest.param({"value": '{"join_key": 1}'}, "the label does not fit", id="label-without-a-label"),
    ],
)
def test_what_cannot_be_taken_is_named_and_the_others_are_taken(message: dict[str, Any], says: str) -> None:
    found = read(structured("a"), message, structured("b"))
    assert ids(found) == ["a", "b"]
    [rejected] = found.rejected
    assert rejected.record.offset == 1
    assert says in rejected.why


def test_each_of_many_bad_records_is_found_among_the_good() -> None:
    bad = {3, 500, 501, 999}
    messages = [structured(f"e-{n}", data=prediction(row=-1 if n in bad else 0)) for n in range(1000)]
    found = read(*messages)
    assert {one.record.offset for one in found.rejected} == bad
    assert sorted(ids(found)) == sorted(f"e-{n}" for n in range(1000) if n not in bad)


def test_a_topic_that_holds_labels_takes_no_predictions_and_the_other_way_round() -> None:
    labels, predictions = Topic("t", ("shop/churn",), ("Labels",)), Topic("t", ("shop/churn",), ("Predictions",))
    assert [one.why for one in read(structured("e"), topic=labels).rejected] == [
        "the event's type is 'dev.podium.prediction.v1', the topic t takes dev.podium.label.v1"
    ]
    assert len(read(label(), topic=predictions).rejected) == 1
    assert "it is no CloudEvent" in read({"value": '{"join_key": 1, "label": 2}'}, topic=predictions).rejected[0].why


def test_a_label_has_time_and_id_of_its_event_or_the_time_of_its_record() -> None:
    plain = {"value": '{"join_key": 7.0, "label": 1}'}
    [of_event, *rest] = read(label(labelledby="the nightly job")).labels
    assert not rest
    assert of_event.columns["time"] == [datetime(2026, 11, 21, 13, 5, 0, 250_000, UTC)]
    assert of_event.event_ids[0].startswith("l-1/")
    assert of_event.columns["labelled_by"] == ["topic t, claimed the nightly job"]
    first, again = read(plain).labels[0], read(plain).labels[0]
    assert (first.columns["time"], first.columns["join_key"]) == ([PRODUCED], ["7"])
    assert first.event_ids == again.event_ids  # read twice, it is one label
    assert first.columns["labelled_by"] == ["topic t"]


def test_a_plain_label_says_of_which_deployment_where_the_topic_has_several() -> None:
    several = Topic("t", ("shop/*",), ("Labels",))
    whole = {"value": '{"join_key": 1, "label": 2, "namespace": "shop", "deployment": "fraud"}'}
    assert read(whole, topic=several).labels[0].place.deployment == "fraud"
    assert "has no namespace and deployment" in read({"value": '{"join_key": 1, "label": 2}'}, topic=several).rejected[0].why
    assert "it is of shop/fraud, the topic t is of" in read(whole).rejected[0].why


def test_keys_are_hashed_with_the_key_of_the_uid() -> None:
    hashing = Topic("t", ("shop/churn",), ("Labels",), "Apply")
    [rows] = read(label(deploymentuid="uid-1"), topic=hashing).labels
    assert len(rows.columns["join_key"][0]) == 32
    assert "deploymentuid is missing" in read(label(), topic=hashing).rejected[0].why


@pytest.mark.parametrize("value", ["9" * 5000, "1e999", '"\\ud800"', "[" * 5000, "-0", '"\\u0000"'])
def test_no_value_of_an_input_holds_up_the_others(value: str) -> None:
    odd = structured("odd")
    odd["value"] = odd["value"].replace(b'"tenure": 3.5', f'"tenure": {value}'.encode())
    found = read(structured("a"), odd, structured("b"))
    assert {"a", "b"} <= set(ids(found))
    assert len(ids(found)) + len(found.rejected) == 3
