"""Did units go to the arms as the plan split them? A test that may be looked at after each unit.

If not, something that depends on the arm decides who is counted (a client that gives up on a slow arm, a request that
names its version), and no comparison of the arms means anything.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln

MISMATCH_ALPHA = 0.001
"""Chance that a split that is right is ever called wrong."""
CONCENTRATION = 10.0
"""Of the prior around the planned split: as if so many units had been seen. Small: any other split is thought possible."""


@dataclass(frozen=True)
class Segment:
    """Units under one split. `observed` and `shares` have one entry per arm; shares are above 0 and add up to 1."""

    observed: tuple[int, ...]
    shares: tuple[float, ...]


def log_e_value(segments: Iterable[Segment]) -> float:
    """Natural logarithm of the evidence against the plan over all segments: the e-value is at or above 1/alpha at any time
    with probability alpha at most, if units are split as planned.

    Per segment the Bayes factor of a Dirichlet(c * shares) prior against the shares themselves, which is a martingale of
    expectation 1; segments follow each other in time, so their product is one, too. Permuted blocks split more evenly than
    independent draws, which only lowers it. Raises ValueError when shares do not fit.

    Source: Lindon, Malek (2022), Anytime-valid inference for multinomial count data, NeurIPS 35, arXiv:2011.03567,
    theorem 1.

    >>> round(float(np.exp(log_e_value([Segment((60, 40), (0.5, 0.5))]))), 3)
    1.866
    """
    return sum((_log_bayes_factor(segment) for segment in segments), 0.0)


def _log_bayes_factor(segment: Segment) -> float:
    counts, shares = _array(segment.observed), _array(segment.shares)
    if counts.shape != shares.shape or not (shares > 0).all() or not np.isclose(shares.sum(), 1.0):
        raise ValueError(f"shares {segment.shares} must be above 0, add up to 1, and be as many as {segment.observed}")
    prior = CONCENTRATION * shares
    marginal = (
        gammaln(CONCENTRATION) - gammaln(CONCENTRATION + counts.sum()) + (gammaln(prior + counts) - gammaln(prior)).sum()
    )
    return float(marginal - (counts * np.log(shares)).sum())


def _array(values: tuple[float, ...]) -> npt.NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def is_mismatch(segments: Iterable[Segment], alpha: float = MISMATCH_ALPHA) -> bool:
    """Whether the split is not the planned one, beyond the doubt of `alpha`."""
    return bool(log_e_value(segments) >= -np.log(alpha))
