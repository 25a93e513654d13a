"""Confidence sequences: against figures worked out by hand, and by simulation against what they promise."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from podium_evaluation.losses import NotProbabilities, differences
from podium_evaluation.sequences import (
    Decision,
    challenger_alpha,
    confidence_sequence,
    first_verdict,
    half_widths,
)

RUNS = 2000


def test_the_half_width_is_that_of_the_paper() -> None:
    alpha, units, deviation = 0.05, 400, 2.0
    rho2 = (-2 * math.log(alpha) + math.log(1 - 2 * math.log(alpha))) / 1000
    grown = units * rho2 + 1
    by_hand = deviation * math.sqrt(2 * grown / (units**2 * rho2) * math.log(math.sqrt(grown) / alpha))
    assert half_widths(deviation, [units], alpha)[0] == pytest.approx(by_hand, rel=1e-12)


def test_the_shares_of_alpha_of_all_challengers_are_alpha_together() -> None:
    assert sum(challenger_alpha(0.05, nth) for nth in range(1, 100_000)) == pytest.approx(0.05, rel=1e-4)


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, float("nan")])
def test_an_alpha_that_is_no_probability_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        half_widths(1.0, [10], alpha)


def test_a_difference_that_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        confidence_sequence([0.1, float("inf")], 0.05)


@pytest.mark.parametrize(
    ("values", "enough_from", "minimum", "decision", "units"),
    [
        pytest.param([], 1, 0.0, Decision.NOT_ENOUGH, 0, id="nothing"),
        pytest.param([1.0] * 10, 11, 0.0, Decision.NOT_ENOUGH, 10, id="too-few-however-clear"),
        pytest.param([1.0] * 10, 5, 0.5, Decision.BETTER, 5, id="better-at-the-first-look-that-counts"),
        pytest.param([-1.0] * 10, 5, 0.0, Decision.WORSE, 5, id="worse"),
        pytest.param([0.1] * 10, 5, 0.5, Decision.NOT_BETTER, 5, id="not-better-by-enough"),
        pytest.param([1.0, -1.0] * 50, 2, 0.0, Decision.UNDECIDED, 100, id="undecided"),
    ],
)
def test_the_first_verdict(values: list[float], enough_from: int, minimum: float, decision: Decision, units: int) -> None:
    enough = np.arange(1, len(values) + 1) >= enough_from
    verdict = first_verdict(confidence_sequence(values, 0.05), enough, minimum)
    assert (verdict.decision, verdict.units) == (decision, units)


def test_false_verdicts_stay_within_alpha_although_one_looks_after_each_unit() -> None:
    """Equal models, losses as skewed as log losses are: of 2,000 runs at most alpha decide, by the 99 % interval."""
    chance = np.random.default_rng(20261121)
    units, alpha = 5000, 0.05
    enough = np.arange(1, units + 1) >= 1000
    false = 0
    for _ in range(RUNS):
        values = chance.exponential(size=units) - chance.exponential(size=units)
        false += first_verdict(confidence_sequence(values, alpha), enough).decision is not Decision.UNDECIDED
    assert false <= binom.ppf(0.99, RUNS, alpha)


def test_a_better_challenger_is_found() -> None:
    """An improvement of a tenth of a standard deviation: at least 95 of 100 runs find it within 10,000 units."""
    chance = np.random.default_rng(7)
    enough = np.arange(1, 10_001) >= 1000
    found = [first_verdict(confidence_sequence(chance.normal(0.1, 1.0, 10_000), 0.05), enough).decision for _ in range(100)]
    assert found.count(Decision.BETTER) >= 95


def test_losses_of_a_row() -> None:
    target, champion, challenger = [1, 0], [0.5, 0.5], [0.8, 0.4]
    assert differences("Brier", target, champion, challenger).values == pytest.approx([0.25 - 0.04, 0.25 - 0.16])
    assert differences("LogLoss", target, champion, challenger).values == pytest.approx([math.log(1.6), math.log(1.2)])
    assert differences("ZeroOne", target, champion, challenger).values == pytest.approx([0.0, 1.0])


def test_the_rank_loss_pairs_the_kth_positive_with_the_kth_negative() -> None:
    target = [1, 1, 0, 0, 0]
    paired = differences("Rank", target, [3, 1, 1, 1, 9], [0, 2, 1, 1, 0])
    # Champion: 3 > 1, 1 = 1. Challenger: 0 < 1, 2 > 1.
    assert paired.values.tolist() == [0.0 - 1.0, 0.5 - 0.0]


def test_a_verdict_needs_units_of_both_classes_and_discordant_pairs() -> None:
    target = np.array([1] * 2000 + [0] * 60)
    scores = np.full(2060, 0.7)
    assert int(np.argmax(differences("LogLoss", target, scores, scores).enough)) == 2049
    assert not differences("ZeroOne", target, scores, scores).enough.any()


def test_pairs_of_rank_need_a_thousand_rows_and_thirty_that_differ() -> None:
    target = np.tile([1, 0], 800)
    differing = np.where(np.arange(1600) % 40 < 4, 0.2, 0.9)
    scores = np.where(target == 1, 0.5, 0.3)
    found = differences("Rank", target, scores, np.where(target == 1, differing, 0.3))
    assert int(np.argmax(found.enough)) == 499, "the 1,000th row makes the 500th pair"
    few = differences("Rank", target, scores, np.where((target == 1) & (np.arange(1600) < 50), 0.1, scores))
    assert not few.enough.any()


@pytest.mark.parametrize(("positives", "noise"), [(0.05, 0.3), (0.3, 1.0)])
def test_equal_ranks_are_told_apart_in_alpha_of_the_runs_at_most(positives: float, noise: float) -> None:
    chance, false, runs = np.random.default_rng(8), 0, 500
    for _ in range(runs):
        truth = (chance.random(2500) < positives).astype(float)
        scores = [truth + chance.normal(0, noise, 2500) for _ in range(2)]
        found = differences("Rank", truth, scores[0], scores[1])
        verdict = first_verdict(confidence_sequence(found.values, 0.05), found.enough)
        false += verdict.decision in (Decision.BETTER, Decision.WORSE)
    assert false <= binom.ppf(0.99, runs, 0.05)


@pytest.mark.parametrize("loss", ["Brier", "LogLoss", "ZeroOne"])
def test_a_loss_that_needs_probabilities_says_so(loss: str) -> None:
    with pytest.raises(NotProbabilities, match=r"needs probabilities: the score of row 1 is 1\.5"):
        differences(loss, [0, 1], [0.5, 1.5], [0.1, 0.2])  # type: ignore[arg-type]
