"""examples/churn: what the demo is made of."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podium_cli.folder import read_package

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("churn")
    subprocess.run(
        [sys.executable, str(ROOT / "examples/churn/train.py"), "--out", str(out)], check=True, capture_output=True
    )
    return out


def golden(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "golden.jsonl").read_bytes().splitlines()]


def test_all_versions_take_the_same_columns_so_that_one_may_replace_another(trained: Path) -> None:
    signatures = [
        [(spec.name, spec.datatype, spec.shape) for spec in (*described.inputs, *described.outputs)]
        for described in (read_package(trained / f"churn-{version}").descriptor for version in ("1", "2", "3", "broken"))
    ]
    assert signatures == [signatures[0]] * 4
    assert len(signatures[0]) == 21


def test_the_successor_is_better_than_the_champion_on_rows_that_neither_saw(trained: Path) -> None:
    champion, successor = (read_package(trained / f"churn-{version}").descriptor.training.metrics for version in "12")
    assert successor["auc"] > champion["auc"] > 0.8
    assert successor["log_loss"] < champion["log_loss"]


def test_the_challengers_answers_differ_without_its_package(trained: Path) -> None:
    described = read_package(trained / "churn-3").descriptor
    assert described.needs_image
    assert described.requirements == ["numpy-financial==1.0.0"]
    differences = [
        abs(row["outputs"]["probabilities"][1] - row["hooked_outputs"]["probabilities"][1])
        for row in golden(trained / "churn-3")
    ]
    assert np.median(differences) > 0.02


def test_the_broken_version_is_whole_but_answers_nothing_like_its_golden_rows(trained: Path) -> None:
    broken, champion = read_package(trained / "churn-broken"), read_package(trained / "churn-1")
    assert broken.digest != champion.digest
    assert (trained / "churn-broken/model.onnx").read_bytes() == (trained / "churn-1/model.onnx").read_bytes()
    pairs = zip(golden(trained / "churn-broken"), golden(trained / "churn-1"), strict=True)
    assert all(left["outputs"]["probabilities"] != right["outputs"]["probabilities"] for left, right in pairs)


def test_golden_rows_include_the_customers_without_a_total(trained: Path) -> None:
    assert any(row["inputs"]["total_charges"] is None for row in golden(trained / "churn-1"))


def test_production_traffic_is_what_applications_send(trained: Path) -> None:
    requests = [json.loads(line) for line in (trained / "requests.jsonl").read_bytes().splitlines()]
    assert len(requests) == 1409
    assert requests[0]["customer"] == "customer-0123"
    assert len({request["customer"] for request in requests}) == 1409
    names = [spec.name for spec in read_package(trained / "churn-1").descriptor.inputs]
    for request in requests:
        assert [tensor["name"] for tensor in request["body"]["inputs"]] == names
