"""Rows become units: which count, once each, and what each arm's answer cost. Pure.

A unit is a row, a request (its first row), or a key: the first row of it that has a loss, so that nothing that comes later
reorders or changes what was counted, and one customer is not taken for many.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from podium_evaluation.expressions import Expression
from podium_evaluation.losses import ClassLoss, NumberLoss, class_losses, number_losses, possible_surprises
from podium_evaluation.sequences import Floats
from podium_monitor.evaluations.answers import coded
from podium_monitor.evaluations.subject import Outputs
from podium_monitor.evidence.ledger import Question

Hashes = npt.NDArray[np.uint64]
Objects = npt.NDArray[np.object_]
_read = msgspec.json.Decoder().decode


@dataclass(frozen=True)
class Rows:
    """Of one batch, in the order of the predictions, each event once. All of one length."""

    table: pa.Table
    """As reading.rows gives it."""

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def texts(self, name: str) -> list[Any]:
        found: list[Any] = self.table[name].to_pylist()
        return found

    def chosen(self, mask: npt.NDArray[np.bool_]) -> "Rows":
        return Rows(self.table.filter(pa.array(mask)))

    def objects(self, name: str) -> list[dict[str, Any]]:
        """JSON objects; what is none is empty."""
        return [_object(text) for text in self.texts(name)]

    @property
    def late(self) -> npt.NDArray[np.bool_]:
        """Those that were taken before, when they had no label."""
        return np.asarray(self.table["late"].to_numpy(), dtype=np.bool_)

    @property
    def moments(self) -> npt.NDArray[np.datetime64]:
        """When each became known, UTC."""
        found: npt.NDArray[np.datetime64] = self.table["known_at"].to_numpy()
        return found.astype("datetime64[us]")

    @property
    def label_delays(self) -> Floats:
        """Seconds from the prediction to its first label, below 0 where that was there before; NaN where there is none."""
        return np.asarray(self.table["label_delay"].to_numpy(), dtype=np.float64)

    def without_labels(self) -> "Rows":
        nothing = pa.array([None] * len(self), pa.string())
        names = self.table.column_names
        table = self.table.set_column(names.index("label"), "label", nothing)
        return Rows(table.set_column(names.index("outcomes"), "outcomes", nothing))

    @property
    def truth(self) -> Objects:
        """Labels as sent: texts, numbers, booleans; None where there is none."""
        return _objects([_scalar(text) for text in self.texts("label")])


def units_of(rows: Rows, question: Question) -> Hashes:
    """The unit that each row belongs to."""
    events = rows.texts("event_id")
    if question.unit in ("Row", "Request"):
        keys: list[Any] = events
    else:
        given = rows.texts("unit_key" if question.unit == "UnitKey" else "join_key")
        keys = [key or stem(event) for key, event in zip(given, events, strict=True)]
    return np.array([_hash(key) for key in keys], dtype=np.uint64)


def stem(event_id: str) -> str:
    """Of the events of one request."""
    return event_id.rpartition("-")[0] or event_id


def counts_by_row(rows: Rows, question: Question) -> npt.NDArray[np.bool_]:
    """Of a request without a key the first row alone: its rows have one arm together."""
    if question.unit != "Request":
        return np.ones(len(rows), dtype=np.bool_)
    return np.array([event.endswith("-0") for event in rows.texts("event_id")], dtype=np.bool_)


def first_of_each(units: Hashes, chosen: npt.NDArray[np.bool_], seen: Hashes) -> npt.NDArray[np.bool_]:
    """The first chosen row of each unit that is not in `seen` (sorted)."""
    rows = np.flatnonzero(chosen)
    _, first = np.unique(units[rows], return_index=True)
    found = np.zeros(len(units), dtype=np.bool_)
    found[rows[first]] = True
    if len(seen):
        places = np.minimum(np.searchsorted(seen, units), len(seen) - 1)
        found &= np.asarray(seen[places] != units)
    return found


@dataclass(frozen=True)
class Answers:
    """One arm's answers to the rows, and what its package says of them."""

    said: list[dict[str, Any]]
    outputs: Outputs
    latency: Floats

    def decided(self) -> npt.NDArray[np.int64]:
        """The class that was decided, by its place among the classes; -1 where there is none."""
        places = {name: float(index) for index, name in enumerate(self.outputs.classes)}
        if self.outputs.label is not None:
            codes = coded(_objects([plain(one.get(self.outputs.label)) for one in self.said]), places)
            if not np.isnan(codes).all():
                return np.where(np.isnan(codes), -1, codes).astype(np.int64)
        matrix = self.probabilities()
        gone = np.isnan(matrix).any(axis=1)
        best = np.argmax(np.where(np.isnan(matrix), -1.0, matrix), axis=1)
        if self.outputs.task == "Binary":
            best = np.where(matrix[:, self.outputs.positive] >= 0.5, self.outputs.positive, 1 - self.outputs.positive)
        return np.where(gone, -1, best).astype(np.int64)

    def probabilities(self) -> Floats:
        """Shape (n, n_classes); one number is that of the positive class. NaN where there is none."""
        classes, positive = len(self.outputs.classes), self.outputs.positive
        found = np.full((len(self.said), max(1, classes)), np.nan)
        for row, one in enumerate(self.said):
            value = one.get(self.outputs.probabilities or "")
            if isinstance(value, list) and len(value) == classes:
                found[row] = [_float(part) for part in value]
            elif (
                classes == 2 and (number := _float(value[0] if isinstance(value, list) and len(value) == 1 else value)) >= 0
            ):
                found[row, positive], found[row, 1 - positive] = number, 1 - number
        outside = (found < -1e-6) | (found > 1 + 1e-6)
        return np.where(outside.any(axis=1, keepdims=True), np.nan, np.clip(found, 0.0, 1.0))

    def numbers(self) -> Floats:
        return np.array([_float(plain(one.get(self.outputs.value or ""))) for one in self.said], dtype=np.float64)


