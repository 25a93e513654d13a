"""The lake: hive folders of whole Parquet files that any reader takes as they lie."""

import os
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from monitor_fixtures import batch, event, prediction, rows, shadow
from podium_monitor.credentials import Source
from podium_monitor.events import Clock, rows_of
from podium_monitor.lake.lock import LakeInUse
from podium_monitor.lake.store import FolderStore
from podium_monitor.lake.tables import Rows
from podium_monitor.lake.writer import Lake

NOW = datetime(2026, 11, 21, 13, 30, tzinfo=UTC)
CHURN = Source("shop", "churn", "uid-1")


def read(*events: dict[str, Any], received: datetime = NOW) -> list[Rows]:
    return rows_of(batch(list(events)), CHURN, Clock(received, timedelta(days=2), timedelta(hours=1)), 1000)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(FolderStore(tmp_path))
    lake.open()
    return lake


def test_rows_are_filed_by_deployment_date_and_hour(lake: Lake, tmp_path: Path) -> None:
    events = [event("a"), event("b", time="2026-11-20T23:59:59Z"), event("s", type="dev.podium.shadow.v1", data=shadow())]
    for group in read(*events):
        lake.write(group)
    folders = sorted(str(path.parent.relative_to(tmp_path)) for path in tmp_path.glob("**/*.parquet"))
    assert folders == [
        "predictions/namespace=shop/deployment=churn/date=2026-11-20/hour=23",
        "predictions/namespace=shop/deployment=churn/date=2026-11-21/hour=13",
        "shadows/namespace=shop/deployment=churn/date=2026-11-21/hour=13",
    ]
    assert lake.count("predictions", "shop", "churn") == 2
    assert lake.count("shadows", "shop", "churn") == 1
    assert lake.count("predictions", "shop", "fraud") == 0


def test_a_reader_of_hive_parquet_sees_typed_columns(lake: Lake, tmp_path: Path) -> None:
    lake.write(read(event("a"), event("b", data=prediction(join_key=None)))[0])
    table = ds.dataset(tmp_path / "predictions", format="parquet", partitioning="hive").to_table()
    found = table.sort_by("event_id").to_pylist()
    assert found[0]["deployment"] == "churn"
    assert found[0]["time"] == datetime(2026, 11, 21, 13, 5, 0, 250_000, tzinfo=UTC)
    assert (found[0]["epoch"], found[0]["latency_seconds"], found[0]["row"]) == (7, 0.0125, 0)
    assert (found[0]["input.number.tenure"], found[0]["output.numbers.probabilities"]) == (3.5, [0.25, 0.75])
    assert found[1]["join_key"] is None


def test_a_file_says_which_schema_it_has(lake: Lake, tmp_path: Path) -> None:
    lake.write(read(event("a"))[0])
    (path,) = tmp_path.glob("**/*.parquet")
    assert pq.read_schema(path).metadata[b"podium.schema_version"] == b"2"


def test_what_a_crash_left_half_written_is_found_by_nobody_and_removed(lake: Lake, tmp_path: Path) -> None:
    for name, age in [("old", 3600), ("of another process that writes", 1)]:
        (tmp_path / ".incoming").mkdir(exist_ok=True)
        (tmp_path / ".incoming" / name).write_bytes(b"PAR1 half")
        os.utime(tmp_path / ".incoming" / name, (time.time() - age,) * 2)
    assert rows(tmp_path) == []
    lake.close()
    Lake(FolderStore(tmp_path)).open()
    assert [path.name for path in (tmp_path / ".incoming").iterdir()] == ["of another process that writes"]


def test_a_second_process_waits_for_the_first(lake: Lake, tmp_path: Path) -> None:
    second = Lake(FolderStore(tmp_path))
    with pytest.raises(LakeInUse, match="another process writes to"):
        second.open()
    lake.close()
    second.open()
    second.close()


def test_a_write_that_fails_leaves_nothing(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "predictions").write_bytes(b"a file where a folder should be")
    with pytest.raises(OSError, match="predictions"):
        lake.write(read(event("a"))[0])
    assert list((tmp_path / ".incoming").iterdir()) == []
    os.unlink(tmp_path / "predictions")
    lake.write(read(event("a"))[0])
    assert len(rows(tmp_path)) == 1


def test_recent_events_are_the_newest_files_first_within_the_horizon(lake: Lake) -> None:
    for name, minutes in [("old", 0), ("young", 50), ("new", 100)]:
        lake.write(read(event(name), received=NOW + timedelta(minutes=minutes))[0])
    (churn,) = read(event("other"))
    lake.write(replace(churn, place=replace(churn.place, deployment="fraud")))
    found = list(lake.recent_events(days=3, seconds=3600, limit=100))
    assert [ids for _, _, ids in found] == [["new"], ["young"]]
    found = list(lake.recent_events(days=3, seconds=36000, limit=100))
    places = {ids[0]: place for _, place, ids in found}
    assert (places["other"].deployment, places["old"].deployment) == ("fraud", "churn")
    assert len(list(lake.recent_events(days=3, seconds=36000, limit=1))) == 1
