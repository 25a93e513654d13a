from typing import Any

import numpy as np
import pytest

from podium_cli.answers import Answers
from podium_cli.parity import parity
from podium_crds.package import Tolerances

TOLERANCES = Tolerances(absolute=1e-5, relative=1e-4)


def numbers(*values: float) -> dict[str, Any]:
    return {"prediction": np.array(values).reshape(-1, 1)}


@pytest.mark.parametrize(
    ("expected", "got", "mismatched"),
    [
        pytest.param([1.0], [1.000109], 0, id="absolute-and-relative-add-up"),
        pytest.param([1.0], [1.000111], 1, id="just-beyond"),
        pytest.param([0.0], [1e-5], 0, id="absolute-alone-near-zero"),
        pytest.param([-1e6], [-1e6 - 99], 0, id="relative-counts-for-negatives"),
        pytest.param([np.nan], [np.nan], 0, id="nan-equals-nan"),
        pytest.param([1.0], [np.nan], 1, id="nan-equals-no-number"),
        pytest.param([np.nan], [1.0], 1, id="no-number-equals-nan"),
        pytest.param([np.inf], [np.inf], 0, id="infinities-are-equal"),
        pytest.param([np.inf], [-np.inf], 1, id="infinities-have-signs"),
        pytest.param([1.0], [np.inf], 1, id="no-number-is-infinite"),
    ],
)
def test_a_number_may_differ_by_absolute_plus_relative(expected: list[float], got: list[float], mismatched: int) -> None:
    found = parity(Answers(numbers(*expected)), numbers(*got), TOLERANCES)
    assert (found.mismatched_rows, found.holds) == (mismatched, mismatched == 0)


@pytest.mark.parametrize(
    ("margin", "mismatched", "flipped"),
    [
        pytest.param(0.00005, 0, 1, id="undecided-within-tolerance"),
        pytest.param(0.00007, 1, 0, id="decided"),
    ],
)
def test_a_label_may_flip_only_where_the_library_was_undecided(margin: float, mismatched: int, flipped: int) -> None:
    """The winner's probability is 0.5, so its allowance is 1e-5 + 0.5e-4."""
    expected = Answers({"label": np.array([1])}, margins=np.array([margin]), winners=np.array([0.5]))
    found = parity(expected, {"label": np.array([0])}, TOLERANCES)
    assert (found.mismatched_rows, found.flipped_labels) == (mismatched, flipped)


def test_a_label_without_probabilities_never_flips() -> None:
    found = parity(Answers({"label": np.array(["a"], dtype=object)}), {"label": np.array(["b"], dtype=object)}, TOLERANCES)
    assert (found.mismatched_rows, found.flipped_labels) == (1, 0)


def test_the_worst_rows_come_first_each_once() -> None:
    expected = Answers({"p": np.zeros((9, 2))})
    got = {"p": np.array([[0.0, 0.0]] + [[i * 0.1, -i * 0.2] for i in range(1, 9)])}
    found = parity(expected, got, TOLERANCES)
    assert found.mismatched_rows == 8
    assert [mismatch.row for mismatch in found.worst] == [8, 7, 6, 5, 4]
    assert found.worst[0].difference == pytest.approx(1.6)
    assert found.worst_absolute_error == pytest.approx(1.6)


def test_another_shape_is_a_mismatch_of_every_row() -> None:
    found = parity(Answers(numbers(1, 2, 3)), {"prediction": np.ones(3)}, TOLERANCES)
    assert found.mismatched_rows == 3
