"""Buckets that refill: bursts, steady rates, and a bound on how many are kept."""

import pytest

from podium_crds.rates import Buckets, Rate


def test_a_burst_is_allowed_and_then_a_steady_rate() -> None:
    buckets = Buckets(Rate(per_second=2, burst=3))
    assert [buckets.take("a", 0.0) for _ in range(4)] == [True, True, True, False]
    assert buckets.take("b", 0.0)
    assert [buckets.take("a", 0.5), buckets.take("a", 0.5)] == [True, False]
    assert [buckets.take("a", 100.0) for _ in range(4)] == [True, True, True, False]


def test_what_did_not_count_is_given_back_up_to_the_burst() -> None:
    buckets = Buckets(Rate(per_second=1, burst=1))
    assert buckets.take("a", 0.0)
    buckets.give_back("a", 0.0)
    buckets.give_back("a", 0.0)
    assert [buckets.take("a", 0.0), buckets.take("a", 0.0)] == [True, False]


def test_full_buckets_are_not_kept_and_others_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium_crds.rates._MOST_KEYS", 10)
    buckets = Buckets(Rate(per_second=1, burst=2))
    for key in range(100):
        assert buckets.take(key, 0.0)
    assert len(buckets) == 10
    buckets.give_back(99, 0.0)
    assert len(buckets) == 9
