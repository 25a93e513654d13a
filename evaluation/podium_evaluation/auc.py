"""The area under the ROC curve with DeLong's variance, and the difference of two on the same rows."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, stdtrit
from scipy.stats import rankdata

from podium_evaluation.sequences import Floats

_FEWEST_DEGREES = 3.0
_MOST_DEGREES = 1e6
"""Beyond it Student's t is the normal distribution."""


@dataclass(frozen=True)
class Auc:
    """An AUC with its standard error and fixed-sample interval, cut to [0, 1]."""

    value: float
    standard_error: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class AucDifference:
    """first - second. `z` is 0 and `p_value` 1 where both rank all rows alike."""

    first: Auc
    second: Auc
    difference: float
    interval: tuple[float, float]
    z: float
    p_value: float


def auc(target: npt.ArrayLike, scores: npt.ArrayLike, confidence: float = 0.95) -> Auc:
    """The probability that a positive row has a higher score than a negative one, ties counted half.

    `target` is 0 or 1, both shapes (n,). The interval is symmetric on the logit scale: it keeps its coverage near 1,
    where the plain one leaves [0, 1], and wider by the doubt about the variance: with 50 positives and an AUC of .95
    the normal quantile covers 91 %. With one row of a class the error is unknown (NaN). Raises ValueError when shapes
    differ, a score is NaN, or a class is absent.

    Source: DeLong, DeLong, Clarke-Pearson (1988), Biometrics 44, 837-845; computed by midranks as in Sun, Xu (2014),
    IEEE Signal Processing Letters 21, 1389-1393, doi 10.1109/LSP.2014.2337313. The logit interval: Pepe (2003), The
    Statistical Evaluation of Medical Tests, section 5.2. Degrees of freedom of a variance by its kurtosis: O'Neill (2014),
    The American Statistician 68, 282-296; of their sum: Satterthwaite (1946), Biometrics Bulletin 2, 110-114.

    >>> auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]).value
    0.75
    """
    of_positives, of_negatives = _structural(target, [scores])
    return _auc(of_positives[0], of_negatives[0], confidence)


def auc_difference(
    target: npt.ArrayLike, first: npt.ArrayLike, second: npt.ArrayLike, confidence: float = 0.95
) -> AucDifference:
    """Both AUCs and DeLong's test of their difference, paired on the same rows. Arguments and source: see `auc`."""
    of_positives, of_negatives = _structural(target, [first, second])
    areas = [_auc(ones, zeros, confidence) for ones, zeros in zip(of_positives, of_negatives, strict=True)]
    covariance = _covariance(of_positives) / of_positives.shape[1] + _covariance(of_negatives) / of_negatives.shape[1]
    difference = areas[0].value - areas[1].value
    error = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0)))
    z = difference / error if error > 0 else (0.0 if difference == 0 else float(np.copysign(np.inf, difference)))
    half = float(ndtri(0.5 + confidence / 2)) * error
    return AucDifference(
        first=areas[0],
        second=areas[1],
        difference=difference,
        interval=(difference - half, difference + half),
        z=z,
        p_value=float(2 * ndtr(-abs(z))),
    )


def auc_of_counts(positive: npt.ArrayLike, negative: npt.ArrayLike, confidence: float = 0.95) -> Auc:
    """The same of a histogram of scores, lowest bin first, both shapes (n_bins,): rows of one bin are ties. Equal to `auc`
    where each bin holds one value. Raises ValueError when a class is absent.

    >>> auc_of_counts([0, 1, 0, 1], [1, 0, 1, 0]).value
    0.75
    """
    ones, zeros = np.asarray(positive, dtype=np.float64), np.asarray(negative, dtype=np.float64)
    m, n = float(ones.sum()), float(zeros.sum())
    if m == 0 or n == 0:
        raise ValueError(f"there are {m:.0f} positive and {n:.0f} negative rows; an AUC needs both")
    of_positives = (np.cumsum(zeros) - zeros / 2) / n
    of_negatives = 1 - (np.cumsum(ones) - ones / 2) / m
    parts = _spread(of_positives, ones), _spread(of_negatives, zeros)
    return _interval(float(np.dot(ones, of_positives) / m), *parts, confidence)


@dataclass(frozen=True)
class _Spread:
    """Variance of a mean, and the degrees of freedom with which it is known. NaN of fewer than two."""

    variance: float
    degrees: float


def _spread(components: Floats, counts: Floats | None = None) -> _Spread:
    """Of components that each occur so often, by default once."""
    total = float(len(components) if counts is None else counts.sum())
    if total < 2:
        return _Spread(float("nan"), float("nan"))
    weights = np.full(len(components), 1.0) if counts is None else counts
    squares = (components - np.dot(weights, components) / total) ** 2
    second, fourth = float(np.dot(weights, squares)) / total, float(np.dot(weights, squares**2)) / total
    excess = fourth / second**2 - 1 if second > 1e-24 else 0.0
    degrees = max(_FEWEST_DEGREES, 2 * total / excess) if excess > 1e-9 else float("inf")
    return _Spread(second / (total - 1), degrees)


def _structural(target: npt.ArrayLike, scores: list[npt.ArrayLike]) -> tuple[Floats, Floats]:
    """DeLong's structural components of k scores, shapes (k, n_positives) and (k, n_negatives)."""
    truth = np.asarray(target)
    if not np.isin(truth, (0, 1)).all():
        raise ValueError("a target is neither 0 nor 1")
    positive = truth == 1
    m, n = int(positive.sum()), int((~positive).sum())
    if m == 0 or n == 0:
        raise ValueError(f"there are {m} positive and {n} negative rows; an AUC needs both")
    of_positives, of_negatives = np.empty((len(scores), m)), np.empty((len(scores), n))
    for row, one in enumerate(scores):
        given = np.asarray(one, dtype=np.float64)
        if given.shape != truth.shape:
            raise ValueError(f"target has shape {truth.shape}, scores {given.shape}")
        if np.isnan(given).any():
            raise ValueError("a score is missing (NaN)")
        ranks = rankdata(given)
        of_positives[row] = (ranks[positive] - rankdata(given[positive])) / n
        of_negatives[row] = 1 - (ranks[~positive] - rankdata(given[~positive])) / m
    return of_positives, of_negatives


def _covariance(components: Floats) -> Floats:
    count = components.shape[1]
    if count < 2:
        return np.full((len(components), len(components)), np.nan)
    return np.atleast_2d(np.cov(components))


def _auc(of_positives: Floats, of_negatives: Floats, confidence: float) -> Auc:
    return _interval(float(of_positives.mean()), _spread(of_positives), _spread(of_negatives), confidence)


def _interval(value: float, positives: _Spread, negatives: _Spread, confidence: float) -> Auc:
    variance = positives.variance + negatives.variance
    error = float(np.sqrt(variance))
    doubt = positives.variance**2 / positives.degrees + negatives.variance**2 / negatives.degrees
    degrees = variance**2 / doubt if doubt > 0 else float("inf")
    quantile = float(stdtrit(degrees, 0.5 + confidence / 2) if degrees < _MOST_DEGREES else ndtri(0.5 + confidence / 2))
    half = quantile * error
    if 0 < value < 1 and error == error:
        centre = np.log(value / (1 - value))
        spread = half / (value * (1 - value))
        return Auc(value, error, (_logistic(centre - spread), _logistic(centre + spread)))
    return Auc(value, error, (max(value - half, 0.0), min(value + half, 1.0)))


def _logistic(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))
