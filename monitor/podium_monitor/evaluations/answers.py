"""What the model said and what was true, as numbers: class numbers, probabilities, values. Pure."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from podium_evaluation.sequences import Floats
from podium_monitor.evaluations.batch import Batch
from podium_monitor.evaluations.subject import Outputs

_TRUE = ("true", "True", "1", "yes", "y")
_FALSE = ("false", "False", "0", "no", "n")


@dataclass(frozen=True)
class Answers:
    """Shapes (n,) and (n, classes). Of a binary task 1 is the positive class; NaN where it cannot be said."""

    decided: Floats
    truth: Floats
    scores: Floats | None
    """The probability of the positive class."""
    probabilities: Floats | None
    """Per class, of more than two."""


def answers_of(outputs: Outputs, batch: Batch) -> Answers:
    """Classes by their number; with two, 1 for the positive one. A label that is no class is no truth."""
    if outputs.task == "Regression":
        said = batch.output_numbers.get(outputs.value or "", np.full(batch.rows, np.nan))
        return Answers(said, _numbers(batch.truth), None, None)
    if outputs.task == "Unknown":
        nothing = np.full(batch.rows, np.nan)
        return Answers(nothing, nothing, None, None)
    places = {name: float(index) for index, name in enumerate(outputs.classes)}
    if outputs.task == "Binary":
        places = {name: float(index == outputs.positive) for name, index in places.items()}
    truth = coded(batch.truth, places)
    matrix = _matrix(outputs, batch)
    decided = _decided(outputs, batch, matrix, places)
    if outputs.task == "Binary":
        scores = None if matrix is None else matrix[:, outputs.positive]
        return Answers(decided, truth, None if scores is None else _within(scores), None)
    return Answers(decided, truth, None, None if matrix is None else _within(matrix))


def coded(values: npt.NDArray[Any], places: dict[str, float]) -> Floats:
    """Class numbers of labels as people send them: by name; true and 1 are the one class called so, where there is one."""
    if values.dtype.kind == "f":
        unique, inverse = np.unique(values, return_inverse=True)
        return np.array([_place(value, places) for value in unique.tolist()], dtype=np.float64)[inverse]
    found: dict[Any, float] = {}
    for value in values.tolist():
        if value not in found:
            found[value] = _place(value, places)
    return np.array([found[value] for value in values.tolist()], dtype=np.float64)


def _place(value: Any, places: dict[str, float]) -> float:
    if value is None or value != value:
        return float("nan")
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if text in places:
        return places[text]
    for alike in (_TRUE, _FALSE):
        if text in alike:
            fitting = [name for name in places if name in alike]
            return places[fitting[0]] if len(fitting) == 1 else float("nan")
    numeric = [name for name in places if _same_number(name, text)]
    return places[numeric[0]] if len(numeric) == 1 else float("nan")


def _same_number(one: str, other: str) -> bool:
    try:
        return float(one) == float(other)
    except ValueError:
        return False


def _matrix(outputs: Outputs, batch: Batch) -> Floats | None:
    if outputs.probabilities is None:
        return None
    columns = [batch.output_numbers.get(f"{outputs.probabilities}[{name}]") for name in outputs.classes]
    given = [column for column in columns if column is not None]
    if len(given) == len(columns):
        return np.stack(given, axis=1)
    single = batch.output_numbers.get(outputs.probabilities)  # one number: of the positive class
    if single is None or len(outputs.classes) != 2:
        return None
    return np.stack([1 - single, single] if outputs.positive == 1 else [single, 1 - single], axis=1)


def _decided(outputs: Outputs, batch: Batch, matrix: Floats | None, places: dict[str, float]) -> Floats:
    """The label output where there is one, else the most probable class."""
    if outputs.label is not None and outputs.label in batch.output_texts:
        texts = batch.output_texts[outputs.label]
        by_code = np.array([*(_place(name, places) for name in texts.names), np.nan], dtype=np.float64)
        return by_code[texts.codes]
    if matrix is None:
        return np.full(batch.rows, np.nan)
    gone = np.isnan(matrix).any(axis=1)
    best = np.argmax(np.where(np.isnan(matrix), -1.0, matrix), axis=1).astype(np.float64)
    if outputs.task == "Binary":
        best = (matrix[:, outputs.positive] >= 0.5).astype(np.float64)
    return np.where(gone, np.nan, best)


def _within(probabilities: Floats) -> Floats:
    """NaN for what is no probability. Rounding beyond 0 and 1 is forgiven."""
    with np.errstate(invalid="ignore"):
        outside = (probabilities < -1e-6) | (probabilities > 1 + 1e-6)
    return np.where(outside, np.nan, np.clip(probabilities, 0.0, 1.0))


def _numbers(values: npt.NDArray[Any]) -> Floats:
    if values.dtype.kind == "f":
        return values
    found = np.full(len(values), np.nan)
    for index, value in enumerate(values.tolist()):
        try:
            found[index] = float(value)
        except (TypeError, ValueError):
            continue
    return np.where(np.isfinite(found), found, np.nan)
