"""The figures of a tally (tallies.py), each with its interval where one is defined."""

from collections.abc import Mapping

import numpy as np
from scipy.special import ndtri

from podium_evaluation.auc import auc_of_counts
from podium_evaluation.estimated import auc_of_weights
from podium_evaluation.performance import NO_INTERVAL, Confusion, Estimate, balanced_accuracy, f1_score, proportion
from podium_evaluation.sequences import Floats
from podium_evaluation.tallies import Key

_Z95 = float(ndtri(0.975))
CALIBRATION_BINS = 10
CURVE_POINTS = 101
_Tally = Mapping[Key, Floats]


def binary_figures(tally: _Tally, parameters: int | None = None) -> dict[str, Estimate]:
    """Of tallies.binary_tally. Left out: what needs another class, scores, more rows, or the number of parameters.

    AUC is that of binned scores: pairs of one bin count half, so it lies within half their share of the exact one
    (`auc_error`).
    """
    counts = Confusion(*(int(count) for count in tally["confusion",]))
    if counts.rows == 0:
        return {}
    found = {
        "accuracy": proportion(counts.true_positive + counts.true_negative, counts.rows),
        "balanced_accuracy": balanced_accuracy(counts),
        "f1": f1_score(counts),
        "precision": proportion(counts.true_positive, counts.true_positive + counts.false_positive),
        "recall": proportion(counts.true_positive, counts.true_positive + counts.false_negative),
    }
    if ("losses",) in tally:
        losses = tally["losses",]
        found["log_loss"] = mean_of(counts.rows, losses[0], losses[1])
        found["brier"] = mean_of(counts.rows, losses[2], losses[3])
        positive, negative = tally["positive",], tally["negative",]
        if positive.sum() and negative.sum():
            area = auc_of_counts(positive, negative)
            found["auc"] = Estimate(area.value, area.interval)
            found["gini"] = Estimate(2 * area.value - 1, (2 * area.interval[0] - 1, 2 * area.interval[1] - 1))
        found["calibration_error"] = Estimate(calibration_error(tally), NO_INTERVAL)
        found["lift"] = Estimate(lift_at(positive, negative, 0.1), NO_INTERVAL)
        found |= _criteria(2 * losses[0], counts.rows, parameters)
    return _known(found)


def multiclass_figures(tally: _Tally, parameters: int | None = None) -> dict[str, Estimate]:
    """Of tallies.multiclass_tally: AUC is the mean of each class against the rest, over classes that have both."""
    classes = round(len(tally["matrix",]) ** 0.5)
    matrix = tally["matrix",].reshape(classes, classes)
    rows = int(matrix.sum())
    if rows == 0:
        return {}
    of_class, right, said = matrix.sum(axis=1), np.diag(matrix), matrix.sum(axis=0)
    there = of_class > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * right / (of_class + said)
    found = {
        "accuracy": proportion(int(right.sum()), rows),
        "balanced_accuracy": Estimate(float(np.mean(right[there] / of_class[there])), NO_INTERVAL),
        "f1": Estimate(float(np.mean(f1[there])), NO_INTERVAL),
    }
    if ("losses",) in tally:
        found["log_loss"] = mean_of(rows, tally["losses",][0], tally["losses",][1])
        found |= _criteria(2 * tally["losses",][0], rows, parameters)
        pairs = [(tally["one", str(one), "positive"], tally["one", str(one), "negative"]) for one in range(classes)]
        areas = [auc_of_counts(ones, rest).value for ones, rest in pairs if ones.sum() and rest.sum()]
        if areas:
            found["auc"] = Estimate(float(np.mean(areas)), NO_INTERVAL)
    return _known(found)


def regression_figures(tally: _Tally, parameters: int | None = None) -> dict[str, Estimate]:
    """Of tallies.regression_tally. The interval of the RMSE by the delta method from that of the mean squared error; AIC and
    BIC as performance.regression, where the number of parameters is known: the error's variance is one more."""
    rows, _, squares, fourths, sizes = (float(value) for value in tally["errors",])
    if rows == 0:
        return {}
    mse = mean_of(int(rows), squares, fourths)
    rmse = float(np.sqrt(mse.value))
    low, high = (float(np.sqrt(max(bound, 0.0))) for bound in mse.interval)
    _, moved, moved_squares = (float(value) for value in tally["truth",])
    total = moved_squares - moved**2 / rows
    found = {
        "rmse": Estimate(rmse, (low, high)),
        "mae": mean_of(int(rows), sizes, squares),
        "r_squared": Estimate(1 - squares / total if total > 1e-12 * max(moved_squares, 1e-300) else np.nan, NO_INTERVAL),
    }
    if parameters is not None and squares > 0:
        found |= _criteria(rows * np.log(squares / rows), rows, parameters + 1)
    return _known(found)


def _criteria(deviance: float, rows: float, parameters: int | None) -> dict[str, Estimate]:
    """AIC (Akaike, 1974, IEEE TAC 19, 716-723) and BIC (Schwarz, 1978, Annals of Statistics 6, 461-464) from -2 ln of the
    likelihood. They grow with the rows: compare models on the same ones."""
    if parameters is None:
        return {}
    return {
        "aic": Estimate(float(deviance + 2 * parameters), NO_INTERVAL),
        "bic": Estimate(float(deviance + parameters * np.log(rows)), NO_INTERVAL),
    }


