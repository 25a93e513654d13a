"""Performance before labels arrive, from the model's own probabilities. Valid only if they are calibrated and the
concept has not drifted: whoever shows these figures says so beside them.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from podium_evaluation.performance import NO_INTERVAL, Estimate
from podium_evaluation.sequences import Floats

ASSUMES = "valid only if the probabilities are calibrated and the relation of inputs to the truth has not changed"


def estimated_accuracy(probability: npt.ArrayLike, threshold: float = 0.5, confidence: float = 0.95) -> Estimate:
    """The expected share of right decisions: of rows decided positive p, of the others 1 - p. Shape (n,).

    The interval is that of a sum of independent Bernoulli rows with these probabilities. Confidence-based performance
    estimation:
    Bialek, Kuberski, Perrakis, Bifet (2024), arXiv:2407.08649.

    >>> round(estimated_accuracy([0.9, 0.2]).value, 3)
    0.85
    """
    p = _checked(probability)
    right = np.where(p >= threshold, p, 1 - p)
    return _mean_of_bernoullis(right, confidence)


def estimated_auc(probability: npt.ArrayLike) -> float:
    """The AUC that calibrated probabilities imply: each row is positive with weight p and negative with weight 1 - p.
    NaN when one class has no weight. Source as above.

    >>> round(estimated_auc([0.0, 1.0]), 3)
    1.0
    """
    p = np.sort(_checked(probability))
    values, starts = np.unique(p, return_index=True)
    if len(values) == 0:
        return float("nan")
    positive, negative = np.add.reduceat(p, starts), np.add.reduceat(1 - p, starts)
    # A pair of a row with itself is no pair: its weight p (1 - p) goes.
    alone = np.add.reduceat(p * (1 - p), starts)
    below = np.concatenate([[0.0], np.cumsum(negative)[:-1]])
    won = np.sum(positive * below) + 0.5 * np.sum(positive * negative - alone)
    pairs = positive.sum() * negative.sum() - alone.sum()
    return float(won / pairs) if pairs > 0 else float("nan")


def estimated_log_loss(probability: npt.ArrayLike) -> float:
    """The expected log loss of calibrated probabilities: their mean entropy, in nats. NaN without rows."""
    p = _checked(probability)
    if len(p) == 0:
        return float("nan")
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -(p * np.log(p) + (1 - p) * np.log1p(-p))
    return float(np.nan_to_num(entropy).mean())


def _mean_of_bernoullis(p: Floats, confidence: float) -> Estimate:
    if len(p) == 0:
        return Estimate(float("nan"), NO_INTERVAL)
    half = float(ndtri(0.5 + confidence / 2) * np.sqrt(np.sum(p * (1 - p))) / len(p))
    mean = float(p.mean())
    return Estimate(mean, (max(0.0, mean - half), min(1.0, mean + half)))


def _checked(probability: npt.ArrayLike) -> Floats:
    p = np.asarray(probability, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities have shape (n,) and lie in [0, 1]")
    return p
