"""Figures of sums beside the figures of the rows themselves."""

import numpy as np
import pytest

from podium_evaluation.auc import auc, auc_of_counts
from podium_evaluation.estimated import estimated_accuracy, estimated_auc, estimated_log_loss
from podium_evaluation.figures import (
    auc_error,
    binary_figures,
    calibration_points,
    estimated_figures,
    lift_at,
    lift_points,
    multiclass_figures,
    regression_figures,
    roc_points,
)
from podium_evaluation.performance import brier_losses, confusion, lift, log_losses, mean_loss, proportion, regression
from podium_evaluation.tallies import (
    Tally,
    added,
    below,
    binary_tally,
    estimated_tally,
    group_tally,
    multiclass_tally,
    regression_tally,
    under,
)

RANDOM = np.random.default_rng(5)
SCORES = 1 / (1 + np.exp(-RANDOM.normal(-1, 1.5, 6000)))
TRUTH = (RANDOM.random(6000) < SCORES).astype(float)
DECIDED = (SCORES >= 0.5).astype(float)


def test_a_days_figures_are_those_of_its_rows() -> None:
    hours = [binary_tally(TRUTH[part], DECIDED[part], SCORES[part]) for part in np.array_split(np.arange(6000), 24)]
    day = added(hours)
    figures = binary_figures(day)
    assert figures["accuracy"] == proportion(int((TRUTH == DECIDED).sum()), 6000)
    assert figures["f1"].value == pytest.approx(confusion(TRUTH, DECIDED).f1)
    for name, losses in (("log_loss", log_losses(TRUTH, SCORES)), ("brier", brier_losses(TRUTH, SCORES))):
        exact = mean_loss(losses)
        assert figures[name].value == pytest.approx(exact.value)
        assert figures[name].interval == pytest.approx(exact.interval)
    exact_auc = auc(TRUTH, SCORES)
    assert abs(figures["auc"].value - exact_auc.value) <= auc_error(day) < 0.002
    assert figures["auc"].interval == pytest.approx(exact_auc.interval, abs=0.002)
    assert figures["lift"].value == pytest.approx(lift(TRUTH, SCORES), rel=0.01)


def test_delong_on_counts_is_delong_on_rows_with_ties() -> None:
    scores = np.round(SCORES, 1)
    bins = np.round(scores * 10).astype(int)
    ones, zeros = (np.bincount(bins[one == TRUTH], minlength=11) for one in (1, 0))
    found, exact = auc_of_counts(ones, zeros), auc(TRUTH, scores)
    assert found.value == pytest.approx(exact.value)
    assert found.standard_error == pytest.approx(exact.standard_error)


def test_scores_near_zero_are_told_apart() -> None:
    rare = 1e-4 * RANDOM.random(20_000)
    truth = (RANDOM.random(20_000) < 100 * rare).astype(float)
    tally = binary_tally(truth, np.zeros(20_000), rare)
    assert abs(binary_figures(tally)["auc"].value - auc(truth, rare).value) <= auc_error(tally) < 0.01


def test_what_needs_another_class_is_left_out() -> None:
    figures = binary_figures(binary_tally(np.ones(50), np.ones(50), np.full(50, 0.9)))
    assert figures["accuracy"].value == 1.0
    assert not {"auc", "gini", "balanced_accuracy"} & set(figures)
    assert binary_figures(binary_tally(np.empty(0), np.empty(0), None)) == {}


def test_estimates_are_those_of_the_rows() -> None:
    figures = estimated_figures(added([estimated_tally(part) for part in np.array_split(SCORES, 7)]))
    exact = estimated_accuracy(SCORES)
    assert figures["accuracy"].value == pytest.approx(exact.value)
    assert figures["accuracy"].interval == pytest.approx(exact.interval)
    assert figures["log_loss"].value == pytest.approx(estimated_log_loss(SCORES).value)
    assert figures["log_loss"].interval == pytest.approx(estimated_log_loss(SCORES).interval, abs=1e-3)
    assert figures["auc"].value == pytest.approx(estimated_auc(SCORES).value, abs=1e-3)
    assert figures["auc"].interval == pytest.approx(estimated_auc(SCORES).interval, abs=1e-3)


def test_an_estimated_accuracy_is_that_of_the_decisions_that_were_taken() -> None:
    decided = (SCORES >= 0.2).astype(float)
    figures = estimated_figures(estimated_tally(SCORES, decided))
    assert figures["accuracy"].value == pytest.approx(estimated_accuracy(SCORES, decided).value)
    assert figures["accuracy"].value == pytest.approx(float(np.where(SCORES >= 0.2, SCORES, 1 - SCORES).mean()))


