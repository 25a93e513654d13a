"""Spark reads the lake as it lies: files of several versions of Podium and of models, of which some have other columns."""

import json
import shutil
from pathlib import Path

import pytest

from clients_fixtures import program, run_client, venv_of
from lake_fixtures import grown_lake

pytestmark = [
    pytest.mark.clients,
    pytest.mark.skipif(shutil.which("java") is None, reason="there is no java; `python hack/cluster packages` installs it"),
]

COLUMNS = {
    "event_id": "string",
    "deployment": "string",
    "hour": "int",
    "time": "timestamp",
    "segment": "string",
    "sampled": "boolean",
    "input.number.tenure": "double",
    "input.text.tenure": "string",
    "input.number.contract": "double",
    "input.text.contract": "string",
    "input.number.age": "double",
    "output.numbers.probabilities": "array<double>",
}


def test_spark_reads_columns_that_came_later_and_types_that_changed(tmp_path: Path) -> None:
    grown_lake(tmp_path / "lake")
    answers = tmp_path / "answers.json"
    command: list[str | Path] = [venv_of("pyspark") / "python", program("spark_read"), tmp_path / "lake" / "predictions"]
    told = json.loads(run_client("pyspark", [*command, ",".join(COLUMNS), answers], answers, seconds=900))
    assert dict(zip(COLUMNS, told["types"], strict=True)) == COLUMNS
    found = [dict(zip(COLUMNS, row, strict=True)) for row in told["rows"]]
    assert [row["time"] for row in found] == [f"2026-11-21 {hour}:05:00.250000" for hour in (11, 11, 12, 13)]
    assert all((row["deployment"], row["output.numbers.probabilities"]) == ("churn", [0.25, 0.75]) for row in found)
    values = ["segment", "sampled", *(name for name in COLUMNS if name.startswith("input."))]
    assert {row["event_id"]: [row[name] for name in values] for row in found} == {
        "a": [None, None, 3.5, None, None, "monthly", None],
        "b": [None, True, None, "unknown", None, "yearly", None],
        "c": [None, None, 4.0, None, 12.0, None, None],
        "d": ["gold", True, 3.5, None, None, None, 41.0],
    }
