"""Guardrails under peeking: bounds of rates and quantiles by hand and by simulation, and when one is broken."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from podium_evaluation.guardrails import (
    Latencies,
    error_rate,
    loss_increase,
    p99,
    quantile_bounds,
    rate_bounds,
    selection_rate_ratio,
)
from podium_evaluation.sequences import Running, advance

RUNS = 2000
ALPHA = 0.05


def test_bounds_of_a_rate_are_those_that_the_mixture_does_not_exclude() -> None:
    events, units = 30, 1000
    low, high = rate_bounds(events, units, ALPHA)
    for rate in (low, high):
        prior = math.lgamma(0.5) * 2 - math.lgamma(1.0)
        marginal = math.lgamma(0.5 + events) + math.lgamma(0.5 + units - events) - math.lgamma(1 + units) - prior
        against = events * math.log(rate) + (units - events) * math.log1p(-rate)
        assert marginal - against == pytest.approx(math.log(1 / ALPHA), abs=1e-6)
    assert low < 0.03 < high
    assert rate_bounds(0, 0, ALPHA) == (0.0, 1.0)
    assert rate_bounds(10, 10, ALPHA)[1] == 1.0
    with pytest.raises(ValueError, match="3 events of 2 units"):
        rate_bounds(3, 2, ALPHA)


@pytest.mark.parametrize("rate", [0.002, 0.1, 0.5])
def test_bounds_of_a_rate_hold_at_all_looks_together(rate: float) -> None:
    """Looked at 15 times, at sizes that grow: the truth lies outside at any of them in alpha of the runs at most."""
    chance = np.random.default_rng(1)
    looks = np.unique(np.geomspace(5, 3000, 15).astype(int))
    wrong = 0
    for _ in range(RUNS // 10):
        events = np.cumsum(chance.random(3000) < rate)
        bounds = [rate_bounds(int(events[units - 1]), int(units), ALPHA) for units in looks]
        wrong += any(not low <= rate <= high for low, high in bounds)
    assert wrong <= binom.ppf(0.99, RUNS // 10, ALPHA)


def test_bounds_of_a_quantile_hold_at_all_looks_together() -> None:
    chance = np.random.default_rng(2)
    looks = np.unique(np.geomspace(50, 4000, 12).astype(int))
    truth, wrong = -math.log(0.01), 0
    for _ in range(RUNS // 8):
        times = chance.exponential(1.0, 4000)
        bounds = [quantile_bounds(Latencies().plus(times[:units]), 0.99, ALPHA) for units in looks]
        wrong += any(not low <= truth <= high for low, high in bounds)
    assert wrong <= binom.ppf(0.99, RUNS // 8, ALPHA)


def test_bounds_of_a_quantile_close_in() -> None:
    times = np.random.default_rng(3).exponential(1.0, 200_000)
    low, high = quantile_bounds(Latencies().plus(times), 0.99, ALPHA)
    assert 0.9 * -math.log(0.01) < low < -math.log(0.01) < high < 1.1 * -math.log(0.01)


def test_latencies_of_two_parts_are_those_of_both() -> None:
    times = np.array([0.0, 0.001, 0.002, 3.0, np.nan, -1.0])
    whole = Latencies().plus(times)
    assert whole.count == 4
    assert Latencies().plus(times[:2]).plus(times[2:]) == whole
    assert whole.quantile(1.0) == pytest.approx(3.0, rel=0.02)


def test_an_error_rate_is_broken_only_beyond_doubt() -> None:
    assert error_rate(0, 0, ALPHA, 0.001).state == "NotEnoughData"
    assert error_rate(1, 100, ALPHA, 0.001).state == "NotEnoughData"
    assert error_rate(60, 1000, ALPHA, 0.001).state == "Broken"
    assert error_rate(0, 20_000, ALPHA, 0.001).state == "Kept"


def test_a_p99_is_broken_only_beyond_doubt() -> None:
    chance = np.random.default_rng(4)
    champion = Latencies().plus(chance.exponential(0.01, 20_000))
    slow, alike = Latencies().plus(chance.exponential(0.02, 20_000)), Latencies().plus(chance.exponential(0.01, 20_000))
    assert p99(champion, slow, ALPHA, 0.25).state == "Broken"
    assert p99(champion, alike, ALPHA, 0.25).state == "Kept"
    assert p99(champion, Latencies().plus(np.full(30, 0.02)), ALPHA, 0.25).state == "NotEnoughData"
    assert p99(champion, Latencies(), ALPHA, 0.25).state == "NotEnoughData"
    assert p99(champion, slow, ALPHA, 0.25).value == pytest.approx(1.0, abs=0.2)


def test_a_ratio_of_selection_rates_is_of_the_lowest_to_the_highest() -> None:
    broken = selection_rate_ratio({"a": (500, 1000), "b": (200, 1000)}, ALPHA, 0.8)
    assert broken.state == "Broken"
    assert broken.value == pytest.approx(0.4)
    assert broken.low is not None
    assert broken.high is not None
    assert broken.low < 0.4 < broken.high < 0.8
    assert selection_rate_ratio({"a": (5000, 10_000), "b": (4990, 10_000)}, ALPHA, 0.8).state == "Kept"
    assert selection_rate_ratio({"a": (5, 10), "b": (2, 10)}, ALPHA, 0.8).state == "NotEnoughData"
    assert selection_rate_ratio({"a": (0, 10), "b": (0, 10)}, ALPHA, 0.8).value is None
    assert "1 groups" in selection_rate_ratio({"a": (5, 10)}, ALPHA, 0.8).message


def test_groups_that_come_later_take_nothing_from_those_that_were_there() -> None:
    """The k-th has alpha / (k (k + 1)): what was said of the first two stands when a third comes."""
    two = selection_rate_ratio({"a": (500, 1000), "b": (300, 1000)}, ALPHA, 0.5)
    three = selection_rate_ratio({"a": (500, 1000), "b": (300, 1000), "c": (400, 1000)}, ALPHA, 0.5)
    assert (three.low, three.high) == (two.low, two.high)
    (low, high), (least, most) = rate_bounds(500, 1000, ALPHA / 2), rate_bounds(300, 1000, ALPHA / 6)
    assert (two.low, two.high) == pytest.approx((least / high, most / low))


def test_groups_that_come_one_after_the_other_are_called_unequal_in_alpha_of_the_runs_at_most() -> None:
    """Five groups with one selection rate, a new one every 300 units."""
    chance, wrong, runs = np.random.default_rng(9), 0, 500
    for _ in range(runs):
        here = np.minimum(chance.integers(0, 5, 1500), np.arange(1500) // 300)
        selected = chance.random(1500) < 0.3
        broken = False
        for units in range(200, 1501, 325):
            counts = [(str(k), here[:units] == k) for k in range(5)]
            groups = {name: (int(selected[:units][mask].sum()), int(mask.sum())) for name, mask in counts if mask.any()}
            broken |= selection_rate_ratio(groups, ALPHA, 1.0).state == "Broken"
        wrong += broken
    assert wrong <= binom.ppf(0.99, runs, ALPHA)


def test_a_rare_error_at_its_bound_is_called_neither_broken_nor_kept() -> None:
    """The increase of the error rate is 0.002, the bound too. Without 30 units that differ and without what was not seen
    yet, a fifth of the runs is decided."""
    chance, decided, runs, units = np.random.default_rng(4), 0, 500, 6000
    for _ in range(runs):
        values = np.where(chance.random(units) < 0.002, -1.0, 0.0)
        for end in range(1000, units + 1, 500):
            running, _ = advance(Running(), values[:end], ALPHA)
            enough = int((values[:end] != 0).sum()) >= 30
            judged = loss_increase(running, ALPHA, 0.002, enough=enough, hidden=-math.log(ALPHA) / end)
            if judged.state != "NotEnoughData":
                decided += 1
                break
    assert decided <= binom.ppf(0.99, runs, ALPHA)


def test_a_loss_is_broken_only_beyond_doubt_and_with_units_enough() -> None:
    chance = np.random.default_rng(6)
    running, _ = advance(Running(), chance.normal(-0.5, 1.0, 5000), ALPHA)
    assert loss_increase(running, ALPHA, 0.1, enough=True).state == "Broken"
    assert loss_increase(running, ALPHA, 0.1, enough=False).state == "NotEnoughData"
    assert loss_increase(running, ALPHA, 1.0, enough=True).state == "Kept"
    assert loss_increase(Running(), ALPHA, 1.0, enough=True).state == "NotEnoughData"