def losses_of(metric: str, answers: Answers, rows: Rows, expression: Expression | None) -> Floats:
    """Loss per row, shape (n,); NaN where the answer or the label that it needs is not there, or no float holds it."""
    with np.errstate(over="ignore"):
        losses = _losses(metric, answers, rows, expression)
    return np.where(np.isfinite(losses), losses, np.nan)


def reach_of(metric: str, champion: Answers, challenger: Answers) -> Floats:
    """By how much the losses of a unit could have differed, whatever had been true, shape (n,). NaN where nothing says so
    before the label does."""
    if metric in ("ZeroOne", "Brier"):
        return np.ones(len(champion.said))
    if metric == "AbsoluteError":
        return np.abs(champion.numbers() - challenger.numbers())
    if metric == "LogLoss" and champion.outputs.classes == challenger.outputs.classes:
        return possible_surprises(champion.probabilities(), challenger.probabilities())
    return np.full(len(champion.said), np.nan)


def _losses(metric: str, answers: Answers, rows: Rows, expression: Expression | None) -> Floats:
    if metric == "Value":
        if expression is None:
            raise ValueError("the metric Value has no expression")
        return -expression.evaluate(_columns(expression, answers, rows))
    if metric in ("AbsoluteError", "SquaredError"):
        truth = np.array([_float(value) for value in rows.truth.tolist()], dtype=np.float64)
        loss: NumberLoss = "AbsoluteError" if metric == "AbsoluteError" else "SquaredError"
        return number_losses(loss, truth, answers.numbers())
    of_class: ClassLoss = "ZeroOne" if metric == "ZeroOne" else "Brier" if metric == "Brier" else "LogLoss"
    if not answers.outputs.classes:
        return np.full(len(rows), np.nan)
    codes = truth_codes(answers.outputs, rows)
    nothing = np.full((len(rows), len(answers.outputs.classes)), np.nan)
    if of_class == "ZeroOne":
        return class_losses(of_class, codes, answers.decided(), nothing)
    return class_losses(of_class, codes, codes, answers.probabilities())  # the decided class is not asked for


def truth_codes(outputs: Outputs, rows: Rows) -> npt.NDArray[np.int64]:
    """The label's class by its place among the classes; -1 where there is none, or none of these."""
    codes = coded(rows.truth, {name: float(index) for index, name in enumerate(outputs.classes)})
    return np.where(np.isnan(codes), -1, codes).astype(np.int64)


def _columns(expression: Expression, answers: Answers, rows: Rows) -> dict[str, npt.NDArray[Any]]:
    """What an expression reads of a decision. Columns are of objects, so that texts stay texts."""
    made: dict[str, Callable[[], npt.NDArray[Any]]] = {
        "label": lambda: rows.truth,
        "latency": lambda: answers.latency,
        "score": lambda: answers.probabilities()[:, answers.outputs.positive] if answers.outputs.classes else _nothing(rows),
        "prediction": lambda: _prediction(answers),
    }
    columns: dict[str, npt.NDArray[Any]] = {"latency": answers.latency}  # there are as many rows as of this
    for column in expression.references:
        if not column.table:
            columns[column.key] = made[column.name]()
            continue
        given = answers.said if column.table == "output" else rows.objects(f"{column.table}s")
        columns[column.key] = _objects([_at(one.get(column.name), column.index, answers.outputs) for one in given])
    return columns


def _prediction(answers: Answers) -> npt.NDArray[Any]:
    """The decided class's name, or the number."""
    if not answers.outputs.classes:
        return answers.numbers()
    names = _objects([*answers.outputs.classes, None])
    return names[answers.decided()]


def _nothing(rows: Rows) -> Floats:
    return np.full(len(rows), np.nan)


def _at(value: Any, index: int | str | None, outputs: Outputs) -> Any:
    """A part of an output that has several numbers; a class by its name."""
    if index is None:
        return plain(value)
    place = index if isinstance(index, int) else outputs.classes.index(index) if index in outputs.classes else -1
    return value[place] if isinstance(value, list) and 0 <= place < len(value) else None


def plain(value: Any) -> Any:
    """A tensor of one number per row may come as a list of one."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value if not isinstance(value, list | dict) else None


def _objects(values: list[Any]) -> Objects:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found


def _object(text: str | None) -> dict[str, Any]:
    value = _decoded(text)
    return value if isinstance(value, dict) else {}


def _scalar(text: str | None) -> Any:
    value = _decoded(text)
    return None if isinstance(value, list | dict) else value


def _decoded(text: str | None) -> Any:
    try:
        return _read(text) if text else None
    except msgspec.DecodeError:
        return None


def _float(value: Any) -> float:
    """NaN for what is no finite number."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return float("nan")
    return number if np.isfinite(number) else float("nan")


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest()[:8], "big")


def fingerprint(events: list[str], labels: list[str | None]) -> int:
    """Of the units that count: a sum, so that it goes on from batch to batch, and any other unit or label changes it."""
    return sum(_hash(f"{event} {label}") for event, label in zip(events, labels, strict=True)) % 2**64
