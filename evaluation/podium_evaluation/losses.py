"""Losses per unit whose mean is a metric: what paired evidence is made of. Lower is better."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from podium_evaluation.sequences import Floats

LossType = Literal["ZeroOne", "Brier", "LogLoss", "Rank"]
ClassLoss = Literal["ZeroOne", "Brier", "LogLoss"]
NumberLoss = Literal["AbsoluteError", "SquaredError"]
Codes = npt.NDArray[np.int64]
LOG_LOSS_FLOOR = 1e-15
"""Probabilities are kept this far from 0 and 1 (scikit-learn before 1.3 used the same), so that one certain error is not
infinite."""
LEAST_SURPRISES = math.log(1000)
"""Of two models' LogLoss: models that agreed on all that came may be a thousand to one apart on an input that has not.
By the simulation in tests/unit/evaluation/test_evidence.py."""
MINIMUM_UNITS = 1000
MINIMUM_OF_EACH_CLASS = 50
MINIMUM_DISCORDANT = 30


class NotProbabilities(ValueError):
    """A loss that needs probabilities got other scores."""


@dataclass(frozen=True)
class Differences:
    """loss(champion) - loss(challenger) per unit, shape (n_units,): positive where the challenger is better."""

    values: Floats
    enough: npt.NDArray[np.bool_]
    """Where a verdict may be taken."""


def differences(loss: LossType, target: npt.ArrayLike, champion: npt.ArrayLike, challenger: npt.ArrayLike) -> Differences:
    """Paired differences of `loss` on the same rows, in their order. `target` is 0 or 1; scores are of the class 1;
    shapes (n,).

    A unit is a row; for Rank it is a pair: the k-th positive row with the k-th negative one, known when both are. The
    mean of the Rank loss is 1 - AUC, and disjoint pairs of independent rows are independent, which pairs of all with all
    are not. ZeroOne decides at 0.5. Its differences and those of Rank are 0 on most units: a verdict needs 30 that are not.
    Raises ValueError when shapes differ or a target is neither 0 nor 1,
    NotProbabilities when Brier or LogLoss get a score outside [0, 1].
    """
    truth, old, new = (np.asarray(values, dtype=np.float64) for values in (target, champion, challenger))
    if not truth.shape == old.shape == new.shape or truth.ndim != 1:
        raise ValueError(f"target and scores have shapes {truth.shape}, {old.shape} and {new.shape}; they must be one (n,)")
    if not np.isin(truth, (0.0, 1.0)).all():
        raise ValueError("a target is neither 0 nor 1")
    if loss == "Rank":
        values = _rank_losses(truth, old) - _rank_losses(truth, new)
        pairs = np.arange(1, len(values) + 1)
        last = np.maximum(np.flatnonzero(truth == 1)[: len(values)], np.flatnonzero(truth == 0)[: len(values)])
        return Differences(values, (last + 1 >= MINIMUM_UNITS) & (pairs >= MINIMUM_OF_EACH_CLASS) & _discordant(values))
    for scores in (old, new):
        _check_scores(loss, scores)
    values = _row_losses(loss, truth, old) - _row_losses(loss, truth, new)
    units = np.arange(1, len(values) + 1)
    enough = (units >= MINIMUM_UNITS) & (np.cumsum(truth) >= MINIMUM_OF_EACH_CLASS)
    enough &= units - np.cumsum(truth) >= MINIMUM_OF_EACH_CLASS
    if loss == "ZeroOne":
        enough &= _discordant(values)
    return Differences(values, enough)


def _discordant(values: Floats) -> npt.NDArray[np.bool_]:
    return np.asarray(np.cumsum(values != 0) >= MINIMUM_DISCORDANT)


def _row_losses(loss: LossType, truth: Floats, scores: Floats) -> Floats:
    if loss == "ZeroOne":
        return np.asarray((scores >= 0.5) != (truth == 1), dtype=np.float64)
    if loss == "Brier":
        return squared_errors(truth == 1, scores)
    return surprises(truth == 1, scores)


def squared_errors(truth: npt.NDArray[np.bool_], probability: Floats) -> Floats:
    """(probability - truth)^2 per row. Arguments are checked already."""
    return np.asarray((probability - truth) ** 2, dtype=np.float64)


def surprises(truth: npt.NDArray[np.bool_], probability: Floats) -> Floats:
    """-ln of the probability that the truth was given, per row. Arguments are checked already."""
    kept = np.clip(probability, LOG_LOSS_FLOOR, 1 - LOG_LOSS_FLOOR)
    return np.asarray(-np.where(truth, np.log(kept), np.log1p(-kept)), dtype=np.float64)


def class_losses(loss: ClassLoss, truth: Codes, said: Codes, probabilities: Floats) -> Floats:
    """Loss per row of a classifier with any number of classes, shape (n,). NaN where what the loss needs is not there.

    `truth` and `said` (the decided class), shapes (n,), are numbers of classes from 0, -1 where missing; `probabilities`
    have shape (n, n_classes), NaN where missing. ZeroOne needs `said`, the others the probabilities. Brier is half the sum
    over classes of (probability - truth)^2, which for two classes is (probability - truth)^2 of either one.
    """
    rows = np.arange(len(truth))
    known = truth >= 0
    if loss == "ZeroOne":
        return np.where(known & (said >= 0), np.asarray(said != truth, dtype=np.float64), np.nan)
    given = probabilities[rows, truth]  # of a missing truth the last class's, which is not looked at
    if loss == "LogLoss":
        return np.where(known, -np.log(np.clip(given, LOG_LOSS_FLOOR, 1 - LOG_LOSS_FLOOR)), np.nan)
    return np.where(known, ((probabilities**2).sum(axis=1) - 2 * given + 1) / 2, np.nan)


def possible_surprises(champion: Floats, challenger: Floats) -> Floats:
    """The most by which the LogLoss of two models can differ on a unit, whatever is true, shape (n,); at least
    LEAST_SURPRISES.

    Probabilities of either, shapes (n, n_classes), NaN where missing.
    """
    old, new = (np.log(np.clip(found, LOG_LOSS_FLOOR, 1 - LOG_LOSS_FLOOR)) for found in (champion, challenger))
    return np.asarray(np.fmax(np.abs(old - new).max(axis=1), LEAST_SURPRISES), dtype=np.float64)


def number_losses(loss: NumberLoss, truth: Floats, prediction: Floats) -> Floats:
    """|prediction - truth| or its square per row, shape (n,). NaN where either is."""
    error = np.abs(prediction - truth)
    return error if loss == "AbsoluteError" else error**2


def _rank_losses(truth: Floats, scores: Floats) -> Floats:
    positive, negative = scores[truth == 1], scores[truth == 0]
    pairs = min(len(positive), len(negative))
    positive, negative = positive[:pairs], negative[:pairs]
    return np.asarray((positive < negative) + 0.5 * (positive == negative), dtype=np.float64)


def _check_scores(loss: LossType, scores: Floats) -> None:
    outside = ~((scores >= 0) & (scores <= 1))
    if outside.any():
        row = int(np.flatnonzero(outside)[0])
        raise NotProbabilities(
            f"{loss} needs probabilities: the score of row {row} is {scores[row]:g}, which is not between 0 and 1; "
            "Rank takes any score"
        )
