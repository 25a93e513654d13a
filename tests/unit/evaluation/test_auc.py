"""AUC and DeLong: against definitions, another implementation, and the coverage that they promise."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from podium_evaluation.auc import auc, auc_difference


def brute_force(target: list[int], scores: list[float]) -> float:
    pairs = [
        (p > n) + 0.5 * (p == n)
        for p, t in zip(scores, target, strict=True)
        if t
        for n, u in zip(scores, target, strict=True)
        if not u
    ]
    return float(np.mean(pairs))


def delong_by_definition(target: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """The variance of the difference, from the structural components written out (DeLong 1988, equations 4 and 5)."""
    components = []
    for scores in (first, second):
        positive, negative = scores[target == 1], scores[target == 0]
        kernel = (positive[:, None] > negative[None, :]) + 0.5 * (positive[:, None] == negative[None, :])
        components.append((kernel.mean(axis=1), kernel.mean(axis=0)))
    of_positives = np.cov(components[0][0], components[1][0])
    of_negatives = np.cov(components[0][1], components[1][1])
    covariance = of_positives / (target == 1).sum() + of_negatives / (target == 0).sum()
    return float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])


def test_ties_count_half() -> None:
    target, scores = [0, 1, 0, 1, 1], [0.5, 0.5, 0.2, 0.9, 0.2]
    assert auc(target, scores).value == pytest.approx(brute_force(target, scores))


def test_it_is_the_value_of_scikit_learn() -> None:
    chance = np.random.default_rng(1)
    target, scores = chance.integers(0, 2, 3000), np.round(chance.normal(size=3000), 1)
    assert auc(target, scores).value == pytest.approx(roc_auc_score(target, scores), abs=1e-12)


def test_the_variance_of_a_difference_is_delongs() -> None:
    chance = np.random.default_rng(2)
    target = chance.integers(0, 2, 300)
    first, second = (np.round(target + chance.normal(size=300) * spread, 1) for spread in (1.0, 1.5))
    found = auc_difference(target, first, second)
    error = np.sqrt(delong_by_definition(target, first, second))
    assert found.z == pytest.approx(found.difference / error, rel=1e-9)
    assert found.interval[1] - found.difference == pytest.approx(1.959964 * error, rel=1e-6)


def test_equal_scores_differ_by_nothing() -> None:
    found = auc_difference([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], [0.1, 0.2, 0.3, 0.4])
    assert (found.difference, found.z, found.p_value) == (0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("target", "scores", "says"),
    [
        pytest.param([1, 1], [0.1, 0.2], "2 positive and 0 negative rows", id="one-class"),
        pytest.param([1, 0], [0.1, float("nan")], "a score is missing", id="missing"),
        pytest.param([1, 2], [0.1, 0.2], "neither 0 nor 1", id="three-classes"),
        pytest.param([1, 0], [0.1], "scores \\(1,\\)", id="shapes"),
    ],
)
def test_what_has_no_auc_is_refused(target: list[int], scores: list[float], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        auc(target, scores)


@pytest.mark.parametrize(
    ("shift", "positives", "rows"),
    [(1.0, 250, 500), (2.3, 100, 1000), (0.0, 50, 600), (2.326, 50, 500), (2.326, 50, 2000)],
)
def test_intervals_cover_the_truth_in_93_to_97_percent(shift: float, positives: int, rows: int) -> None:
    """Normal scores, `shift` deviations apart: the AUC is known to be Phi(shift / sqrt 2)."""
    from scipy.special import ndtr

    chance = np.random.default_rng(positives)
    target = np.repeat([1, 0], [positives, rows - positives])
    truth = float(ndtr(shift / np.sqrt(2)))
    covered = 0
    for _ in range(2000):
        low, high = auc(target, chance.normal(size=rows) + shift * target).interval
        covered += low <= truth <= high
    assert 0.93 <= covered / 2000 <= 0.97
