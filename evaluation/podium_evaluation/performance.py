"""How good a model is on rows whose truth is known: the field's figures, with fixed-sample intervals where they have one."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from podium_evaluation.losses import squared_errors, surprises
from podium_evaluation.sequences import Floats


@dataclass(frozen=True)
class Estimate:
    """A figure and its interval; NaN bounds where none is defined."""

    value: float
    interval: tuple[float, float]


NO_INTERVAL = (float("nan"), float("nan"))


@dataclass(frozen=True)
class Confusion:
    """Counts of a binary decision against the truth."""

    true_positive: int
    false_positive: int
    true_negative: int
    false_negative: int

    @property
    def rows(self) -> int:
        return self.true_positive + self.false_positive + self.true_negative + self.false_negative

    @property
    def precision(self) -> float:
        return _ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def recall(self) -> float:
        return _ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> float:
        return _ratio(self.true_negative, self.true_negative + self.false_positive)

    @property
    def balanced_accuracy(self) -> float:
        """The mean of recall and specificity; NaN when a class is absent."""
        return (self.recall + self.specificity) / 2

    @property
    def f1(self) -> float:
        return _ratio(2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative)


def confusion(target: npt.ArrayLike, predicted: npt.ArrayLike) -> Confusion:
    """Both 0 or 1, shapes (n,). Raises ValueError otherwise."""
    truth, said = _binary(target, "target"), _binary(predicted, "prediction")
    _same_shape(truth, said)
    true_positive = int((truth & said).sum())
    return Confusion(
        true_positive, int(said.sum()) - true_positive, int((~truth & ~said).sum()), int(truth.sum()) - true_positive
    )


def proportion(successes: int, trials: int, confidence: float = 0.95) -> Estimate:
    """A share with Wilson's interval, which keeps its coverage near 0 and 1. NaN without trials.

    Source: Wilson (1927), JASA 22, 209-212; recommended by Brown, Cai, DasGupta (2001), Statistical Science 16, 101-133.

    >>> [round(bound, 4) for bound in proportion(81, 263).interval]
    [0.2553, 0.3662]
    """
    if trials == 0:
        return Estimate(float("nan"), NO_INTERVAL)
    z = float(ndtri(0.5 + confidence / 2))
    share = successes / trials
    centre = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return Estimate(share, (float(max(0.0, centre - half)), float(min(1.0, centre + half))))


def balanced_accuracy(counts: Confusion) -> Estimate:
    """The mean of recall and specificity, with the interval of the mean of two independent shares: the square roots of the
    sums of squares of what Wilson's intervals leave on either side. NaN when a class is absent.

    Source: Zou, Donner (2008), Statistics in Medicine 27, 1693-1702, MOVER; recall and specificity are of other rows each.

    >>> [round(bound, 3) for bound in balanced_accuracy(Confusion(40, 20, 80, 10)).interval]
    [0.721, 0.855]
    """
    positives, negatives = counts.true_positive + counts.false_negative, counts.true_negative + counts.false_positive
    if positives == 0 or negatives == 0:
        return Estimate(float("nan"), NO_INTERVAL)
    value = counts.balanced_accuracy
    of_ones, of_zeros = proportion(counts.true_positive, positives), proportion(counts.true_negative, negatives)
    down = np.hypot(of_ones.value - of_ones.interval[0], of_zeros.value - of_zeros.interval[0]) / 2
    up = np.hypot(of_ones.interval[1] - of_ones.value, of_zeros.interval[1] - of_zeros.value) / 2
    return Estimate(value, (float(value - down), float(value + up)))


def f1_score(counts: Confusion) -> Estimate:
    """F1 with an interval: of the rows that are positive or were said to be, the share j of true positives is binomial, and
    F1 = 2 j / (1 + j) rises with it, so Wilson's bounds of j become those of F1. NaN where no row is positive in either way.

    Source: Dice (1945), Ecology 26, 297-302, for F1 from j (Jaccard's coefficient); Wilson: see `proportion`.

    >>> round(f1_score(Confusion(40, 20, 80, 10)).value, 3)
    0.727
    """
    share = proportion(counts.true_positive, counts.rows - counts.true_negative)
    low, high = (2 * bound / (1 + bound) for bound in share.interval)
    return Estimate(counts.f1, (low, high))


def mean_loss(losses: npt.ArrayLike, confidence: float = 0.95) -> Estimate:
    """The mean of a loss per row, shape (n,), with the interval of the central limit theorem; NaN without rows."""
    values = np.asarray(losses, dtype=np.float64)
    if len(values) == 0:
        return Estimate(float("nan"), NO_INTERVAL)
    if len(values) == 1:
        return Estimate(float(values[0]), NO_INTERVAL)
    half = float(ndtri(0.5 + confidence / 2)) * float(values.std(ddof=1)) / np.sqrt(len(values))
    mean = float(values.mean())
    return Estimate(mean, (float(mean - half), float(mean + half)))


def log_losses(target: npt.ArrayLike, probability: npt.ArrayLike) -> Floats:
    """-ln of the probability that the truth was given, per row, shape (n,). Good (1952), JRSS B 14, 107-114."""
    truth, p = _binary(target, "target"), _probabilities(probability)
    _same_shape(truth, p)
    return surprises(truth, p)


def brier_losses(target: npt.ArrayLike, probability: npt.ArrayLike) -> Floats:
    """(probability - truth)^2 per row, shape (n,). Brier (1950), Monthly Weather Review 78, 1-3."""
    truth, p = _binary(target, "target"), _probabilities(probability)
    _same_shape(truth, p)
    return squared_errors(truth, p)


@dataclass(frozen=True)
class CalibrationBin:
    rows: int
    mean_probability: float
    positives: Estimate


@dataclass(frozen=True)
class Calibration:
    """Bins of equal numbers of rows, and the mean distance of their observed shares from what was said, weighted by rows."""

    bins: tuple[CalibrationBin, ...]
    expected_error: float


def calibration(target: npt.ArrayLike, probability: npt.ArrayLike, bins: int = 10) -> Calibration:
    """Whether of the rows given p a share of p is positive. Equal probabilities stay in one bin.

    Source: Naeini, Cooper, Hauskrecht (2015), AAAI 29, expected calibration error with bins of equal mass.
    """
    truth, p = _binary(target, "target"), _probabilities(probability)
    _same_shape(truth, p)
    if len(p) == 0:
        return Calibration((), float("nan"))
    edges = np.unique(np.quantile(p, np.arange(1, bins) / bins))
    place = np.searchsorted(edges, p, side="right")
    found, error = [], 0.0
    for index in np.unique(place):
        inside = place == index
        rows, positives = int(inside.sum()), int(truth[inside].sum())
        said = float(p[inside].mean())
        found.append(CalibrationBin(rows, said, proportion(positives, rows)))
        error += rows / len(p) * abs(said - positives / rows)
    return Calibration(tuple(found), error)


def lift(target: npt.ArrayLike, scores: npt.ArrayLike, share: float = 0.1) -> float:
    """How many times more positives the `share` of rows with the highest scores holds than rows at large.

    Rows that tie at the border count with the share of them that fits. NaN without positives. Raises ValueError for a
    share outside (0, 1].
    """
    if not 0 < share <= 1:
        raise ValueError(f"the share is {share}, must lie in (0, 1]")
    truth, given = _binary(target, "target"), np.asarray(scores, dtype=np.float64)
    _same_shape(truth, given)
    if not truth.any():
        return float("nan")
    wanted = share * len(given)
    border = np.sort(given)[::-1][max(0, int(np.ceil(wanted)) - 1)]
    above, ties = given > border, given == border
    fraction = (wanted - above.sum()) / ties.sum()
    caught = truth[above].sum() + fraction * truth[ties].sum()
    return float(caught / wanted / truth.mean())


@dataclass(frozen=True)
class Regression:
    rmse: float
    rmse_interval: tuple[float, float]
    """The roots of the bounds of the mean squared error."""
    mae: Estimate
    r2: float
    """1 - residual over total sum of squares; NaN for a constant truth."""
    aic: float
    bic: float
    """Of Gaussian errors, up to a constant that is equal for all models of the same rows; NaN without a number of
    parameters."""


def regression(target: npt.ArrayLike, predicted: npt.ArrayLike, parameters: int | None = None) -> Regression:
    """Errors of a prediction, both of shape (n,). AIC: Akaike (1974), IEEE TAC 19, 716-723; BIC: Schwarz (1978), Annals of
    Statistics 6, 461-464: n ln(RSS / n) + 2 k, and + k ln n; k counts the error's variance too.

    Raises ValueError when shapes differ, there is no row, or a value is not finite.
    """
    truth, said = np.asarray(target, dtype=np.float64), np.asarray(predicted, dtype=np.float64)
    _same_shape(truth, said)
    if len(truth) == 0 or not (np.isfinite(truth).all() and np.isfinite(said).all()):
        raise ValueError("there is no row, or a value is not a finite number")
    residual, rows = truth - said, len(truth)
    squares, total = float(np.sum(residual**2)), float(np.sum((truth - truth.mean()) ** 2))
    aic = bic = float("nan")
    if parameters is not None and squares > 0:
        fit, k = rows * np.log(squares / rows), parameters + 1
        aic, bic = float(fit + 2 * k), float(fit + k * np.log(rows))
    r2 = 1 - squares / total if total > 0 else float("nan")
    low, high = (float(np.sqrt(max(bound, 0.0))) for bound in mean_loss(residual**2).interval)
    return Regression(float(np.sqrt(squares / rows)), (low, high), mean_loss(np.abs(residual)), r2, aic, bic)


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _binary(values: npt.ArrayLike, what: str) -> npt.NDArray[np.bool_]:
    given = np.asarray(values)
    if not np.isin(given, (0, 1)).all():
        raise ValueError(f"a {what} is neither 0 nor 1")
    return np.asarray(given == 1, dtype=bool)


def _probabilities(values: npt.ArrayLike) -> Floats:
    given = np.asarray(values, dtype=np.float64)
    if not ((given >= 0) & (given <= 1)).all():
        raise ValueError("a probability lies outside of [0, 1]")
    return given


def _same_shape(one: npt.NDArray[np.generic], other: npt.NDArray[np.generic]) -> None:
    if one.shape != other.shape or one.ndim != 1:
        raise ValueError(f"the columns have shapes {one.shape} and {other.shape}; they must be one (n,)")
