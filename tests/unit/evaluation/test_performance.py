"""Figures of performance: against scikit-learn and definitions; intervals against the coverage that they promise."""

import numpy as np
import pytest
from sklearn import metrics

from podium_evaluation.estimated import estimated_accuracy, estimated_auc, estimated_log_loss
from podium_evaluation.performance import (
    brier_losses,
    calibration,
    confusion,
    lift,
    log_losses,
    mean_loss,
    proportion,
    regression,
)

CHANCE = np.random.default_rng(21)
PROBABILITY = CHANCE.beta(1, 3, size=4000)
TARGET = (CHANCE.uniform(size=4000) < PROBABILITY).astype(int)
DECIDED = (PROBABILITY >= 0.5).astype(int)


def test_figures_of_a_decision_are_those_of_scikit_learn() -> None:
    found = confusion(TARGET, DECIDED)
    assert found.balanced_accuracy == pytest.approx(metrics.balanced_accuracy_score(TARGET, DECIDED))
    assert found.f1 == pytest.approx(metrics.f1_score(TARGET, DECIDED))
    assert found.precision == pytest.approx(metrics.precision_score(TARGET, DECIDED))
    assert found.recall == pytest.approx(metrics.recall_score(TARGET, DECIDED))
    assert found.rows == 4000


def test_losses_are_those_of_scikit_learn() -> None:
    assert mean_loss(log_losses(TARGET, PROBABILITY)).value == pytest.approx(metrics.log_loss(TARGET, PROBABILITY))
    assert mean_loss(brier_losses(TARGET, PROBABILITY)).value == pytest.approx(metrics.brier_score_loss(TARGET, PROBABILITY))


def test_regression_is_that_of_scikit_learn_and_aic_that_of_r() -> None:
    """In R AIC(lm(dist ~ speed, cars)) is 419.1569 and BIC 424.8929, which add n (ln 2 pi + 1): equal for all models."""
    speed = [4, 4, 7, 7, 8, 9, 10, 10, 10, 11, 11, 12, 12, 12, 12, 13, 13, 13, 13, 14, 14, 14, 14, 15, 15]
    speed += [15, 16, 16, 17, 17, 17, 18, 18, 18, 18, 19, 19, 19, 20, 20, 20, 20, 20, 22, 23, 24, 24, 24, 24, 25]
    dist = [2, 10, 4, 22, 16, 10, 18, 26, 34, 17, 28, 14, 20, 24, 28, 26, 34, 34, 46, 26, 36, 60, 80, 20, 26]
    dist += [54, 32, 40, 32, 40, 50, 42, 56, 76, 84, 36, 46, 68, 32, 48, 52, 56, 64, 66, 54, 70, 92, 93, 120, 85]
    slope, intercept = np.polyfit(speed, dist, 1)
    said = intercept + slope * np.array(speed)
    found = regression(dist, said, parameters=2)
    constant = 50 * (np.log(2 * np.pi) + 1)
    assert (found.aic + constant, found.bic + constant) == pytest.approx((419.1569, 424.8929), abs=1e-3)
    assert found.r2 == pytest.approx(metrics.r2_score(dist, said))
    assert found.rmse == pytest.approx(metrics.root_mean_squared_error(dist, said))
    assert found.mae.value == pytest.approx(metrics.mean_absolute_error(dist, said))


@pytest.mark.parametrize(("share", "rows"), [(0.1, 500), (0.5, 500), (0.95, 1000)])
def test_wilsons_interval_covers_the_truth(share: float, rows: int) -> None:
    chance = np.random.default_rng(rows)
    covered = 0
    for successes in chance.binomial(rows, share, size=2000):
        low, high = proportion(int(successes), rows).interval
        covered += low <= share <= high
    assert 0.93 <= covered / 2000 <= 0.97


