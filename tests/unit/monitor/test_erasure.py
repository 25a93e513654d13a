"""Rows of given ids leave the lake, whatever they lie in, and a tombstone stays."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from monitor_fixtures import KEY, batch, event, prediction, shadow
from podium_monitor.credentials import Source
from podium_monitor.erasure_routes import erasure_of
from podium_monitor.events import Clock, InvalidBatch, rows_of
from podium_monitor.lake.erasing import Eraser
from podium_monitor.lake.erasure import DONE, Erasure, Times, add, advance, erasure, erasures
from podium_monitor.lake.reading import local_files
from podium_monitor.lake.replacing import finish
from podium_monitor.lake.store import FolderStore
from podium_monitor.lake.tables import Place, Rows, Table
from podium_monitor.lake.writer import Lake

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
TIMES = Times()
AFTER_WATCH = NOW + TIMES.watch + timedelta(minutes=1)
AFTER_ALL = AFTER_WATCH + TIMES.gone + timedelta(minutes=1)


def store_of(folder: Path) -> FolderStore:
    """Customers 1 and 2; customer 1 asked twice, and has a label; request r-3 has a key of its own."""
    store = FolderStore(folder)
    write(store, event("e-1", data=prediction(join_key="customer-1", request_id="r-1")))
    write(
        store,
        event("e-2", data=prediction(join_key="customer-2", request_id="r-2")),
        event("e-3", data=prediction(join_key="r-3", request_id="r-3")),
        event("e-4", data=prediction(join_key="customer-1", request_id="r-4")),
    )
    for number in range(1, 5):
        data = shadow(prediction_id=f"e-{number}")
        write(store, event(f"s-{number}", type="dev.podium.shadow.v1", data=data), deployment="churn")
    for key in ("customer-1", "customer-2", "r-3"):
        label(store, key, NOW - timedelta(minutes=5))
    write(store, event("o-1", data=prediction(join_key="customer-1", request_id="r-1")), deployment="fraud")
    return store


def write(store: FolderStore, *events: dict[str, Any], deployment: str = "churn", received: datetime = NOW) -> None:
    named = [{**one, "source": f"/namespaces/shop/modeldeployments/{deployment}"} for one in events]
    clock = Clock(received, timedelta(days=2), timedelta(hours=1))
    for group in rows_of(batch(named), Source("shop", deployment, "uid-1"), clock, 1000):
        Lake(store).write(group)


def label(store: FolderStore, key: str, at: datetime, received: datetime = NOW) -> None:
    columns: dict[str, list[Any]] = {
        "event_id": [f"l-{key}"],
        "time": [at],
        "received_at": [received],
        "deployment_uid": ["uid-1"],
        "join_key": [key],
        "label": ['"yes"'],
        "outcomes": ["{}"],
        "labelled_by": ["crm"],
    }
    Lake(store).write(Rows(Place("labels", "shop", "churn", received.replace(minute=0)), columns))


def asked(**wish: Any) -> Erasure:
    return erasure_of(json.dumps(wish).encode(), KEY, NOW)


def hashes(namespace: str, deployment: str, uid: str, key: str) -> str:
    return f"{namespace}/{deployment}/{uid}#{key}"


def step(store: FolderStore, wanted: Erasure, now: datetime, may_go_on: Callable[[], bool] = lambda: True) -> Erasure:
    finish(store, now, timedelta(minutes=5))
    return advance(store, wanted, now, Eraser(store, wanted, hashes, may_go_on).erase, TIMES)


def carried_out(store: FolderStore, wanted: Erasure) -> Erasure:
    add(store, wanted)
    for now in (NOW, AFTER_WATCH, AFTER_ALL):
        wanted = step(store, wanted, now)
    return wanted


def left(store: FolderStore, table: Table, deployment: str = "churn") -> list[str]:
    paths = local_files(store, table, "shop", deployment, NOW - timedelta(days=1), NOW + timedelta(days=1))
    return sorted(one for path in paths for one in pq.ParquetFile(path).read()["event_id"].to_pylist())


@pytest.mark.parametrize(
    ("wish", "predictions", "shadows", "labels", "fraud"),
    [
        pytest.param(
            {"join_keys": ["customer-1"]}, ["e-2", "e-3"], ["s-2", "s-3"], ["l-customer-2", "l-r-3"], [], id="a customer"
        ),
        pytest.param(
            {"join_keys": ["customer-1"], "namespace": "shop", "deployment": "churn"},
            ["e-2", "e-3"],
            ["s-2", "s-3"],
            ["l-customer-2", "l-r-3"],
            ["o-1"],
            id="a customer of one deployment",
        ),
        pytest.param(
            {"request_ids": ["r-1", "r-3"]},
            ["e-2", "e-4"],
            ["s-2", "s-4"],
            ["l-customer-1", "l-customer-2"],
            [],
            id="requests: the label of a customer who has other predictions stays",
        ),
        pytest.param(
            {"event_ids": ["e-3", "s-2", "l-customer-2"]},
            ["e-1", "e-2", "e-4"],
            ["s-1", "s-4"],
            ["l-customer-1"],
            ["o-1"],
            id="events",
        ),
        pytest.param(
            {"join_keys": ["nobody"]},
            ["e-1", "e-2", "e-3", "e-4"],
            ["s-1", "s-2", "s-3", "s-4"],
            ["l-customer-1", "l-customer-2", "l-r-3"],
            ["o-1"],
            id="nobody",
        ),
    ],
)
def test_what_goes_and_what_stays(
    tmp_path: Path, wish: dict[str, Any], predictions: list[str], shadows: list[str], labels: list[str], fraud: list[str]
) -> None:
    store = store_of(tmp_path)
    done = carried_out(store, asked(**wish))
    assert (left(store, "predictions"), left(store, "shadows"), left(store, "labels")) == (predictions, shadows, labels)
    assert left(store, "predictions", "fraud") == fraud
    gone = 12 - sum(map(len, (predictions, shadows, labels, fraud)))
    assert (done.state, sum(done.rows.values())) == ("Done", gone)


def test_a_tombstone_says_what_was_done_but_not_to_whom(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    wanted = asked(join_keys=["customer-1"], requested_by="privacy office")
    done = carried_out(store, wanted)
    assert erasures(store) == []
    assert erasure(store, wanted.id) == done
    assert done.rows == {"predictions": 3, "shadows": 2, "labels": 1}
    assert (done.requested_by, done.kind, done.hashes) == ("privacy office", "join_keys", wanted.hashes)
    everything = b"".join(store.read(entry.path) for entry in store.list(""))
    assert b"customer-2" in everything
    assert b"customer-1" not in everything
    assert b"customer-1" not in store.read(f"{DONE}/{done.id}.json")


def test_rows_of_the_past_that_come_later_go_too_and_those_of_the_future_stay(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    wanted = asked(join_keys=["customer-1"])
    add(store, wanted)
    wanted = step(store, wanted, NOW)
    soon = NOW + timedelta(minutes=10)
    of_past = event("e-late", time="2026-11-21T13:59:00Z", data=prediction(join_key="customer-1"))
    of_future = event("e-new", time="2026-11-21T14:05:00Z", data=prediction(join_key="customer-1"))
    late_shadow = event("s-late", type="dev.podium.shadow.v1", data=shadow(prediction_id="e-1"))
    write(store, of_past, of_future, late_shadow, received=soon)
    assert step(store, wanted, soon) == wanted
    wanted = step(store, wanted, AFTER_WATCH)
    assert left(store, "predictions") == ["e-2", "e-3", "e-new"]
    assert left(store, "shadows") == ["s-2", "s-3"]
    assert step(store, wanted, AFTER_ALL).rows == {"predictions": 4, "shadows": 3, "labels": 1}


def test_rows_that_are_joined_by_the_request_are_found_by_the_sticky_key_and_their_labels_with_them(tmp_path: Path) -> None:
    """Label r-3 stays: another customer's prediction has that key too."""
    store = FolderStore(tmp_path)
    for number, (customer, key) in enumerate([("anna", "r-1"), ("ben", "r-2"), ("anna", "r-3"), ("ben", "r-3")]):
        write(store, event(f"e-{number}", data=prediction(join_key=key, request_id=key, unit_key=customer)))
        write(store, event(f"s-{number}", type="dev.podium.shadow.v1", data=shadow(prediction_id=f"e-{number}")))
    write(
        store,
        event("e-9", data=prediction(join_key="r-9", request_id="r-9", unit_key=hashes("shop", "churn", "uid-1", "anna"))),
    )
    for key in ("r-1", "r-2", "r-3"):
        label(store, key, NOW - timedelta(minutes=5))
    carried_out(store, asked(join_keys=["anna"]))
    assert (left(store, "predictions"), left(store, "shadows")) == (["e-1", "e-3"], ["s-1", "s-3"])
    assert left(store, "labels") == ["l-r-2", "l-r-3"]


