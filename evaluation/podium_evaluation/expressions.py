"""What a decision is worth: arithmetic, comparisons and `if` over its columns, read from text and computed for many
decisions at once.

Missing stays missing: a value that was not captured or not yet told (NaN; in columns of texts None) makes what is
computed from it missing too, so that an unknown outcome is never counted as a loss of 0. expressions_syntax has the
grammar.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from podium_evaluation.expressions_syntax import Among, Call, Column, Number, Step, Text, program_of
from podium_evaluation.expressions_tokens import ExpressionError

__all__ = ["Column", "Expression", "ExpressionError", "parse"]

Floats = npt.NDArray[np.float64]
Columns = Mapping[str, npt.NDArray[Any]]


def parse(text: str) -> "Expression":
    """The expression that `text` says. Raises ExpressionError naming the position and what would be right.

    >>> parse("if(label = output.label, 100, -20)").evaluate({"label": np.array([1, 0]), "output.label": np.array([1, 1])})
    array([100., -20.])
    """
    return Expression(text, program_of(text))


@dataclass(frozen=True)
class Expression:
    """Made by `parse`."""

    text: str
    program: tuple[Step, ...]

    @cached_property
    def references(self) -> frozenset[Column]:
        """The columns that it reads."""
        return frozenset(step for step in self.program if isinstance(step, Column))

    @property
    def columns(self) -> frozenset[str]:
        """What they are called in `evaluate`: `input.age`, `output.probabilities[1]` or `[yes]`, `label`."""
        return frozenset(column.key for column in self.references)

    def evaluate(self, columns: Columns) -> Floats:
        """Its value per row, shape (n_rows,): NaN where it is missing; truths are 1 and 0.

        `columns` have shape (n_rows,) each, of numbers or booleans (missing: NaN), or of objects: texts, numbers, booleans
        and None for missing. A column that is not among them is missing in all rows. A text where a number is needed, a
        division by zero and what is too large for a float are missing. A number equals a text that reads as that number.
        `and` and `or` are Kleene's: false and missing is false, true or missing is true. Raises ValueError when columns
        differ in length.
        """
        rows = {len(values) for values in columns.values()}
        if len(rows) > 1:
            raise ValueError(f"columns have {sorted(rows)} rows; they must have the same")
        stack: list[_Value] = []
        with np.errstate(all="ignore"):
            for step in self.program:
                _run(step, stack, columns)
        [value] = stack
        return np.array(np.broadcast_to(_number(value), (rows.pop() if rows else 0,)), dtype=np.float64)


@dataclass(frozen=True)
class _Cells:
    """Values that may be texts. `texts` holds None where there is no text; numbers NaN where there is no number."""

    numbers: Floats
    texts: npt.NDArray[np.object_]


_Value = Floats | _Cells


def _run(step: Step, stack: list[_Value], columns: Columns) -> None:
    match step:
        case Number() | Text():
            stack.append(_literal(step))
        case Column():
            stack.append(_cells(columns[step.key]) if step.key in columns else np.asarray(np.nan))
        case Among(literals):
            operand = stack.pop()
            stack.append(reduce(_or, [_equal(operand, _literal(literal)) for literal in literals]))
        case Call(name, count):
            arguments = stack[-count:]
            del stack[-count:]
            if name in _OF_CELLS:
                stack.append(_OF_CELLS[name](*arguments))
            else:
                result = _OF_NUMBERS[name](*map(_number, arguments))
                stack.append(np.where(np.isfinite(result), result, np.nan))


def _literal(literal: Number | Text) -> _Value:
    if isinstance(literal, Number):
        return np.asarray(literal.value)
    texts = np.empty((), dtype=object)
    texts[()] = literal.value
    return _Cells(np.asarray(np.nan), texts)


def _cells(values: npt.NDArray[Any]) -> _Value:
    if values.dtype.kind in "biuf":
        numbers = values.astype(np.float64)
        return np.where(np.isfinite(numbers), numbers, np.nan)
    cells = values.astype(object)
    texts = np.array([cell if isinstance(cell, str) else None for cell in cells], dtype=object)
    numbers = np.array(
        [float(cell) if isinstance(cell, int | float | np.number | np.bool_) else np.nan for cell in cells], dtype=np.float64
    )
    return _Cells(np.where(np.isfinite(numbers), numbers, np.nan), texts)


def _number(value: _Value) -> Floats:
    return value.numbers if isinstance(value, _Cells) else value


def _is_missing(value: _Value) -> npt.NDArray[np.bool_]:
    missing = np.isnan(_number(value))
    return missing & (value.texts == None) if isinstance(value, _Cells) else missing  # noqa: E711  by element


def _equal(left: _Value, right: _Value) -> Floats:
    same = _number(left) == _number(right)
    if isinstance(left, _Cells) and isinstance(right, _Cells):
        same = same | ((left.texts == right.texts) & (left.texts != None))  # noqa: E711  by element
    if isinstance(left, _Cells):
        same = same | _reads_as(left.texts, _number(right))
    if isinstance(right, _Cells):
        same = same | _reads_as(right.texts, _number(left))
    return np.where(_is_missing(left) | _is_missing(right), np.nan, np.asarray(same, dtype=np.float64))


def _reads_as(texts: npt.NDArray[np.object_], numbers: Floats) -> npt.NDArray[np.bool_]:
    """Where a text is the other side's number. A text is read once however many rows have it."""
    if np.isnan(numbers).all():
        return np.zeros(np.broadcast_shapes(texts.shape, numbers.shape), dtype=np.bool_)
    read = {text: _read(text) for text in set(texts.ravel().tolist())}
    return np.asarray(np.array([read[text] for text in texts.ravel().tolist()]).reshape(texts.shape) == numbers)


def _read(text: str | None) -> float:
    try:
        return float(text) if text is not None else np.nan
    except ValueError:
        return np.nan


def _not(truth: Floats) -> Floats:
    return np.where(np.isnan(truth), np.nan, truth == 0)


def _and(left: Floats, right: Floats) -> Floats:
    known = np.where(np.isnan(left) | np.isnan(right), np.nan, 1.0)
    return np.where((left == 0) | (right == 0), 0.0, known)


def _or(left: Floats, right: Floats) -> Floats:
    return _not(_and(_not(left), _not(right)))


def _ordered(compare: Callable[[Floats, Floats], Any]) -> Callable[[Floats, Floats], Floats]:
    return lambda left, right: np.where(np.isnan(left) | np.isnan(right), np.nan, compare(left, right))


def _if(condition: Floats, then: Floats, otherwise: Floats) -> Floats:
    return np.where(np.isnan(condition), np.nan, np.where(condition != 0, then, otherwise))


_OF_CELLS: dict[str, Callable[..., Floats]] = {
    "=": _equal,
    "!=": lambda left, right: _not(_equal(left, right)),
    "missing": lambda value: np.asarray(_is_missing(value), dtype=np.float64),
}
"""Operators that texts have, too."""

_OF_NUMBERS: dict[str, Callable[..., Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "negative": np.negative,
    "<": _ordered(np.less),
    "<=": _ordered(np.less_equal),
    ">": _ordered(np.greater),
    ">=": _ordered(np.greater_equal),
    "and": _and,
    "or": _or,
    "not": _not,
    "if": _if,
    "min": lambda *values: reduce(np.minimum, values),
    "max": lambda *values: reduce(np.maximum, values),
    "abs": np.abs,
    "round": np.rint,
}
