"""Batches of CloudEvents: what becomes a row, and what is refused with a reason."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor_fixtures import batch, event, prediction, shadow
from podium_monitor.credentials import Source
from podium_monitor.events import Clock, InvalidBatch, TooLarge, rows_of
from podium_monitor.lake.tables import Place, Rows

NOW = datetime(2026, 11, 21, 14, 30, tzinfo=UTC)
CHURN = Source("shop", "churn", "uid-1")
CLOCK = Clock(NOW, late=timedelta(days=2), early=timedelta(hours=1))


def read(*events: dict[str, Any]) -> list[Rows]:
    return rows_of(batch(list(events)), CHURN, CLOCK, 1000)


def test_a_prediction_becomes_a_row_with_its_json_as_it_came() -> None:
    (rows,) = read(event("e-0"))
    assert rows.place == Place("predictions", "shop", "churn", datetime(2026, 11, 21, 13, tzinfo=UTC))
    facts = {name: value for name, value in prediction().items() if name not in ("inputs", "outputs")}
    assert {name: column[0] for name, column in rows.columns.items()} == {
        **facts,
        "event_id": "e-0",
        "time": datetime(2026, 11, 21, 13, 5, 0, 250_000, tzinfo=UTC),
        "received_at": NOW,
        "deployment_uid": "uid-1",
        "sampled": True,
        "join_key_hashed": False,
        "split": None,
        "unit_key": None,
    }
    assert {name: column.to_pylist() for name, column in rows.values.items()} == {
        "input.number.tenure": [3.5],
        "output.text.label": ["yes"],
        "output.numbers.probabilities": [[0.25, 0.75]],
    }


def test_the_split_is_kept_as_it_came_and_the_sticky_key_beside_the_join_key() -> None:
    split = {"champion": {"percent": 90, "digest": "sha256:3"}, "neural-net": {"percent": 10, "digest": "sha256:4"}}
    (rows,) = read(event("e-0", data=prediction(split=split, unit_key="customer-7")))
    assert (rows.columns["split"], rows.columns["unit_key"]) == ([json.dumps(split)], ["customer-7"])


def test_a_shadow_becomes_a_row_and_null_stays_null() -> None:
    (rows,) = read(
        event("s-0", type="dev.podium.shadow.v1", data=shadow()),
        event("s-1", type="dev.podium.shadow.v1", data=shadow(outputs=None, error="Timeout")),
    )
    assert (rows.place.table, rows.columns["prediction_id"]) == ("shadows", ["e-0", "e-0"])
    assert {name: column.to_pylist() for name, column in rows.values.items()} == {"output.text.label": ["no", None]}
    assert rows.columns["error"] == ["", "Timeout"]


def test_fields_that_a_newer_pod_adds_do_no_harm() -> None:
    assert len(read(event("e-0", traceparent="00-ab", data=prediction(segment="new")))) == 1


@pytest.mark.parametrize(
    ("time", "filed"),
    [
        pytest.param("2026-11-21T13:59:59.999Z", "2026-11-21T13", id="utc"),
        pytest.param("2026-11-21T13:59:59+02:00", "2026-11-21T11", id="another-offset"),
        pytest.param("2026-11-19T15:00:00Z", "2026-11-19T15", id="two-days-late"),
        pytest.param("2026-11-19T14:00:00Z", "2026-11-21T14", id="later-than-that"),
        pytest.param("2026-11-21T15:29:00Z", "2026-11-21T15", id="an-hour-early"),
        pytest.param("2030-01-01T00:00:00Z", "2026-11-21T14", id="earlier-than-that"),
        pytest.param("1970-01-01T00:00:00Z", "2026-11-21T14", id="a-clock-that-was-never-set"),
    ],
)
def test_an_event_is_filed_under_its_own_hour_unless_its_clock_is_off(time: str, filed: str) -> None:
    (rows,) = read(event("e-0", time=time))
    assert f"{rows.place.hour:%Y-%m-%dT%H}" == filed


def test_a_batch_is_split_by_table_and_hour() -> None:
    times = ["2001-01-01T00:00:00Z", "2026-11-21T13:00:00Z", "2026-11-21T14:00:00Z", "2091-01-01T00:00:00Z"]
    events = [event(f"e-{index}", time=time) for index, time in enumerate(times)]
    found = read(*events, event("s-0", type="dev.podium.shadow.v1", data=shadow()))
    assert [(rows.place.table, f"{rows.place.hour:%d %H}", rows.event_ids) for rows in found] == [
        ("predictions", "21 14", ["e-0", "e-2", "e-3"]),
        ("predictions", "21 13", ["e-1"]),
        ("shadows", "21 13", ["s-0"]),
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"specversion": "0.3"}, "event 1 has specversion '0.3'", id="specversion"),
        pytest.param({"id": ""}, "event 1 has an id of 0 characters", id="no-id"),
        pytest.param({"id": "x" * 257}, "event 1 has an id of 257 characters", id="long-id"),
        pytest.param({"source": "/namespaces/shop/modeldeployments/fraud"}, "the credential is of", id="another-source"),
        pytest.param({"type": "com.example.other"}, "does not fit: .*'com.example.other'.*types are dev.podium", id="type"),
        pytest.param({"time": "2026-11-21T13:05:00"}, "must be RFC 3339 with an offset", id="time-without-offset"),
        pytest.param({"time": "0001-01-01T00:00:00Z"}, "of our times", id="an-ancient-time"),
        pytest.param({"time": "yesterday"}, r"event 1 does .*\$.time", id="no-time"),
        pytest.param({"data": {}}, "event 1 does not fit: .* missing required field `request_id`", id="empty-data"),
        pytest.param({"data": prediction(row=2**31)}, r"event 1 does .*\$.data.row", id="row-beyond-its-column"),
        pytest.param({"data": prediction(epoch=2**63)}, r"event 1 does .*\$.data.epoch", id="epoch-beyond-its-column"),
        pytest.param({"data": prediction(version=3)}, r"event 1 does .*\$.data.version", id="version-is-a-number"),
    ],
)
def test_a_bad_event_refuses_the_batch_and_is_named(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidBatch, match=says):
        read(event("e-0"), event("e-1", **changes))


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[", b"[1]", b"\xff", b'[{"id": "\\ud800"}]', b"[" * 100_000], ids=lambda text: repr(text[:9])
)
def test_what_is_no_batch_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidBatch, match=r"not a batch of CloudEvents|event 0 does not fit"):
        rows_of(content, CHURN, CLOCK, 1000)


def test_a_lone_surrogate_is_refused_before_it_meets_parquet() -> None:
    content = batch([event("e-0", data=prediction(request_id="X"))]).replace(b'"X"', b'"\\ud800"')
    with pytest.raises(InvalidBatch):
        rows_of(content, CHURN, CLOCK, 1000)


def test_too_many_events_are_refused() -> None:
    with pytest.raises(TooLarge, match="2 events, at most 1"):
        rows_of(batch([event("a"), event("b")]), CHURN, CLOCK, 1)
