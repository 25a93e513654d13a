"""Who asks in SQL gets each row's inputs and outputs as a JSON object, of files of any versions together."""

import json
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from podium_monitor.lake.querying import json_of, value_columns
from podium_monitor.lake.values import values_of_objects


def test_files_of_versions_that_differ_give_objects_together(tmp_path: Path) -> None:
    given: list[list[dict[str, Any]]] = [
        [{"x": 1.5, 'it\'s "x"': "a"}, {"x": None, 'it\'s "x"': ""}],
        [{"x": "n/a", "y": {"z": [1, None]}}, {"x": [0.5, 1.0], "y": True}],
    ]
    paths = [str(tmp_path / f"{number}.parquet") for number in range(2)]
    for path, rows in zip(paths, given, strict=True):
        pq.write_table(pa.table({"join_key": ["k"] * len(rows)} | values_of_objects("input", rows)), path)
    columns = value_columns(paths)
    sql = f"SELECT {json_of('input', columns)}, {json_of('output', columns)} FROM read_parquet($1, union_by_name = true)"
    found = duckdb.execute(sql, [paths]).fetchall()
    names = dict.fromkeys(("x", 'it\'s "x"', "y"))
    assert [json.loads(inputs) for inputs, _ in found] == [names | row for rows in given for row in rows]
    assert {outputs for _, outputs in found} == {"{}"}


def test_names_that_differ_by_case_alone_have_their_own_values(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"age": 1.0, "Age": 2.0}, {"age": None, "Age": 3.0}]
    path = str(tmp_path / "both.parquet")
    pq.write_table(pa.table({"join_key": ["k"] * 2} | values_of_objects("input", rows)), path)
    sql = f"SELECT {json_of('input', value_columns([path]))} FROM read_parquet($1, union_by_name = true)"
    assert [json.loads(inputs) for (inputs,) in duckdb.execute(sql, [[path]]).fetchall()] == rows
