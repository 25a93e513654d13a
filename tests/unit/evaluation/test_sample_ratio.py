"""The sample-ratio test: by hand, its false alarms under peeking, and what it finds."""

import math

import numpy as np
import pytest
from scipy.stats import binom

from podium_evaluation.sample_ratio import Segment, is_mismatch, log_e_value


def test_the_e_value_is_the_product_of_what_the_posterior_said_before_each_unit() -> None:
    """Step by step: the predictive probability of a Dirichlet(10 * shares) posterior over the planned one."""
    shares, units = (0.9, 0.1), [0, 0, 1, 0, 1, 1, 0]
    counts, product = [0, 0], 1.0
    for arm in units:
        product *= (10 * shares[arm] + counts[arm]) / (10 + sum(counts)) / shares[arm]
        counts[arm] += 1
    assert math.exp(log_e_value([Segment((4, 3), shares)])) == pytest.approx(product)


def test_segments_with_other_splits_multiply() -> None:
    first, second = Segment((50, 50), (0.5, 0.5)), Segment((80, 20), (0.9, 0.1))
    assert log_e_value([first, second]) == pytest.approx(log_e_value([first]) + log_e_value([second]))
    assert log_e_value([]) == 0.0


def test_shares_that_do_not_fit_are_refused() -> None:
    for shares in ((0.5, 0.4), (1.0, 0.0), (1.0,)):
        with pytest.raises(ValueError, match="must be above 0, add up to 1"):
            log_e_value([Segment((1, 1), shares)])


def test_a_right_split_is_called_wrong_in_alpha_of_the_runs_at_most_though_each_unit_is_looked_at() -> None:
    chance = np.random.default_rng(1)
    runs, units, alpha, share = 200, 200, 0.05, 0.1
    wrong = 0
    for _ in range(runs):
        hits = np.cumsum(chance.random(units) < share).tolist()
        wrong += any(is_mismatch([Segment((n + 1 - k, k), (0.9, 0.1))], alpha) for n, k in enumerate(hits))
    assert wrong <= binom.ppf(0.99, runs, alpha)


def test_a_wrong_split_is_found() -> None:
    assert is_mismatch([Segment((9300, 700), (0.9, 0.1))])
    assert not is_mismatch([Segment((9020, 980), (0.9, 0.1))])
