"""When a measure counts as reached, and whether something stays flat."""

import pytest

from bench.serving.judgement import Interval, Verdict, all_of, at_least, at_most, ratio_interval
from bench.serving.series import Sample, file_growth, growth


@pytest.mark.parametrize(
    ("ratio", "must", "by_cpu", "verdict"),
    [
        pytest.param(1.3, 1.0, Interval(0.5, 0.4, 0.6), "reached", id="clearly-faster-whatever-the-cpu-says"),
        pytest.param(0.7, 1.0, Interval(2.0, 1.9, 2.1), "missed", id="clearly-slower-whatever-the-cpu-says"),
        pytest.param(0.9, 1.0, Interval(1.1, 1.05, 1.2), "reached", id="near-and-cheaper"),
        pytest.param(1.1, 1.0, Interval(0.9, 0.85, 0.95), "missed", id="near-and-dearer"),
        pytest.param(1.1, 1.0, Interval(1.0, 0.9, 1.1), "undecided", id="near-and-nobody-knows"),
        pytest.param(15.1, 15.0, None, "reached", id="no-pairs-were-run"),
        pytest.param(14.9, 15.0, None, "missed", id="just-below-without-pairs"),
    ],
)
def test_throughput_decides_clear_cases_and_cpu_time_the_others(
    ratio: float, must: float, by_cpu: Interval | None, verdict: Verdict
) -> None:
    assert at_least(ratio, must, by_cpu) == verdict


@pytest.mark.parametrize(
    ("value", "interval", "verdict"),
    [
        pytest.param(1.0, None, "reached", id="below"),
        pytest.param(1.2, None, "missed", id="above"),
        pytest.param(1.0, Interval(1.0, 0.9, 1.05), "reached", id="all-of-the-interval-below"),
        pytest.param(1.0, Interval(1.0, 0.9, 1.2), "undecided", id="interval-over-the-bound"),
        pytest.param(1.3, Interval(1.3, 1.2, 1.4), "missed", id="all-of-the-interval-above"),
    ],
)
def test_a_bound_from_above(value: float, interval: Interval | None, verdict: Verdict) -> None:
    assert at_most(value, 1.1, interval) == verdict


def test_equal_pairs_leave_no_doubt() -> None:
    assert ratio_interval([2.0, 4.0, 6.0], [1.0, 2.0, 3.0]) == Interval(2.0, 2.0, 2.0)


def test_an_interval_of_one_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="two pairs, got 1"):
        ratio_interval([1.0], [1.0])


def test_the_worst_verdict_counts() -> None:
    assert all_of("reached", "undecided", "reached") == "undecided"
    assert all_of("reached", "missed", "undecided") == "missed"


def _samples(*megabytes: float, files: int = 80) -> list[Sample]:
    return [Sample(float(at), value, files + at % 2) for at, value in enumerate(megabytes)]


def test_growth_is_of_the_time_after_it_settled() -> None:
    assert growth(_samples(50, 80, 100, 100, 100, 100, 100, 100, 100)) == pytest.approx(0.0)
    assert growth(_samples(0, 0, 100, 101, 102, 103, 104, 105, 106)) == pytest.approx(6.0)


def test_files_that_come_and_go_are_no_growth() -> None:
    assert file_growth(_samples(*[1.0] * 20)) == pytest.approx(0.0, abs=1.0)