def test_a_number_that_is_predicted() -> None:
    truth = RANDOM.normal(1e6, 2, 4000)
    said = truth + RANDOM.normal(0, 1, 4000)
    parts = np.array_split(np.arange(4000), 9)
    figures = regression_figures(added([regression_tally(truth[part], said[part], 1e6) for part in parts]), parameters=3)
    exact = regression(truth, said, parameters=3)
    assert figures["rmse"].value == pytest.approx(exact.rmse)
    assert figures["mae"].value == pytest.approx(exact.mae.value)
    assert figures["mae"].interval == pytest.approx(exact.mae.interval)
    assert figures["r_squared"].value == pytest.approx(exact.r2)
    assert figures["aic"].value == pytest.approx(exact.aic)
    assert figures["bic"].value == pytest.approx(exact.bic)
    assert figures["rmse"].interval[0] < exact.rmse < figures["rmse"].interval[1]
    constant = regression_figures(regression_tally(np.full(9, 3.0), np.arange(9.0), 0.0))
    assert "r_squared" not in constant


def test_more_than_two_classes() -> None:
    matrix = RANDOM.dirichlet((2, 1, 1), 5000)
    truth = np.array([RANDOM.choice(3, p=row) for row in matrix], dtype=float)
    decided = matrix.argmax(axis=1).astype(float)
    figures = multiclass_figures(multiclass_tally(truth, decided, matrix, 3))
    assert figures["accuracy"].value == np.mean(truth == decided)
    given = matrix[np.arange(5000), truth.astype(int)]
    assert figures["log_loss"].value == pytest.approx(-np.log(given).mean())
    exact = np.mean([auc((truth == one).astype(float), matrix[:, one]).value for one in range(3)])
    assert figures["auc"].value == pytest.approx(exact, abs=1e-3)


def test_curves_begin_and_end_where_they_must() -> None:
    tally = binary_tally(TRUTH, DECIDED, SCORES)
    x, y = roc_points(tally["positive",], tally["negative",])
    assert (x[0], y[0], x[-1], y[-1], len(x)) == (0.0, 0.0, 1.0, 1.0, 101)
    assert np.trapezoid(y, x) == pytest.approx(auc(TRUTH, SCORES).value, abs=0.005)
    shares, lifts = lift_points(tally["positive",], tally["negative",])
    assert shares[-1] == 1.0
    assert lifts[-1] == pytest.approx(1.0)
    assert lift_at(np.zeros(3), np.ones(3), 0.1) != lift_at(np.zeros(3), np.ones(3), 0.1)  # NaN
    assert sum(rows for _, _, rows in calibration_points(tally)) == 6000
    assert roc_points(np.zeros(3), np.ones(3)) == ([], [])


def test_tallies_add_by_name_and_are_read_by_prefix() -> None:
    one: Tally = {("a", "n"): np.array([1.0])}
    other: Tally = {("a", "n"): np.array([2.0]), ("b",): np.array([5.0])}
    both = added([one, other])
    assert both["a", "n"].tolist() == [3.0]
    assert list(below(both, "a")) == [("n",)]
    assert list(under(("x",), one)) == [("x", "a", "n")]


def test_a_groups_rows_without_a_truth_count_as_rows_only() -> None:
    counts = group_tally(np.array([1.0, 0.0, 1.0]), np.array([1.0, 0.0, np.nan]))["group",]
    assert counts.tolist() == [3, 2, 1, 1, 0, 1]


def test_aic_and_bic_of_classes_are_those_of_their_likelihood() -> None:
    """As R's and statsmodels' for glm(..., binomial): -2 ln L + 2 k, and + k ln n."""
    truth = (RANDOM.random(500) < 0.4).astype(float)
    scores = np.clip(0.4 + RANDOM.normal(0, 0.1, 500), 0.01, 0.99)
    likelihood = np.log(np.where(truth == 1, scores, 1 - scores)).sum()
    both = binary_tally(truth, (scores >= 0.5).astype(float), scores)
    figures = binary_figures(both, parameters=3)
    assert figures["aic"].value == pytest.approx(6 - 2 * likelihood)
    assert figures["bic"].value == pytest.approx(3 * np.log(500) - 2 * likelihood)
    many = multiclass_tally(truth, truth, np.stack([1 - scores, scores], axis=1), 2)
    assert multiclass_figures(many, parameters=3)["aic"].value == pytest.approx(6 - 2 * likelihood)
    assert not {"aic", "bic"} & (set(binary_figures(both)) | set(multiclass_figures(many)))
