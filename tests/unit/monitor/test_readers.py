"""Readers that know nothing of Podium take the lake as it lies: old files, new ones, and compacted ones, of versions that
have other inputs, and inputs of another type. Spark: tests/clients."""

from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake_fixtures import LATER, grown_lake, write
from podium_monitor.lake.compaction import Policy
from podium_monitor.lake.replacing import finish
from podium_monitor.lake.store import FolderStore
from podium_monitor.lake.upkeep import compact, look
from podium_monitor.lake.values import ValueColumn, value_column


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    grown_lake(tmp_path)
    return tmp_path


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


def _with_folders(schema: pa.Schema) -> pa.Schema:
    for name in ("namespace", "deployment", "date", "hour"):
        schema = schema.append(pa.field(name, pa.string()))
    return schema
