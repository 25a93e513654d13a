"""The comparison with golden rows: what may differ, what may flip, and how the worst row is told."""

from typing import Any

import numpy as np
import pytest

from podium_crds.package import Descriptor, GoldenRow
from podium_serving.exchange import InvalidRequest
from podium_serving.model.golden import compare, golden_columns

DESCRIPTOR = Descriptor.model_validate(
    {
        "name": "churn",
        "version": "1",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 1], "nullable": True}],
        "outputs": [
            {"name": "label", "datatype": "BYTES", "shape": [-1], "kind": "Label"},
            {"name": "p", "datatype": "FP32", "shape": [-1, 2], "kind": "Probabilities"},
        ],
    }
)


def golden(label: str = "yes", p: Any = (0.25, 0.75), margin: float | None = 0.5) -> GoldenRow:
    return GoldenRow(inputs={"x": 1.0}, outputs={"label": label, "p": list(p)}, margin=margin)


def answers(*rows: tuple[str, float, float]) -> dict[str, Any]:
    return {
        "label": np.array([row[0] for row in rows], object),
        "p": np.array([row[1:] for row in rows], np.float32),
    }


def test_equal_answers_pass() -> None:
    verdict = compare(DESCRIPTOR, [golden(), golden("no", (0.75, 0.25))], answers(("yes", 0.25, 0.75), ("no", 0.75, 0.25)))
    assert (verdict.passed, verdict.rows, verdict.failed_rows, verdict.flipped_labels) == (True, 2, 0, 0)
    assert (verdict.worst_absolute_error, verdict.worst) == (0.0, "")


# The allowance for 0.75 is 1e-5 + 1e-4 * 0.75 = 8.5e-5.
@pytest.mark.parametrize(
    ("got", "passed"),
    [pytest.param(0.75008, True, id="within"), pytest.param(0.7501, False, id="beyond")],
)
def test_a_number_may_differ_by_its_tolerance(got: float, passed: bool) -> None:
    verdict = compare(DESCRIPTOR, [golden()], answers(("yes", 0.25, got)))
    assert verdict.passed is passed
    assert verdict.worst_absolute_error == pytest.approx(got - 0.75, abs=1e-6)


def test_the_worst_row_is_told_with_both_numbers_and_the_tolerance() -> None:
    verdict = compare(DESCRIPTOR, [golden()] * 3, answers(("yes", 0.25, 0.76), ("yes", 0.3, 0.75), ("yes", 0.25, 0.75)))
    assert (verdict.passed, verdict.failed_rows) == (False, 2)
    assert verdict.worst == "row 1: output 'p' is 0.300000012, golden 0.25 (tolerance 3.5e-05)"


@pytest.mark.parametrize(
    ("margin", "p", "flips", "passed"),
    [
        # The winning probability 0.50002 may differ by 1e-5 + 1e-4 * 0.50002 = 6e-5.
        pytest.param(5e-5, (0.49998, 0.50002), 1, True, id="margin-within"),
        pytest.param(7e-5, (0.49998, 0.50002), 0, False, id="margin-beyond"),
        pytest.param(None, (0.49998, 0.50002), 0, False, id="no-margin-stated"),
    ],
)
def test_a_label_may_flip_only_within_the_margin_and_is_counted(
    margin: float | None, p: tuple[float, float], flips: int, passed: bool
) -> None:
    verdict = compare(DESCRIPTOR, [golden("yes", p, margin)], answers(("no", *p)))
    assert (verdict.flipped_labels, verdict.passed) == (flips, passed)
    if not passed:
        said = "no margin is stated" if margin is None else "margin 7e-05"
        assert verdict.worst == f"row 0: output 'label' is 'no', golden 'yes' ({said})"


@pytest.mark.parametrize(
    ("wanted", "got", "passed"),
    [
        pytest.param(None, float("nan"), True, id="nan-for-null"),
        pytest.param(None, 0.0, False, id="number-for-null"),
        pytest.param(0.5, float("nan"), False, id="nan-for-a-number"),
        pytest.param(0.5, float("inf"), False, id="infinity"),
    ],
)
def test_nan_equals_null_only(wanted: float | None, got: float, passed: bool) -> None:
    verdict = compare(DESCRIPTOR, [golden(p=(wanted, 0.75))], answers(("yes", got, 0.75)))
    assert verdict.passed is passed


def test_a_golden_output_that_the_model_lacks_fails() -> None:
    row = GoldenRow(inputs={"x": 1}, outputs={"score": 1.0})
    verdict = compare(DESCRIPTOR, [row], answers(("yes", 0.25, 0.75)))
    assert verdict.worst == "row 0: the model has no output 'score', the golden row states one"


def test_another_width_fails() -> None:
    verdict = compare(DESCRIPTOR, [golden(p=(0.2, 0.3, 0.5))], answers(("yes", 0.25, 0.75)))
    assert not verdict.passed
    assert "golden output 'p' has 3 values in 1 rows; the model takes [-1, 2] FP32" in verdict.worst


def test_hooked_answers_are_compared_with_hooked_outputs() -> None:
    row = GoldenRow(inputs={"x": 1}, outputs={"label": "yes"}, hooked_outputs={"label": "no"})
    hooked = answers(("no", 0, 0))
    assert not compare(DESCRIPTOR, [row], hooked).passed
    assert compare(DESCRIPTOR, [row], hooked, hooked=True).passed


@pytest.mark.parametrize("value", [1.5, [1.5]])
def test_inputs_may_be_scalars_or_lists_and_absent_means_missing(value: Any) -> None:
    rows = [GoldenRow(inputs={"x": value}, outputs={}), GoldenRow(inputs={}, outputs={})]
    column = golden_columns(DESCRIPTOR, rows)["x"]
    assert column.shape == (2, 1)
    assert column[0, 0] == 1.5
    assert np.isnan(column[1, 0])


def test_inputs_of_another_width_are_refused_by_name() -> None:
    with pytest.raises(InvalidRequest, match="golden input 'x' has 2 values in 1 rows"):
        golden_columns(DESCRIPTOR, [GoldenRow(inputs={"x": [1, 2]}, outputs={})])
