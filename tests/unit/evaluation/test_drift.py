"""Distances and tests of drift: against definitions, other implementations, and the rate of false alarms."""

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from podium_evaluation.bins import CategoryBins, NumericBins, category_bins, pooled, quantile_bins
from podium_evaluation.drift import (
    Severity,
    benjamini_hochberg,
    chi_square,
    jensen_shannon_distance,
    kolmogorov_smirnov,
    population_stability_index,
    psi_severity,
    psi_threshold,
    wasserstein_distance,
)


def test_bins_are_half_open_and_count_missing_values_apart() -> None:
    bins = NumericBins((1.0, 2.0))
    assert bins.count([0.0, 1.0, 1.5, 2.0, np.inf, -np.inf, np.nan]).tolist() == [2, 2, 2, 1]
    assert bins.names == ("[-inf, 1)", "[1, 2)", "[2, inf)", "missing")


def test_a_value_that_quantiles_repeat_is_a_bin_of_its_own() -> None:
    assert quantile_bins([3.0] * 50).names == ("[-inf, 3)", "3", "(3, inf)", "missing")
    assert quantile_bins([0.0] * 95 + [1.0] * 5).count([0.0, 1.0, 1.0]).tolist() == [0, 1, 2, 0]
    assert len(quantile_bins(np.arange(100.0)).edges) == 9
    assert quantile_bins([np.nan, np.inf]).edges == ()


def test_categories_that_the_reference_has_not_are_unseen() -> None:
    bins = category_bins({"b": 5, "a": 5, "c": 9})
    assert bins == CategoryBins(("c", "a", "b"))
    assert bins.count({"a": 2, "new": 3}, missing=1).tolist() == [0, 2, 0, 1, 3]


def test_rare_bins_are_pooled_and_empty_ones_left_out() -> None:
    old, new = pooled(np.array([90, 6, 4, 0]), np.array([100, 0, 0, 0]))
    assert (old.tolist(), new.tolist()) == ([90, 10], [100, 0])


def test_psi_floors_empty_bins() -> None:
    by_hand = (0.005 - 0.5) * np.log(0.005 / 0.5) + (1 - 0.5) * np.log(1 / 0.5)
    assert population_stability_index([50, 50], [0, 100]) == pytest.approx(by_hand)


def test_psi_of_no_drift_rarely_exceeds_its_threshold_but_often_a_tenth() -> None:
    """Windows of 200 each: the textbook's 0.1 alone would cry wolf in more than a third of them."""
    chance = np.random.default_rng(3)
    above_tenth = above_threshold = 0
    for _ in range(2000):
        reference, current = chance.normal(size=200), chance.normal(size=200)
        bins = quantile_bins(reference)
        old, new = bins.count(reference), bins.count(current)
        psi = population_stability_index(old, new)
        above_tenth += psi > 0.1
        above_threshold += psi_severity(psi, psi_threshold(old, new)) is not Severity.NONE
    assert above_tenth / 2000 > 0.3
    assert above_threshold / 2000 < 0.08


@pytest.mark.parametrize(
    ("psi", "threshold", "severity"),
    [(0.09, 0.01, "None"), (0.2, 0.3, "None"), (0.2, 0.05, "Warning"), (0.3, 0.05, "Critical")],
)
def test_severity_needs_distance_and_significance(psi: float, threshold: float, severity: str) -> None:
    assert psi_severity(psi, threshold).value == severity


def test_kolmogorov_smirnov_ignores_missing_and_orders_infinities() -> None:
    found = kolmogorov_smirnov([1.0, 2.0, np.nan, np.inf], [2.0, 3.0, 4.0])
    same = stats.ks_2samp([1.0, 2.0, 9.0], [2.0, 3.0, 4.0], method="exact")
    assert (found.statistic, found.p_value) == pytest.approx((same.statistic, same.pvalue))


@pytest.mark.parametrize(("old_rows", "new_rows"), [(12_000, 300), (300, 12_000), (12_000, 11_000), (12_000, 1), (400, 300)])
@pytest.mark.parametrize("kind", ["normal", "ties", "two values", "far from 0", "infinities"])
def test_distances_are_those_of_scipy(kind: str, old_rows: int, new_rows: int) -> None:
    """Also where the reference is not passed over for each window."""
    chance = np.random.default_rng(5)

    def values(rows: int, moved: float) -> np.ndarray:
        if kind in ("ties", "two values"):
            return chance.integers(0, 9 if kind == "ties" else 2, rows) + moved
        far = chance.normal(moved + (1e6 if kind == "far from 0" else 0.0), 1, rows)
        return (
            np.where(chance.random(rows) < 0.1, chance.choice([-np.inf, np.inf], rows), far) if kind == "infinities" else far
        )

    for moved in (0.0, 0.5):
        old, new = values(old_rows, 0.0), values(new_rows, moved)
        found = kolmogorov_smirnov(old, new)
        known = stats.ks_2samp(old, new, method="auto" if max(old_rows, new_rows) <= 10_000 else "asymp")
        assert (found.statistic, found.p_value) == pytest.approx((known.statistic, known.pvalue), rel=1e-9)
        finite, moved_finite = old[np.isfinite(old)], new[np.isfinite(new)]
        expected = stats.wasserstein_distance(finite, moved_finite) / finite.std()
        assert wasserstein_distance(old, new) == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_chi_square_is_pearsons() -> None:
    found = chi_square([30, 70], [50, 50])
    assert found.statistic == pytest.approx(2 * (10**2 / 40 + 10**2 / 60))
    assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, 1))
    assert found.effect == pytest.approx(np.sqrt(found.statistic / 200))
    assert chi_square([10, 0], [20, 0]).p_value == 1.0


def test_jensen_shannon_is_scipys_to_base_2() -> None:
    old, new = [10, 20, 0, 5], [3, 9, 9, 1]
    assert jensen_shannon_distance(old, new) == pytest.approx(float(jensenshannon(old, new, base=2)))


def test_wasserstein_counts_in_deviations_of_the_reference() -> None:
    chance = np.random.default_rng(4)
    reference = chance.normal(10, 5, 4000)
    assert wasserstein_distance(reference, reference + 2.5) == pytest.approx(2.5 / reference.std())
    assert wasserstein_distance([1.0, 1.0], [1.0]) == 0.0
    assert wasserstein_distance([1.0, 1.0], [2.0]) == float("inf")


def test_benjamini_hochberg_is_scipys() -> None:
    chance = np.random.default_rng(5)
    p = np.concatenate([chance.uniform(size=40), chance.uniform(0, 0.002, size=10)])
    assert benjamini_hochberg(p, 0.1).tolist() == (stats.false_discovery_control(p) <= 0.1).tolist()
    assert benjamini_hochberg([np.nan, 0.9]).tolist() == [False, False]


def test_an_empty_window_is_refused() -> None:
    for measure in (population_stability_index, jensen_shannon_distance, psi_threshold, chi_square):
        with pytest.raises(ValueError, match="a window is empty"):
            measure([0, 0], [1, 2])
    for distance in (kolmogorov_smirnov, wasserstein_distance):
        with pytest.raises(ValueError, match="has no"):
            distance([np.nan], [1.0])
