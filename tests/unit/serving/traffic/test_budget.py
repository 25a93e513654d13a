"""A challenger gets what the champion can spare."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium_serving.traffic.budget import MARGIN_SECONDS, RecentP99, forward_budget


@pytest.mark.parametrize(
    ("left", "p99", "timeout", "budget"),
    [
        pytest.param(1.0, 0.010, 0.1, 0.1, id="its-own-timeout-when-there-is-plenty"),
        pytest.param(0.100, 0.020, 0.1, 0.060, id="what-the-champion-leaves"),
        pytest.param(0.041, 0.020, 0.1, None, id="nothing-useful-is-left"),
        pytest.param(0.0, 0.001, 0.1, None, id="the-deadline-is-here"),
        pytest.param(-1.0, 0.001, 0.1, None, id="the-deadline-is-past"),
        pytest.param(1.0, None, 0.9, 0.490, id="half-while-the-champion-is-unknown"),
        pytest.param(1.0, 2.0, 0.9, None, id="a-champion-slower-than-the-deadline"),
        pytest.param(1.0, 0.010, 0.001, None, id="a-timeout-nobody-can-keep"),
    ],
)
def test_the_budget_is(left: float, p99: float | None, timeout: float, budget: float | None) -> None:
    assert forward_budget(left, p99, timeout) == (None if budget is None else pytest.approx(budget))


@given(st.floats(0, 10), st.floats(0.0001, 10), st.floats(0.001, 10))
def test_the_champion_always_keeps_its_p99_and_a_margin(left: float, p99: float, timeout: float) -> None:
    budget = forward_budget(left, p99, timeout)
    if budget is not None:
        assert budget <= timeout
        assert left - budget >= p99 + MARGIN_SECONDS - 1e-9


def test_nothing_is_known_of_a_champion_that_answered_less_than_twenty_times() -> None:
    recent = RecentP99()
    for _ in range(19):
        recent.observe(0.01, 0.0)
    assert recent.seconds() is None
    recent.observe(0.01, 0.0)
    assert recent.seconds() == pytest.approx(0.01, rel=0.1)


@given(st.lists(st.floats(0.0002, 100), min_size=20, max_size=300))
def test_the_estimate_is_the_99th_percentile_or_up_to_a_tenth_more(durations: list[float]) -> None:
    recent = RecentP99()
    for duration in durations:
        recent.observe(duration, 0.0)
    exact = sorted(durations)[math.ceil(len(durations) * 0.99) - 1]
    if len(durations) < 52:  # the first estimate holds for 32 answers
        recent = RecentP99()
        for duration in sorted(durations, reverse=True):
            recent.observe(duration, 0.0)
    estimate = recent.seconds()
    assert estimate is not None
    assert exact * 0.999 <= estimate <= exact * 1.1001


def test_old_answers_are_forgotten_when_there_are_enough_new_ones() -> None:
    recent = RecentP99()
    for _ in range(300):
        recent.observe(1.0, 0.0)
    for second in range(31, 100):
        for _ in range(10):
            recent.observe(0.01, float(second))
    estimate = recent.seconds()
    assert estimate is not None
    assert estimate < 0.02


def test_a_slow_hour_does_not_forget() -> None:
    recent = RecentP99()
    for minute in range(60):
        recent.observe(0.5, minute * 60.0)
    assert recent.seconds() == pytest.approx(0.5, rel=0.1)


def test_a_champion_that_slows_down_is_noticed_within_a_hundred_answers() -> None:
    recent = RecentP99()
    for _ in range(1000):
        recent.observe(0.01, 0.0)
    for _ in range(100):
        recent.observe(0.4, 1.0)
    estimate = recent.seconds()
    assert estimate is not None
    assert estimate > 0.39