def test_hashed_join_keys_are_found_by_the_plain_one(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    write(store, event("e-h", data=prediction(join_key=hashes("shop", "churn", "uid-1", "customer-1"))))
    carried_out(store, asked(join_keys=["customer-1"]))
    assert left(store, "predictions") == ["e-2", "e-3"]


class CrashingStore(FolderStore):
    """Its process dies before change number `steps`."""

    steps = 0

    def create(self, path: str, content: bytes) -> None:
        self._step()
        super().create(path, content)

    def replace(self, path: str, content: bytes) -> None:
        self._step()
        super().replace(path, content)

    def delete(self, path: str) -> None:
        self._step()
        super().delete(path)

    def _step(self) -> None:
        if self.steps == 0:
            raise SystemExit
        self.steps -= 1


@pytest.mark.parametrize("wish", [{"join_keys": ["customer-1"]}, {"request_ids": ["r-3", "r-4"]}], ids=str)
def test_a_crash_at_any_instant_changes_nothing_in_the_end(tmp_path: Path, wish: dict[str, Any]) -> None:
    untouched = store_of(tmp_path / "whole")
    wanted = asked(**wish)
    whole = carried_out(untouched, wanted)
    tables: list[Table] = ["predictions", "shadows", "labels"]
    for steps in range(1, 60):
        store = store_of(tmp_path / f"{steps}")
        add(store, wanted)
        crashing = CrashingStore(store.folder)
        crashing.steps = steps
        crashed = False
        for now in (NOW, AFTER_WATCH, AFTER_ALL):
            for one in erasures(crashing):
                try:
                    step(crashing, one, now)
                except SystemExit:
                    crashed = True
                    crashing.steps = 10**9
        for hours in range(4):
            for one in erasures(store):
                step(store, one, AFTER_ALL + timedelta(hours=hours))
        assert [left(store, table) for table in tables] == [left(untouched, table) for table in tables]
        done = erasure(store, wanted.id)
        assert done is not None
        assert (done.state, done.rows) == ("Done", whole.rows)
        if not crashed:
            return
    pytest.fail("the crash came never")


def test_whoever_must_stop_goes_on_later(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    wanted = asked(join_keys=["customer-1"])
    add(store, wanted)
    assert step(store, wanted, NOW, may_go_on=lambda: False) == wanted
    assert len(left(store, "predictions")) == 4


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{}", "0 lists of ids"),
        (b'{"join_keys": ["a"], "event_ids": ["b"]}', "2 lists of ids"),
        (b'{"join_keys": "a"}', "join_keys"),
        (b'{"customers": ["a"]}', "customers"),
        (b'{"join_keys": [""]}', "texts of 1 to 1024"),
        (b'{"join_keys": ["a"], "namespace": "../x"}', "must be the name"),
        (b'{"join_keys": ["a"], "deployment": "churn"}', "without its namespace"),
    ],
)
def test_a_wish_that_cannot_be_carried_out_is_refused(body: bytes, says: str) -> None:
    with pytest.raises(InvalidBatch, match=says):
        erasure_of(body, KEY, NOW)
