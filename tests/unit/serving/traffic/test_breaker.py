"""The breaker: opens on repeated failure, probes, closes; late news change nothing."""

import pytest

from podium_serving.traffic.breaker import Breaker, BreakerState, Pass


def run(breaker: Breaker, outcomes: str, now: float = 0.0) -> None:
    """One forward after the other: `+` is a good one, `-` a bad one."""
    for outcome in outcomes:
        leave = breaker.admit(now)
        assert leave is not None, f"the breaker let nothing pass before {outcome!r} in {outcomes!r}"
        breaker.settle(leave, good=outcome == "+", now=now)


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        pytest.param("----", BreakerState.CLOSED, id="four-in-a-row"),
        pytest.param("-----", BreakerState.OPEN, id="five-in-a-row"),
        pytest.param("----+----", BreakerState.CLOSED, id="a-good-one-between"),
        pytest.param("+-" * 9 + "+", BreakerState.CLOSED, id="half-of-nineteen"),
        pytest.param("+-" * 10, BreakerState.OPEN, id="half-of-twenty"),
        pytest.param("+++-" * 20, BreakerState.CLOSED, id="a-quarter-for-ever"),
    ],
)
def test_after_these_outcomes_it_is(outcomes: str, state: BreakerState) -> None:
    breaker = Breaker()
    run(breaker, outcomes)
    assert breaker.state is state


def test_open_it_lets_nothing_pass_for_a_second() -> None:
    breaker = Breaker()
    run(breaker, "-----")
    assert breaker.admit(0.99) is None
    assert [breaker.is_shut(now) for now in (0.0, 0.99, 1.0)] == [True, True, False]
    assert breaker.state is BreakerState.OPEN, "asking changes nothing"
    assert breaker.admit(1.0) is not None


def test_probes_go_out_one_at_a_time_and_three_good_ones_close_it() -> None:
    breaker = Breaker()
    run(breaker, "-----")
    for _ in range(3):
        probe = breaker.admit(1.0)
        assert probe is not None
        assert breaker.admit(1.0) is None
        breaker.settle(probe, good=True, now=1.0)
    assert breaker.state is BreakerState.CLOSED
    run(breaker, "----")
    assert breaker.state is BreakerState.CLOSED


def test_a_bad_probe_doubles_the_pause_up_to_half_a_minute() -> None:
    breaker = Breaker()
    run(breaker, "-----")
    now = 0.0
    for pause in (1, 2, 4, 8, 16, 30, 30):
        assert breaker.admit(now + pause - 0.01) is None
        now += pause
        run(breaker, "-", now)


def test_a_forgiven_probe_makes_room_for_the_next() -> None:
    breaker = Breaker()
    run(breaker, "-----")
    probe = breaker.admit(1.0)
    assert probe is not None
    breaker.forgive(probe)
    assert breaker.admit(1.0) is not None
    assert breaker.state is BreakerState.PROBING


def test_outcomes_of_before_it_opened_change_nothing() -> None:
    breaker = Breaker()
    late: list[Pass] = [leave for _ in range(10) if (leave := breaker.admit(0.0))]
    run(breaker, "-----")
    for leave in late:
        breaker.settle(leave, good=True, now=0.5)
    assert breaker.admit(0.9) is None
    probe = breaker.admit(1.0)
    for leave in late:
        breaker.settle(leave, good=False, now=1.0)
        breaker.forgive(leave)
    assert breaker.admit(1.0) is None
    assert probe is not None
    assert breaker.state is BreakerState.PROBING