def estimated_figures(tally: _Tally) -> dict[str, Estimate]:
    """Of tallies.estimated_tally: accuracy, AUC of the binned scores and log loss, each with the interval of what the labels
    will give, for which the rows of a bin are taken to have its mean score. Source and assumptions: estimated.py."""
    rows, right, variance, entropy = (float(value) for value in tally["estimated",])
    if rows == 0:
        return {}
    half = _Z95 * np.sqrt(max(variance, 0.0)) / rows
    mean = right / rows
    counts, ones = tally["all",], tally["all said",]
    shares = np.clip(ones / np.maximum(counts, 1), 1e-15, 1 - 1e-15)
    variances = np.where((ones > 0) & (ones < counts), counts * shares * (1 - shares), 0.0)
    uncertain = _Z95 * float(np.sqrt(np.dot(variances, np.log(shares / (1 - shares)) ** 2))) / rows
    surprise = entropy / rows
    return _known(
        {
            "accuracy": Estimate(mean, (max(0.0, mean - half), min(1.0, mean + half))),
            "log_loss": Estimate(surprise, (surprise - uncertain, surprise + uncertain)),
            "auc": auc_of_weights(ones, counts - ones, variances),
        }
    )


def auc_error(tally: _Tally) -> float:
    """How far the AUC of binned scores may lie from that of the scores themselves: half the share of pairs in one bin."""
    positive, negative = tally["positive",], tally["negative",]
    pairs = positive.sum() * negative.sum()
    return float(np.dot(positive, negative) / 2 / pairs) if pairs else float("nan")


def calibration_points(tally: _Tally, bins: int = CALIBRATION_BINS) -> list[tuple[float, float, int]]:
    """(mean score, share of positives, rows) in bins of about equal numbers of rows, whole bins of the histogram each."""
    rows = tally["positive",] + tally["negative",]
    if rows.sum() == 0:
        return []
    place = np.minimum(((np.cumsum(rows) - rows / 2) * bins / rows.sum()).astype(np.int64), bins - 1)
    counted, said, ones = (
        np.bincount(place, values, minlength=bins) for values in (rows, tally["said",], tally["positive",])
    )
    return [(float(said[i] / counted[i]), float(ones[i] / counted[i]), int(counted[i])) for i in np.flatnonzero(counted)]


def calibration_error(tally: _Tally) -> float:
    """Mean distance of observed shares from what was said, weighted by rows. Naeini, Cooper, Hauskrecht (2015), AAAI 29."""
    points = calibration_points(tally)
    rows = sum(count for _, _, count in points)
    return sum(count * abs(said - seen) for said, seen, count in points) / rows if rows else float("nan")


def roc_points(positive: Floats, negative: Floats) -> tuple[list[float], list[float]]:
    """False and true positive rates from (0, 0) to (1, 1), at most CURVE_POINTS."""
    if not positive.sum() or not negative.sum():
        return [], []
    x = np.concatenate([[0.0], np.cumsum(negative[::-1]) / negative.sum()])
    y = np.concatenate([[0.0], np.cumsum(positive[::-1]) / positive.sum()])
    wanted = np.linspace(0, 1, CURVE_POINTS)
    return wanted.tolist(), [0.0, *np.interp(wanted[1:], x, y).tolist()]


def lift_points(positive: Floats, negative: Floats, points: int = 20) -> tuple[list[float], list[float]]:
    """Share of the rows with the highest scores, and how many times more positives they hold than rows at large."""
    shares = np.arange(1, points + 1) / points
    if not positive.sum():
        return [], []
    return shares.tolist(), [lift_at(positive, negative, float(share)) for share in shares]


def lift_at(positive: Floats, negative: Floats, share: float) -> float:
    """As performance.lift, rows of one bin taken as tied. NaN without positives."""
    rows, ones = (positive + negative)[::-1], positive[::-1]
    if not ones.sum():
        return float("nan")
    caught = np.interp(
        share * rows.sum(), np.concatenate([[0.0], np.cumsum(rows)]), np.concatenate([[0.0], np.cumsum(ones)])
    )
    return float(caught / ones.sum() / share)


def mean_of(rows: int, total: float, squares: float) -> Estimate:
    """A mean with the interval of the central limit theorem, from a sum and a sum of squares."""
    if rows == 0:
        return Estimate(float("nan"), NO_INTERVAL)
    mean = float(total) / rows
    if rows == 1:
        return Estimate(mean, NO_INTERVAL)
    variance = max(float(squares) - rows * mean**2, 0.0) / (rows - 1)
    half = _Z95 * float(np.sqrt(variance / rows))
    return Estimate(mean, (mean - half, mean + half))


def _known(found: dict[str, Estimate]) -> dict[str, Estimate]:
    return {name: figure for name, figure in found.items() if figure.value == figure.value}
