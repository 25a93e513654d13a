"""Readers that know nothing of Podium take the lake as it lies: old files, new ones, and compacted ones, of versions that
have other inputs, and inputs of another type."""

import ast
import os
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitor_fixtures import batch, event, prediction
from podium_monitor.credentials import Source
from podium_monitor.events import Clock, rows_of
from podium_monitor.lake.compaction import Policy
from podium_monitor.lake.replacing import finish
from podium_monitor.lake.store import FolderStore
from podium_monitor.lake.upkeep import compact, look
from podium_monitor.lake.values import ValueColumn, value_column
from podium_monitor.lake.writer import Lake

NOW = datetime(2026, 11, 21, 13, 30, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Hour 11: compacted from a file of an old Podium, which lacks two columns, and one of today's. Hour 12: of an old
    Podium alone, and of a model whose contract is a number. Hour 13: of a future one, which has a column more, and of a
    model that knows no contract."""
    store = FolderStore(tmp_path)
    columns_of_future = {"segment": pa.array(["gold"])}
    write(store, "a", 11, {"tenure": 3.5, "contract": "monthly"}, drop=["sampled", "join_key_hashed"])
    write(store, "b", 11, {"tenure": "unknown", "contract": "yearly"})
    write(store, "c", 12, {"tenure": 4, "contract": 12}, drop=["sampled", "join_key_hashed"])
    write(store, "d", 13, {"tenure": 3.5, "age": 41}, add=columns_of_future)
    (job,) = look(store, LATER, Policy()).jobs
    assert compact(store, job, LATER, lambda: True) == 2
    finish(store, LATER + timedelta(days=1), timedelta(minutes=5))
    return tmp_path


def write(
    store: FolderStore,
    name: str,
    hour: int,
    inputs: dict[str, Any],
    drop: Sequence[str] = (),
    add: dict[str, pa.Array] | None = None,
) -> None:
    at = f"2026-11-21T{hour}:05:00.250Z"
    data = prediction(inputs=inputs)
    clock = Clock(NOW, timedelta(days=2), timedelta(hours=1))
    (rows,) = rows_of(batch([event(name, time=at, data=data)]), Source("shop", "churn", "uid-1"), clock, 10)
    Lake(store).write(rows)
    if not drop and not add:
        return
    (path,) = [entry.path for entry in store.list(rows.place.folder) if name in _ids(store.local(entry.path))]
    table = pq.ParquetFile(store.local(path)).read().drop_columns(list(drop))
    for column, values in (add or {}).items():
        table = table.append_column(column, values)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    store.delete(path)
    store.create(path, bytes(sink.getvalue()))


def _ids(path: Path) -> list[str]:
    return list(pq.ParquetFile(path).read(["event_id"])[0].to_pylist())


def test_duckdb_reads_it(lake: Path) -> None:
    found = duckdb.execute(
        """
        SELECT event_id, deployment, hour, "input.number.tenure", "input.text.contract", "input.number.contract",
               sampled, segment, time AT TIME ZONE 'UTC'
        FROM read_parquet(?, hive_partitioning = true, union_by_name = true) ORDER BY event_id
        """,
        [f"{lake}/predictions/**/*.parquet"],
    ).fetchall()
    times = [datetime(2026, 11, 21, hour, 5, 0, 250_000) for hour in (11, 11, 12, 13)]  # noqa: DTZ001  as DuckDB has them
    assert found == [
        ("a", "churn", 11, 3.5, "monthly", None, None, None, times[0]),
        ("b", "churn", 11, None, "yearly", None, True, None, times[1]),
        ("c", "churn", 12, 4.0, None, 12.0, None, None, times[2]),
        ("d", "churn", 13, 3.5, None, None, True, "gold", times[3]),
    ]


def test_duckdb_skips_folders_by_their_names(lake: Path) -> None:
    query = "SELECT count(*) FROM read_parquet(?, hive_partitioning = true, union_by_name = true) WHERE hour = 12"
    assert duckdb.execute(query, [f"{lake}/predictions/**/*.parquet"]).fetchone() == (1,)


def test_the_query_of_the_guide_runs(lake: Path) -> None:
    guide = (Path(__file__).parents[3] / "docs" / "guide" / "lake.md").read_text()
    query = guide.partition("```sql\n")[2].partition("```")[0].replace("'lake/", f"'{lake}/")
    found = duckdb.execute(f"SELECT * EXCLUDE (time) FROM ({query.strip().rstrip(';')})").fetchall()  # times want pytz
    assert sorted(found, key=str) == [("churn-3", 3.5, "yes", 0.75)] * 2 + [
        ("churn-3", 4.0, "yes", 0.75),
        ("churn-3", None, "yes", 0.75),
    ]


def test_pandas_reads_it(lake: Path) -> None:
    schema = pa.unify_schemas([pq.read_schema(path) for path in lake.glob("predictions/**/*.parquet")])
    frame = pd.read_parquet(lake / "predictions", partitioning="hive", schema=_with_folders(schema)).sort_values("event_id")
    assert list(frame["event_id"]) == ["a", "b", "c", "d"]
    assert [None if pd.isna(one) else one for one in frame["segment"]] == [None, None, None, "gold"]
    assert set(frame["deployment"].astype(str)) == {"churn"}
    assert frame["time"].dt.tz is not None
    assert [None if pd.isna(one) else one for one in frame["input.number.tenure"]] == [3.5, None, 4.0, 3.5]
    assert [None if pd.isna(one) else one for one in frame["input.text.tenure"]] == [None, "unknown", None, None]
    assert list(frame["output.numbers.probabilities"].iloc[0]) == [0.25, 0.75]


def test_names_that_differ_by_case_alone_are_columns_of_their_own_for_every_reader(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    write(store, "a", 11, {"Age": 1, "age": 2})
    write(store, "b", 11, {"age": 3, "Age": 4})
    write(store, "c", 12, {"age": 5, "Age": None})
    write(store, "d", 12, {"age": None, "Age": 6})
    (job, _) = look(store, LATER, Policy()).jobs
    assert compact(store, job, LATER, lambda: True) == 2
    finish(store, LATER + timedelta(days=1), timedelta(minutes=5))
    files = f"{tmp_path}/predictions/**/*.parquet"
    query = "SELECT * FROM read_parquet(?, union_by_name = true) ORDER BY event_id"
    named = [column[0] for column in duckdb.execute(query, [files]).description if column[0].startswith("input.number")]
    [marked] = set(named) - {"input.number.age"}
    assert value_column(marked) == ValueColumn("input", "number", "Age", apart=True)
    right = [("a", 2.0, 1.0), ("b", 3.0, 4.0), ("c", 5.0, None), ("d", None, 6.0)]
    found = duckdb.execute(f'SELECT event_id, "input.number.age", "{marked}" FROM ({query})', [files]).fetchall()
    assert found == right
    schema = pa.unify_schemas([pq.read_schema(path) for path in tmp_path.glob("predictions/**/*.parquet")])
    frame = pd.read_parquet(tmp_path / "predictions", partitioning="hive", schema=_with_folders(schema))
    rows = frame.sort_values("event_id")[["event_id", "input.number.age", marked]].itertuples(index=False, name=None)
    assert [tuple(None if pd.isna(one) else one for one in row) for row in rows] == right


SPARK = """
import sys
from pyspark.sql import SparkSession
local = {"spark.ui.enabled": "false", "spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
builder = SparkSession.builder.master("local[1]").config("spark.sql.session.timeZone", "UTC")
for name, value in local.items():
    builder = builder.config(name, value)
frame = builder.getOrCreate().read.option("mergeSchema", "true").parquet(sys.argv[1])
names = ["event_id", "deployment", "hour", "segment", "sampled", "`input.number.tenure`", "`input.text.contract`"]
rows = frame.select(*names).orderBy("event_id").collect()
print("FOUND", [tuple(row) for row in rows])
"""


@pytest.mark.skipif("PODIUM_SPARK_PYTHON" not in os.environ, reason="PODIUM_SPARK_PYTHON names no Python with pyspark")
def test_spark_reads_it(lake: Path) -> None:
    command = [os.environ["PODIUM_SPARK_PYTHON"], "-c", SPARK, str(lake / "predictions")]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout
    found = ast.literal_eval(answer.rpartition("FOUND ")[2])
    assert found == [
        ("a", "churn", 11, None, None, 3.5, "monthly"),
        ("b", "churn", 11, None, True, None, "yearly"),
        ("c", "churn", 12, None, None, 4.0, None),
        ("d", "churn", 13, "gold", True, 3.5, None),
    ]


def _with_folders(schema: pa.Schema) -> pa.Schema:
    for name in ("namespace", "deployment", "date", "hour"):
        schema = schema.append(pa.field(name, pa.string()))
    return schema
