"""Performance before labels arrive, from the model's own probabilities. Valid only if they are calibrated and the
concept has not drifted: whoever shows these figures says so beside them.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from podium_evaluation.performance import NO_INTERVAL, Estimate
from podium_evaluation.sequences import Floats

ASSUMES = "valid only if the probabilities are calibrated and the relation of inputs to the truth has not changed"


def estimated_accuracy(
    probability: npt.ArrayLike, decided: npt.ArrayLike | None = None, confidence: float = 0.95
) -> Estimate:
    """The expected share of right decisions: of rows decided positive p, of the others 1 - p. Shapes (n,); `decided` is 0
    or 1, by default whether p is at least 0.5.

    The interval is that of a sum of independent Bernoulli rows with these probabilities. Confidence-based performance
    estimation:
    Bialek, Kuberski, Perrakis, Bifet (2024), arXiv:2407.08649.

    >>> round(estimated_accuracy([0.9, 0.2]).value, 3)
    0.85
    """
    p = _checked(probability)
    positive = p >= 0.5 if decided is None else np.asarray(decided) == 1
    found = _estimate(
        float(np.where(positive, p, 1 - p).mean()) if len(p) else np.nan, p * (1 - p) / len(p) ** 2, confidence
    )
    low, high = found.interval
    return Estimate(found.value, (max(0.0, low), min(1.0, high)))


def estimated_auc(probability: npt.ArrayLike, confidence: float = 0.95) -> Estimate:
    """The AUC that calibrated probabilities imply: each row is positive with weight p and negative with weight 1 - p.
    NaN when one class has no weight. Source as above.

    The interval is that of the AUC that the labels will give, by the delta method: what each label moves it by.

    >>> round(estimated_auc([0.0, 1.0]).value, 3)
    1.0
    """
    p = _checked(probability)
    values, place = np.unique(p, return_inverse=True)
    if len(values) == 0:
        return Estimate(float("nan"), NO_INTERVAL)
    rows = np.bincount(place).astype(np.float64)
    return auc_of_weights(rows * values, rows * (1 - values), rows * values * (1 - values), confidence)


def auc_of_weights(positive: Floats, negative: Floats, variances: Floats, confidence: float = 0.95) -> Estimate:
    """`estimated_auc` of bins of scores, lowest first, from sums of p, of 1 - p and of p (1 - p), shapes (n_bins,): rows of
    a bin are ties, and a row's pair with itself is none."""
    lower, higher = np.cumsum(negative) - negative / 2, positive.sum() - np.cumsum(positive) + positive / 2
    pairs = float(positive.sum() * negative.sum() - variances.sum())
    if pairs <= 0:
        return Estimate(float("nan"), NO_INTERVAL)
    value = float((np.dot(positive, lower) - variances.sum() / 2) / pairs)
    slope = (lower - higher - value * (negative.sum() - positive.sum())) / pairs
    found = _estimate(value, variances * slope**2, confidence)
    return Estimate(value, (max(0.0, found.interval[0]), min(1.0, found.interval[1])))


def estimated_log_loss(probability: npt.ArrayLike, confidence: float = 0.95) -> Estimate:
    """The expected log loss of calibrated probabilities: their mean entropy, in nats, with the interval of what the labels
    will give. NaN without rows."""
    p = _checked(probability)
    if len(p) == 0:
        return Estimate(float("nan"), NO_INTERVAL)
    inside = p[(p > 0) & (p < 1)]
    odds = np.log(inside / (1 - inside))
    entropy = -(inside * np.log(inside) + (1 - inside) * np.log1p(-inside))
    return _estimate(float(entropy.sum() / len(p)), inside * (1 - inside) * odds**2 / len(p) ** 2, confidence)


def _estimate(value: float, variances: Floats, confidence: float) -> Estimate:
    """By the central limit theorem; `variances` are the rows' parts of that of the value."""
    if value != value:
        return Estimate(value, NO_INTERVAL)
    half = float(ndtri(0.5 + confidence / 2) * np.sqrt(np.sum(variances)))
    return Estimate(value, (value - half, value + half))


def _checked(probability: npt.ArrayLike) -> Floats:
    p = np.asarray(probability, dtype=np.float64)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities have shape (n,) and lie in [0, 1]")
    return p
