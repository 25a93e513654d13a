"""The performance of a table's rows whose truth is known: figures with their intervals, and the curves behind them."""

from dataclasses import dataclass

import numpy as np

from podium_evaluation.auc import auc
from podium_evaluation.figures import lift_points, multiclass_figures, roc_points
from podium_evaluation.performance import (
    NO_INTERVAL,
    Calibration,
    Estimate,
    balanced_accuracy,
    brier_losses,
    calibration,
    confusion,
    f1_score,
    lift,
    log_losses,
    mean_loss,
    proportion,
    regression,
)
from podium_evaluation.sequences import Floats
from podium_evaluation.tables import Table, Task
from podium_evaluation.tallies import multiclass_tally

_LIFT_SHARE = 0.1


@dataclass(frozen=True)
class Figure:
    """A figure of one window. `alert` is None where the reference is too short to say what is usual."""

    value: float
    interval: tuple[float, float] = NO_INTERVAL
    alert: bool | None = None


@dataclass(frozen=True)
class Curves:
    """Of Binary rows with both classes. `calibration` is None where scores are no probabilities."""

    calibration: Calibration | None
    roc: tuple[list[float], list[float]]
    """False and true positive rates."""
    lift: tuple[list[float], list[float]]
    """Shares of the rows, highest scores first, and their lift."""


def are_probabilities(scores: Floats) -> bool:
    return bool(((scores >= 0) & (scores <= 1)).all())


def performance(table: Table, task: Task) -> dict[str, Figure]:
    """Figures of the rows that are known (Table.known); those that need another class, decisions, probabilities or more
    rows are left out."""
    known = table.known(task)
    truth, scores = table.truth[known], table.scores[known]
    if len(truth) == 0:
        return {}
    if task == "Numbers":
        found = _of_numbers(truth, scores)
    elif task == "Classes":
        found = multiclass_figures(multiclass_tally(truth, table.decided[known], None, len(table.classes)))
    else:
        found = _of_decisions(truth, table.decided[known]) if table.decides else {}
        found |= _of_scores(truth, scores)
        if table.probabilities and are_probabilities(scores):
            found |= _of_probabilities(truth, scores)
    return {name: Figure(one.value, one.interval) for name, one in found.items() if one.value == one.value}


def curves(table: Table, task: Task) -> Curves | None:
    """None where there are none."""
    known = table.known(task)
    truth, scores = table.truth[known], table.scores[known]
    if task != "Binary" or not 0 < truth.sum() < len(truth):
        return None
    values, place = np.unique(scores, return_inverse=True)
    positive, negative = (np.bincount(place, ones, minlength=len(values)).astype(np.float64) for ones in (truth, 1 - truth))
    calibrated = table.probabilities and are_probabilities(scores)
    return Curves(
        calibration(truth, scores) if calibrated else None, roc_points(positive, negative), lift_points(positive, negative)
    )


def _of_numbers(truth: Floats, predicted: Floats) -> dict[str, Estimate]:
    found = regression(truth, predicted)
    return {"mae": found.mae, "rmse": Estimate(found.rmse, found.rmse_interval), "r2": Estimate(found.r2, NO_INTERVAL)}


def _of_decisions(truth: Floats, decided: Floats) -> dict[str, Estimate]:
    counts = confusion(truth, decided)
    return {
        "accuracy": proportion(counts.true_positive + counts.true_negative, counts.rows),
        "balanced_accuracy": balanced_accuracy(counts),
        "f1": f1_score(counts),
        "precision": proportion(counts.true_positive, counts.true_positive + counts.false_positive),
        "recall": proportion(counts.true_positive, counts.true_positive + counts.false_negative),
    }


def _of_scores(truth: Floats, scores: Floats) -> dict[str, Estimate]:
    if not 0 < truth.sum() < len(truth):
        return {}
    area = auc(truth, scores)
    return {
        "auc": Estimate(area.value, area.interval),
        "gini": Estimate(2 * area.value - 1, (2 * area.interval[0] - 1, 2 * area.interval[1] - 1)),
        "lift": Estimate(lift(truth, scores, _LIFT_SHARE), NO_INTERVAL),
    }


def _of_probabilities(truth: Floats, scores: Floats) -> dict[str, Estimate]:
    return {
        "log_loss": mean_loss(log_losses(truth, scores)),
        "brier": mean_loss(brier_losses(truth, scores)),
        "calibration_error": Estimate(calibration(truth, scores).expected_error, NO_INTERVAL),
    }
