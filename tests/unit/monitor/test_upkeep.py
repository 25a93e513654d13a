"""Compaction and retention over a real folder, and who may do it."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prometheus_client import CollectorRegistry

from monitor_fixtures import batch, event, rows
from podium_monitor.credentials import Source
from podium_monitor.events import Clock, rows_of
from podium_monitor.lake.compaction import Policy
from podium_monitor.lake.lease import FOLDER, Lease
from podium_monitor.lake.reading import dates, local_files
from podium_monitor.lake.replacing import finish
from podium_monitor.lake.retention import Retention, expired
from podium_monitor.lake.retention_wishes import RetentionWishes, wished_days
from podium_monitor.lake.store import FolderStore
from podium_monitor.lake.upkeep import compact, delete_expired, look
from podium_monitor.lake.writer import Lake
from podium_monitor.maintenance import Maintenance, Pace

NOW = datetime(2026, 11, 21, 13, 30, tzinfo=UTC)
NEXT_DAY = NOW + timedelta(days=1)
CHURN = Source("shop", "churn", "uid-1")


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path)


def write(store: FolderStore, *events: dict[str, Any], received: datetime = NOW) -> None:
    clock = Clock(received, timedelta(days=2), timedelta(hours=1))
    for group in rows_of(batch(list(events)), CHURN, clock, 1000):
        Lake(store).write(group)


def seen(store: FolderStore) -> list[str]:
    paths = local_files(store, "predictions", "shop", "churn", NOW - timedelta(days=9), NOW + timedelta(days=9))
    return sorted(identity for path in paths for identity in pq.ParquetFile(path).read()["event_id"].to_pylist())


def compact_all(store: FolderStore, now: datetime) -> int:
    return sum(compact(store, job, now, lambda: True) for job in look(store, now, Policy()).jobs)


def test_an_hour_becomes_one_file_and_again_when_late_rows_came(store: FolderStore) -> None:
    for number in range(5):
        write(store, event(f"e-{number}"), event("again"), received=NOW + timedelta(seconds=number))
    assert look(store, NOW, Policy()).backlog == 0
    assert look(store, NEXT_DAY, Policy()).backlog == 5
    assert compact_all(store, NEXT_DAY) == 5
    assert seen(store) == ["again", "e-0", "e-1", "e-2", "e-3", "e-4"]
    write(store, event("late"), received=NEXT_DAY)
    assert compact_all(store, NEXT_DAY + timedelta(minutes=1)) == 0
    assert compact_all(store, NEXT_DAY + timedelta(hours=2)) == 2
    finish(store, NEXT_DAY + timedelta(days=1), timedelta(minutes=5))
    assert len(list(store.list("predictions"))) == 1
    assert len(rows(store.folder)) == 7


def test_the_size_of_a_new_lake_is_told_long_before_the_next_whole_look_is_due(store: FolderStore) -> None:
    registry = CollectorRegistry()
    maintenance = Maintenance(store, registry, Retention(), Pace(pass_seconds=0.01, whole_seconds=3600.0), lambda *_: "")
    thread = threading.Thread(target=maintenance.run)
    thread.start()
    try:
        until(lambda: registry.get_sample_value("podium_monitor_lake_files", {"table": "predictions"}) == 0)
        write(store, event("first"))
        until(lambda: registry.get_sample_value("podium_monitor_lake_files", {"table": "predictions"}) == 1)
    finally:
        maintenance.stop()
        thread.join()


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_column_of_a_newer_podium_is_kept(store: FolderStore) -> None:
    write(store, event("old"))
    (path,) = [entry.path for entry in store.list("predictions")]
    table = pq.ParquetFile(store.local(path)).read()
    newer = table.append_column("segment", pa.array(["gold"])).set_column(0, "event_id", pa.array(["new"]))
    sink = pa.BufferOutputStream()
    pq.write_table(newer, sink)
    store.create(path.replace("-", "-f", 1).replace(".parquet", "0.parquet"), bytes(sink.getvalue()))
    store.create(f"{path.rpartition('/')[0]}/20261121T133000000001-abc.parquet", bytes(sink.getvalue()))
    assert compact_all(store, NEXT_DAY) >= 2
    finish(store, NEXT_DAY + timedelta(days=1), timedelta(minutes=5))
    found = {row["event_id"]: row.get("segment") for row in rows(store.folder)}
    assert found == {"old": None, "new": "gold"}


def test_files_that_do_not_fit_together_stay_as_they_are(store: FolderStore, caplog: pytest.LogCaptureFixture) -> None:
    write(store, event("a"))
    (path,) = [entry.path for entry in store.list("predictions")]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"something": [1]}), sink)
    store.create(f"{path.rpartition('/')[0]}/foreign.parquet", bytes(sink.getvalue()))
    store.create(f"{path.rpartition('/')[0]}/torn.parquet", b"PAR1")
    assert compact_all(store, NEXT_DAY) == 0
    assert "stay as they are" in caplog.text
    assert len(list(store.list("predictions"))) == 3


@pytest.mark.parametrize(
    ("days", "gone"),
    [
        (1, ["2026-11-18", "2026-11-19"]),
        (2, ["2026-11-18"]),
        (3, []),
    ],
)
def test_whole_days_expire(days: int, gone: list[str]) -> None:
    dates = ["2026-11-18", "2026-11-19", "2026-11-20", "2026-11-21", "0000", "__HIVE_DEFAULT_PARTITION__"]
    assert expired(dates, date(2026, 11, 21), days) == gone


def test_what_expired_is_deleted_with_its_folders(store: FolderStore) -> None:
    write(store, event("old", time="2026-11-19T13:45:00Z"))
    write(store, event("new"))
    assert delete_expired(store, NOW, Retention(days=1)) == 1
    assert seen(store) == ["new"]
    assert [path.name for path in store.folder.glob("predictions/*/*/*")] == ["date=2026-11-21"]


@pytest.mark.parametrize(
    ("days", "most", "wished", "kept"),
    [
        pytest.param(None, None, None, None, id="everything"),
        pytest.param(90, None, None, 90, id="the default"),
        pytest.param(90, None, 400, 400, id="a wish for more"),
        pytest.param(90, None, 7, 7, id="a wish for less"),
        pytest.param(None, None, 7, 7, id="a wish where everything is kept"),
        pytest.param(90, 365, 400, 365, id="no wish is above the maximum"),
        pytest.param(90, 30, None, 30, id="nor is the default"),
        pytest.param(None, 365, None, 365, id="nor is everything"),
    ],
)
def test_days_that_are_kept(days: int | None, most: int | None, wished: int | None, kept: int | None) -> None:
    assert Retention(days, most).of(wished) == kept


def of_three_deployments(store: FolderStore) -> None:
    """Rows of eleven and of two days ago, and of today."""
    clock = Clock(NOW, timedelta(days=30), timedelta(hours=1))
    for name in ("churn", "fraud", "risk"):
        for day in ("10", "19", "21"):
            source = Source("shop", name, "uid-1")
            one = event(f"{name}-{day}", time=f"2026-11-{day}T10:00:00Z", source=source.event_source)
            for group in rows_of(batch([one]), source, clock, 1000):
                Lake(store).write(group)


def days_left(store: FolderStore, name: str) -> list[str]:
    return dates(store, "predictions", "shop", name)


def test_each_deployment_keeps_its_rows_as_long_as_it_says(store: FolderStore) -> None:
    of_three_deployments(store)
    wishes = RetentionWishes(store)
    wishes.note("shop", "churn", 1)
    wishes.note("shop", "fraud", 400)
    wishes.note("shop", "risk", None)
    assert delete_expired(store, NOW, Retention(days=7)) == 3
    assert days_left(store, "churn") == ["2026-11-21"]
    assert days_left(store, "fraud") == ["2026-11-10", "2026-11-19", "2026-11-21"]
    assert days_left(store, "risk") == ["2026-11-19", "2026-11-21"]
    assert delete_expired(store, NOW, Retention(days=7, most=1)) == 3, "the installation's maximum holds for all"
    assert days_left(store, "fraud") == days_left(store, "risk") == ["2026-11-21"]


def test_a_wish_is_changed_withdrawn_and_outlives_its_writer(store: FolderStore) -> None:
    for days in (30, 60, None):
        RetentionWishes(store).note("shop", "churn", days)
        assert wished_days(store, "shop", "churn") == days
    wishes = RetentionWishes(store)
    wishes.note("shop", "churn", 7)
    written = [path.stat().st_mtime_ns for path in store.folder.glob("retention/*/*")]
    wishes.note("shop", "churn", 7)
    RetentionWishes(store).note("shop", "churn", 7)
    assert [path.stat().st_mtime_ns for path in store.folder.glob("retention/*/*")] == written, "nothing new was said"


@pytest.mark.parametrize("content", ["", "{", '{"days": "7"}', '{"days": 0}', '{"days": -3}'])
def test_a_wish_that_cannot_be_read_deletes_nothing(
    store: FolderStore, content: str, caplog: pytest.LogCaptureFixture
) -> None:
    of_three_deployments(store)
    RetentionWishes(store).note("shop", "churn", 1)
    [path] = store.folder.glob("retention/*/*")
    path.write_text(content)
    delete_expired(store, NOW, Retention(days=1))
    assert len(days_left(store, "churn")) == 3
    assert len(days_left(store, "fraud")) == 1, "the others go on"
    assert "retention/namespace=shop/deployment=churn.json" in caplog.text
    delete_expired(store, NOW, Retention(days=1, most=7))
    assert len(days_left(store, "churn")) == 2, "beyond the maximum nothing is kept"
    RetentionWishes(store).note("shop", "churn", 1)
    assert wished_days(store, "shop", "churn") == 1


def test_one_collector_at_a_time_keeps_a_lake(store: FolderStore) -> None:
    century = 100 * 365.25 * 86_400  # 1970 to 2069: no window may end between the two
    one, other = Lease(store, century / 2), Lease(store, century / 2)
    assert (one.hold(), other.hold()) == (True, False)
    assert one.hold()
    assert len(list(store.list(FOLDER))) == 1
