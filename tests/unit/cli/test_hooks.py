"""transform.py: loaded, run over golden rows, and refused where a pod would trip over it."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LogisticRegression

from cli_fixtures import customers, fitted
from podium_cli.errors import ModelRefused, UserError
from podium_cli.hooks import load_hooks
from podium_cli.package import package_pipeline
from podium_crds.package import GoldenRow


@pytest.fixture(scope="module")
def model() -> Any:
    return fitted(LogisticRegression(max_iter=2000))


def packaged_rows(model: Any, tmp_path: Path, code: str) -> list[GoldenRow]:
    (tmp_path / "transform.py").write_text(code)
    package_pipeline(
        model, customers(), name="m", version="1", out=tmp_path / "package", transform=tmp_path / "transform.py"
    )
    lines = (tmp_path / "package" / "golden.jsonl").read_bytes().splitlines()
    return [GoldenRow.model_validate_json(line) for line in lines]


def test_golden_rows_carry_both_answers(model: Any, tmp_path: Path) -> None:
    rows = packaged_rows(
        model, tmp_path, "def after(outputs, inputs):\n    return {**outputs, 'label': 1 - outputs['label']}\n"
    )
    for row in rows:
        assert row.hooked_outputs is not None
        assert row.hooked_outputs["label"] == 1 - row.outputs["label"]
    descriptor = (tmp_path / "package" / "podium.yaml").read_text()
    assert "transform: true" in descriptor
    assert (tmp_path / "package" / "transform.py").is_file()


def test_before_gets_columns_as_the_wire_has_them_and_after_the_request_as_it_was(model: Any, tmp_path: Path) -> None:
    code = """
import numpy as np
def before(columns):
    assert columns['age'].dtype == np.float64 and columns['age'].shape[1:] == (1,)
    assert all(isinstance(text, str) for text in columns['plan'][:, 0])
    return {**columns, 'plan': np.full_like(columns['plan'], 'pro')}
def after(outputs, inputs):
    outputs['probabilities'][inputs['plan'][:, 0] == ''] = 0.5
    return outputs
"""
    rows = packaged_rows(model, tmp_path, code)
    missing = [row for row in rows if row.inputs["plan"] is None]
    assert missing
    assert all(row.hooked_outputs and row.hooked_outputs["probabilities"] == [0.5, 0.5] for row in missing)


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            "def before(columns):\n    return None\n",
            "before(columns) returned NoneType; it must return a dict with age, city",
        ),
        ("def before(columns):\n    return {}\n", "before(columns) returned []; it must return a dict with age"),
        (
            "def after(outputs, inputs):\n    return {**outputs, 'label': outputs['label'].astype(float)}\n",
            "after(outputs, inputs) returned 'label' as float64 [100]; it must be a int64 array [100]",
        ),
        ("def before(columns):\n    return columns['nope']\n", "before(columns) failed on a golden row: KeyError: 'nope'"),
        ("def after(outputs, inputs):\n    1 / 0\n", "after(outputs, inputs) failed on a golden row: ZeroDivisionError"),
        (
            "def after(outputs, inputs):\n    return {**outputs, 'probabilities': outputs['probabilities'][::-1].copy()}\n",
            "hooks must treat each row by itself, for requests are joined into batches",
        ),
    ],
    ids=["returns-nothing", "drops-columns", "changes-type", "before-fails", "after-fails", "mixes-rows"],
)
def test_a_hook_that_a_pod_would_trip_over_is_refused(model: Any, tmp_path: Path, code: str, sentence: str) -> None:
    with pytest.raises(ModelRefused) as caught:
        packaged_rows(model, tmp_path, code)
    assert sentence in str(caught.value)
    assert not (tmp_path / "package").exists()


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("import no_such_package_here\n", "imports 'no_such_package_here', which is not installed here; install it"),
        ("x = 1\n", "defines neither before(columns) nor after(outputs, inputs)"),
        ("def before(:\n", "cannot be imported: SyntaxError"),
    ],
)
def test_a_file_that_is_no_hook_is_refused(tmp_path: Path, code: str, sentence: str) -> None:
    (tmp_path / "transform.py").write_text(code)
    with pytest.raises(UserError) as caught:
        load_hooks(tmp_path / "transform.py")
    assert sentence in str(caught.value)


def test_loading_hooks_leaves_no_module_and_no_cache_behind(tmp_path: Path) -> None:
    (tmp_path / "transform.py").write_text("def before(columns):\n    return columns\n")
    load_hooks(tmp_path / "transform.py")
    assert "podium_transform" not in sys.modules
    assert json.dumps(sorted(path.name for path in tmp_path.iterdir())) == '["transform.py"]'
