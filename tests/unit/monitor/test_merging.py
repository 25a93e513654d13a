"""Files that become one: sorted, each event once, every column kept, memory bounded."""

import io
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from podium_monitor.lake import merging
from podium_monitor.lake.merging import Unmergeable, merged
from podium_monitor.lake.values import values_of_objects

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
MICROSECONDS = pa.timestamp("us", tz="UTC")


def file(ids: list[str], minutes: list[int], version: str = "1", **columns: Any) -> io.BytesIO:
    times = pa.array([NOON + timedelta(minutes=minute) for minute in minutes], MICROSECONDS)
    table = pa.table({"event_id": ids, "time": times, **columns})
    sink = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"podium.schema_version": version}), sink)
    return sink


def ids(content: bytes) -> list[str]:
    return list(pq.read_table(io.BytesIO(content))["event_id"].to_pylist())


def test_rows_are_sorted_by_time_and_each_event_is_there_once() -> None:
    content = merged([file(["c", "a"], [3, 1]), file(["b", "c", "d"], [2, 3, 0]), file(["a"], [1])])
    assert ids(content) == ["d", "a", "b", "c"]


def test_columns_that_only_some_files_have_are_kept_with_their_types() -> None:
    old = file(["a"], [0], score=pa.array([1], pa.int32()))
    new = file(["b"], [1], version="3", score=pa.array([2], pa.int64()), segment=pa.array(["gold"]))
    table = pq.read_table(io.BytesIO(merged([old, new])))
    assert table["score"].to_pylist() == [1, 2]
    assert table.schema.field("score").type == pa.int64()
    assert table["segment"].to_pylist() == [None, "gold"]
    assert table.schema.metadata[b"podium.schema_version"] == b"3"


def test_columns_that_cannot_be_one_are_named() -> None:
    with pytest.raises(Unmergeable, match="score"):
        merged([file(["a"], [0], score=pa.array([1])), file(["b"], [1], score=pa.array(["high"]))])
    table = pa.table({"event_id": ["a"]})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    with pytest.raises(Unmergeable, match="no column time"):
        merged([sink])


def test_much_is_merged_slice_by_slice_and_row_groups_say_what_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "SLICE_BYTES", 3000)
    monkeypatch.setattr(merging, "ROW_GROUP_ROWS", 50)
    even = file([f"e{n:03}" for n in range(0, 600, 2)], list(range(0, 600, 2)))
    odd = file([f"e{n:03}" for n in range(599, 0, -2)], list(range(599, 0, -2)))
    again = file([f"e{n:03}" for n in range(100)], list(range(100)))
    content = merged([even, odd, again])
    assert ids(content) == [f"e{n:03}" for n in range(600)]
    metadata = pq.read_metadata(io.BytesIO(content))
    assert metadata.num_row_groups >= 12
    bounds = [metadata.row_group(group).column(1).statistics for group in range(metadata.num_row_groups)]
    assert all(before.max < after.min for before, after in pairwise(bounds))


def test_columns_of_files_that_come_together_are_told_apart_in_sql() -> None:
    marked = next(name for name in values_of_objects("input", [{"age": 1.0, "Age": 1.0}]) if "~" in name)
    columns: list[dict[str, Any]] = [{"input.number.Age": [1.0]}, {"input.number.age": [2.0], marked: [3.0]}]
    alone, both = file(["a"], [0], **columns[0]), file(["b"], [1], **columns[1])
    table = pq.read_table(io.BytesIO(merged([alone, both])))
    assert table.column_names == ["event_id", "time", marked, "input.number.age"]
    assert table[marked].to_pylist() == [1.0, 3.0]
    assert table["input.number.age"].to_pylist() == [None, 2.0]
