"""Captured inputs and outputs of the lake become columns of a batch: what a version's package calls a number, a text, true
or false, whatever kinds of values were captured. Pure."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from podium_evaluation.sequences import Floats
from podium_monitor.evaluations.batch import Batch, Texts, texts_of
from podium_monitor.evaluations.labelled import Joined
from podium_monitor.evaluations.subject import Cell, Subject
from podium_monitor.evaluations.summarize import numbers_as_texts
from podium_monitor.lake.values import TYPES, Kind, Side, ValueColumn

_SPELLED = {"true": "True", "false": "False"}


@dataclass(frozen=True)
class Captured:
    subject: Subject

    def inputs_among(self, columns: Collection[str]) -> list[str]:
        """Which of the lake's columns hold what is asked for."""
        return _among("input", self.subject.inputs, columns)

    def outputs_among(self, columns: Collection[str]) -> list[str]:
        return _among("output", self.subject.answers, columns)

    def batch(self, table: pa.Table, joined: Joined, rank: npt.NDArray[np.uint64]) -> Batch:
        """Of rows with these columns."""
        inputs, outputs = _Side(table, "input"), _Side(table, "output")
        for name, cell in self.subject.inputs.items():
            inputs.take(name, cell)
        for name, answer in self.subject.answers.items():
            if isinstance(answer, tuple):
                outputs.take_several(name, answer)
            else:
                outputs.take(name, answer)
        return Batch(
            rows=len(table),
            numbers=inputs.numbers,
            texts=inputs.texts,
            output_numbers=outputs.numbers,
            output_texts=outputs.texts,
            latency=_floats(table["latency_seconds"]),
            fallback=np.asarray(pc.not_equal(pc.fill_null(table["fallback"], ""), "")),
            truth=joined.truth,
            delay=joined.delay,
            outcomes=joined.outcomes,
            wrong=inputs.wrong,
            rank=rank,
        )


def _among(side: Side, names: Collection[str], columns: Collection[str]) -> list[str]:
    wanted = (str(ValueColumn(side, kind, name, apart)) for name in names for kind in TYPES for apart in (False, True))
    return [column for column in wanted if column in columns]


class _Side:
    """Inputs or outputs of a table, as they are taken."""

    def __init__(self, table: pa.Table, side: Side) -> None:
        self._table, self._names, self._side = table, set(table.column_names), side
        self.numbers: dict[str, Floats] = {}
        self.texts: dict[str, Texts] = {}
        self.wrong: dict[str, npt.NDArray[np.bool_]] = {}

    def take(self, name: str, cell: Cell) -> None:
        if cell == "Number":
            self.numbers[name] = self._number(name)
        else:
            self.texts[name] = self._text(name, cell)

    def take_several(self, name: str, parts: tuple[str, ...]) -> None:
        """A list per row becomes a column per number; rows with another length have none."""
        rows = len(self._table)
        found = np.full((len(parts), rows), np.nan)
        if (lists := self._column("numbers", name)) is not None:
            fitting = pc.fill_null(pc.equal(pc.list_value_length(lists), len(parts)), False).to_numpy(zero_copy_only=False)
            values = lists if fitting.all() else lists.filter(pa.array(fitting))
            found[:, fitting] = _floats(pc.list_flatten(values)).reshape(-1, len(parts)).T
        self.numbers |= {f"{name}[{one}]": found[index] for index, one in enumerate(parts)}

    def _column(self, kind: Kind, name: str) -> Any | None:
        """None: there is none, or nothing in it."""
        named = [str(ValueColumn(self._side, kind, name, apart)) for apart in (False, True)]
        found = [self._table[one].combine_chunks() for one in named if one in self._names]
        if not found:
            return None
        column = found[0] if len(found) == 1 else pc.coalesce(*found)
        return column if column.null_count < len(column) else None

    def _number(self, name: str) -> Floats:
        """NaN for what is missing or no number; the latter is noted. Text that reads as a number is one, and so is a list of
        one."""
        found = self._column("number", name)
        numbers = np.full(len(self._table), np.nan) if found is None else _floats(found)
        wrong = np.zeros(len(numbers), dtype=bool)
        for kind in TYPES:
            if kind == "number" or (other := self._column(kind, name)) is None:
                continue
            there = other.is_valid().to_numpy(zero_copy_only=False)
            numbers = np.where(there, _read_as_numbers(kind, other), numbers)
            wrong |= there & np.isnan(numbers)
        if wrong.any():
            self.wrong[name] = wrong
        return numbers

    def _text(self, name: str, cell: Cell) -> Texts:
        """The empty string stands for null in a BYTES tensor."""
        found = [_as_texts(kind, column, cell) for kind in TYPES if (column := self._column(kind, name)) is not None]
        if not found:
            return Texts(np.full(len(self._table), -1, dtype=np.int64), ())
        texts = found[0] if len(found) == 1 else _together(found)
        empty = texts.names.index("") if "" in texts.names else -2
        return Texts(np.where(texts.codes == empty, -1, texts.codes), texts.names) if empty >= 0 else texts


def _read_as_numbers(kind: Kind, column: Any) -> Floats:
    """NaN where it is none."""
    if kind == "numbers":
        numbers = np.full(len(column), np.nan)
        single = pc.fill_null(pc.equal(pc.list_value_length(column), 1), False)
        numbers[single.to_numpy(zero_copy_only=False)] = _floats(pc.list_flatten(column.filter(single)))
        return numbers
    if kind != "text":
        return np.full(len(column), np.nan)
    texts = texts_of(column)
    by_code = np.array([*(_number(text) for text in texts.names), np.nan])
    return by_code[texts.codes]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _as_texts(kind: Kind, column: Any, cell: Cell) -> Texts:
    if kind == "number":
        return numbers_as_texts(_floats(column))
    if kind == "numbers":
        column = pa.array([None if one is None else str(one) for one in column.to_pylist()], pa.string())
    elif kind == "truth":
        column = column.cast(pa.string())
    found = texts_of(column)
    if kind == "truth" or cell == "Truth":
        spelled = _SPELLED if cell == "Truth" else {}
        return Texts(found.codes, tuple(spelled.get(one, one) for one in found.names))
    return found


def _together(found: list[Texts]) -> Texts:
    """Of columns no two of which have a row together."""
    codes, names = found[0].codes, found[0].names
    for one in found[1:]:
        codes = np.where(one.codes >= 0, one.codes + len(names), codes)
        names = (*names, *one.names)
    return Texts(codes, names)


def _floats(array: Any) -> Floats:
    """Missing is NaN."""
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)
