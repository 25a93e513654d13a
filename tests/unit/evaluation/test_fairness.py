"""Fairness by protected group: definitions on small tables, and coverage by simulation."""

import numpy as np
import pytest

from podium_evaluation.fairness import fairness

GROUPS = ["a"] * 100 + ["b"] * 50
SAID = [1] * 60 + [0] * 40 + [1] * 20 + [0] * 30
TRUTH = [1] * 50 + [0] * 10 + [1] * 10 + [0] * 30 + [1] * 15 + [0] * 5 + [1] * 10 + [0] * 20


def test_ratios_and_differences_are_those_of_the_table() -> None:
    found = fairness(GROUPS, SAID, TRUTH)
    assert found.reference == "a"
    assert found.selection_rate_ratio.value == pytest.approx(0.4 / 0.6)
    assert found.equal_opportunity_difference.value == pytest.approx(50 / 60 - 15 / 25)
    odds = found.equalized_odds_difference
    assert odds.value == pytest.approx(max(50 / 60 - 15 / 25, 10 / 40 - 5 / 25))
    assert odds.interval[0] < odds.value < odds.interval[1]


def test_without_the_truth_only_selection_is_judged() -> None:
    found = fairness(GROUPS, SAID)
    assert found.selection_rate_ratio.value == pytest.approx(0.4 / 0.6)
    assert np.isnan(found.equal_opportunity_difference.value)


def test_a_small_group_is_shown_and_not_judged() -> None:
    found = fairness([*GROUPS, "c"], [*SAID, 0])
    assert [group.group for group in found.groups] == ["a", "b", "c"]
    assert found.selection_rate_ratio.value > 0


def test_one_group_alone_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="1 groups have 30 rows or more"):
        fairness(["a"] * 100, [1] * 100)


def test_a_group_that_is_never_selected_has_the_ratio_zero() -> None:
    found = fairness(["a"] * 50 + ["b"] * 50, [1] * 25 + [0] * 75)
    assert found.selection_rate_ratio.value == 0.0
    assert found.selection_rate_ratio.interval[1] < 0.2


def test_the_ratios_interval_covers_the_truth() -> None:
    chance = np.random.default_rng(5)
    groups = np.repeat(["a", "b"], [600, 400])
    rates = np.repeat([0.5, 0.35], [600, 400])
    covered = 0
    for _ in range(1000):
        low, high = fairness(groups, (chance.uniform(size=1000) < rates).astype(int)).selection_rate_ratio.interval
        covered += low <= 0.7 <= high
    assert 0.93 <= covered / 1000 <= 0.97


def test_of_many_groups_that_fare_alike_two_are_not_said_to_be_apart() -> None:
    """By the interval of one pair nearly all of these would be: the pair is chosen because it looks apart."""
    chance = np.random.default_rng(6)
    groups = np.repeat([f"g{index}" for index in range(20)], 100)
    apart = 0
    for _ in range(200):
        found = fairness(
            groups, (chance.uniform(size=2000) < 0.4).astype(int), (chance.uniform(size=2000) < 0.5).astype(int)
        )
        apart += found.selection_rate_ratio.interval[1] < 1 or found.equal_opportunity_difference.interval[0] > 0
    assert apart / 200 <= 0.1  # two intervals of 95 %
