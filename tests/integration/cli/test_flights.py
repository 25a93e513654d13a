"""The story of docs/guide/flights.md, told again: a planted mistake is found, named and dated in a year of real flights."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from demo.where import ROOT

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flights")
    subprocess.run([sys.executable, "examples/flights/flights.py", "--out", str(folder)], cwd=ROOT, check=True, timeout=300)
    return folder


def evaluated(folder: Path, name: str) -> Any:
    options = ["--target", "late", "--score", "score", "--prediction", "prediction", "--chunk-by", "departure:1M"]
    files = ["--reference", str(folder / "reference.parquet"), "--current", str(folder / f"{name}.parquet")]
    command = [sys.executable, "-m", "podium_cli", "evaluate", *files, *options, "--json", "-"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=300)
    return json.loads(done.stdout)


def test_delays_in_hours_from_august_are_found_named_and_dated(tables: Path) -> None:
    found = evaluated(tables, "planted")
    drifted = {chunk["start"][:7]: chunk["drift"]["dep_delay"]["alert"] for chunk in found["chunks"]}
    assert drifted == {f"2013-{month:02d}": month >= 8 for month in range(2, 13)}
    first = next(sentence for sentence in found["diagnosis"] if sentence.startswith("column"))
    assert re.search(
        r"'dep_delay' drifted from the window of 2013-08.*about 1/60 .*minutes and hours.*a unit changed", first
    )


def test_the_year_as_it_was_has_its_weather_and_no_unit_error(tables: Path) -> None:
    found = evaluated(tables, "year")
    assert sum(chunk["rows"] for chunk in found["chunks"]) == 302_038
    assert not any("unit" in sentence for sentence in found["diagnosis"])
    aucs = {chunk["start"][:7]: chunk["performance"]["auc"]["value"] for chunk in found["chunks"]}
    assert min(aucs, key=lambda month: aucs[month]) == "2013-07"
    assert all(chunk["drift"]["temp"]["alert"] for chunk in found["chunks"])