def test_the_interval_of_a_log_loss_covers_the_truth() -> None:
    chance = np.random.default_rng(8)
    covered, truth = 0, None
    population = chance.beta(1, 3, size=400_000)
    truth = float(np.mean(-(population * np.log(population) + (1 - population) * np.log1p(-population))))
    for _ in range(1000):
        p = chance.choice(population, 800)
        low, high = mean_loss(log_losses((chance.uniform(size=800) < p).astype(int), p)).interval
        covered += low <= truth <= high
    assert 0.93 <= covered / 1000 <= 0.97


def test_calibrated_probabilities_have_a_small_error_and_shifted_ones_a_large_one() -> None:
    assert calibration(TARGET, PROBABILITY).expected_error < 0.03
    assert calibration(TARGET, np.minimum(1, PROBABILITY + 0.2)).expected_error > 0.15
    assert sum(part.rows for part in calibration(TARGET, PROBABILITY).bins) == 4000


def test_lift_of_the_best_decile_and_of_ties() -> None:
    assert lift([1] * 10 + [0] * 90, np.arange(100)[::-1]) == pytest.approx(10.0)
    assert lift([1, 0, 1, 0], [0.5] * 4, share=0.5) == pytest.approx(1.0)
    assert np.isnan(lift([0, 0], [0.1, 0.2]))


def test_estimates_without_labels_meet_the_truth_of_calibrated_probabilities() -> None:
    estimated = estimated_accuracy(PROBABILITY)
    assert estimated.interval[0] <= metrics.accuracy_score(TARGET, DECIDED) <= estimated.interval[1]
    assert estimated_auc(PROBABILITY).value == pytest.approx(metrics.roc_auc_score(TARGET, PROBABILITY), abs=0.02)
    assert estimated_log_loss(PROBABILITY).value == pytest.approx(metrics.log_loss(TARGET, PROBABILITY), abs=0.02)


def test_intervals_of_estimates_hold_what_the_labels_will_give() -> None:
    """1,000 scores, their labels drawn 400 times: 93 to 97 % and the doubt of 400 draws."""
    chance = np.random.default_rng(1)
    p = chance.beta(0.8, 2, 1000)
    decided = p > 0.3
    estimates = (estimated_auc(p), estimated_log_loss(p), estimated_accuracy(p, decided))
    held = np.zeros(3)
    for _ in range(400):
        truth = chance.random(1000) < p
        real = (metrics.roc_auc_score(truth, p), metrics.log_loss(truth, p), float((truth == decided).mean()))
        held += [one.interval[0] <= value <= one.interval[1] for one, value in zip(estimates, real, strict=True)]
    assert ((held / 400 > 0.92) & (held / 400 < 0.98)).all()


def test_the_estimated_auc_is_the_mean_over_all_truths() -> None:
    """Three rows, eight truths: those with both classes, weighted by their pairs."""
    p = np.array([0.2, 0.5, 0.5])
    won = pairs = 0.0
    for truth in np.ndindex(2, 2, 2):
        weight = float(np.prod(np.where(truth, p, 1 - p)))
        positive, negative = p[np.array(truth) == 1], p[np.array(truth) == 0]
        won += weight * float(sum((a > b) + 0.5 * (a == b) for a in positive for b in negative))
        pairs += weight * len(positive) * len(negative)
    assert estimated_auc(p).value == pytest.approx(won / pairs)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        pytest.param(lambda: confusion([0, 2], [0, 1]), "a target is neither 0 nor 1", id="class"),
        pytest.param(lambda: log_losses([0, 1], [0.5, 1.1]), "outside of", id="probability"),
        pytest.param(lambda: regression([1.0], [float("nan")]), "not a finite number", id="nan"),
        pytest.param(lambda: lift([1], [1.0], 0.0), "must lie in", id="share"),
        pytest.param(lambda: estimated_accuracy([1.5]), "lie in", id="estimated"),
    ],
)
def test_what_has_no_figure_is_refused(call: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()  # type: ignore[operator]
