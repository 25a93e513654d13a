"""Windows on the fixed grid: what their sums say lies within the stated error of what the rows say."""

import numpy as np
import numpy.typing as npt
import pytest

from podium_evaluation.drift import kolmogorov_smirnov, wasserstein_distance
from podium_evaluation.grids import Grid, grid_of, kolmogorov_smirnov_of, wasserstein_of

RANDOM = np.random.default_rng(11)
NORMAL = RANDOM.normal(size=8000)


@pytest.mark.parametrize(
    ("reference", "current"),
    [
        pytest.param(NORMAL, RANDOM.normal(0.1, 1.2, 20_000), id="shifted"),
        pytest.param(NORMAL, NORMAL[:100], id="tiny window"),
        pytest.param(np.round(NORMAL, 1), np.round(RANDOM.normal(0.2, 1, 5000), 1), id="ties"),
        pytest.param(RANDOM.integers(0, 4, 3000).astype(float), RANDOM.integers(0, 6, 900).astype(float), id="few values"),
        pytest.param(NORMAL, NORMAL * 60, id="a unit changed"),
        pytest.param(RANDOM.lognormal(0, 3, 5000), RANDOM.lognormal(0.3, 3, 5000), id="heavy tails"),
        pytest.param(np.ones(200), np.ones(50), id="constant, and still so"),
        pytest.param(np.ones(200), np.full(50, 2.0), id="constant, and another one"),
        pytest.param(NORMAL, np.append(NORMAL[:500], [np.inf, -np.inf]), id="infinities"),
    ],
)
def test_the_statistic_is_at_most_the_stated_error_below_the_exact_one(
    reference: npt.NDArray[np.float64], current: npt.NDArray[np.float64]
) -> None:
    grid = grid_of(reference)
    found = kolmogorov_smirnov_of(grid, grid.count(reference), grid.count(current))
    assert found is not None
    test, error = found
    exact = kolmogorov_smirnov(reference, current)
    assert -1e-12 <= exact.statistic - test.statistic <= error + 1e-12
    assert error <= 0.0051 + np.unique(reference, return_counts=True)[1].max() / len(reference)


@pytest.mark.parametrize("bins", [10, 200])
def test_every_value_lies_in_the_bin_that_a_search_finds(bins: int) -> None:
    for reference in (NORMAL, RANDOM.lognormal(0, 5, 4000), np.round(NORMAL), np.array([1.0]), np.array([])):
        grid = grid_of(reference, bins=bins)
        values = np.concatenate([RANDOM.normal(0, 3, 2000), reference, grid.array, [np.inf, -np.inf, 1e308, -1e308]])
        assert np.array_equal(grid.places(values), np.searchsorted(grid.array, values, side="right"))


def test_counts_of_hours_are_those_of_their_day() -> None:
    grid = grid_of(NORMAL)
    assert np.array_equal(sum(grid.count(part) for part in np.array_split(NORMAL, 24)), grid.count(NORMAL))


def test_the_first_and_the_last_bin_hold_what_the_reference_has_not() -> None:
    grid = grid_of(NORMAL)
    outside = np.array([NORMAL.min() - 1, NORMAL.max() + 1])
    assert grid.count(NORMAL)[[0, -1]].tolist() == [0, 0]
    assert grid.count(outside)[[0, -1]].tolist() == [1, 1]


def test_the_area_between_the_distributions_is_near_the_exact_one_and_exact_beyond_the_range() -> None:
    for current in (RANDOM.normal(0.5, 1, 20_000), NORMAL * 60 + 1000):
        grid = grid_of(NORMAL)
        found = wasserstein_of(grid, grid.count(NORMAL), grid.count(current), grid.tails(current), float(NORMAL.std()))
        assert found == pytest.approx(wasserstein_distance(NORMAL, current), rel=0.02, abs=0.02)


def test_a_window_without_a_value_says_nothing() -> None:
    grid, nothing = grid_of(NORMAL), np.zeros(len(grid_of(NORMAL).edges) + 1)
    assert kolmogorov_smirnov_of(grid, grid.count(NORMAL), nothing) is None
    assert np.isnan(wasserstein_of(grid, grid.count(NORMAL), nothing, (0.0, 0.0), 1.0))
    assert Grid(()).count(np.array([1.0, 2.0])).tolist() == [2.0]


def test_edges_of_the_profile_are_edges_of_the_grid() -> None:
    grid = grid_of(NORMAL, coarse=(-1.0, 0.0, 1.0))
    coarse = np.bincount(grid.coarse((-1.0, 0.0, 1.0)), grid.count(NORMAL))
    assert coarse.tolist() == np.histogram(NORMAL, [-np.inf, -1, 0, 1, np.inf])[0].tolist()
