"""Columns of blocks, as pods send them, become columns of the lake. Pure. For a whole batch at once, because what numpy and
Arrow cost is by the call.
"""

import itertools
import math
import operator
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, get_args

import msgspec
import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa

from podium_crds.rows import TEXT, Column
from podium_evaluation.sequences import Floats
from podium_monitor.lake.values import (
    EXACT,
    MOST_CELLS,
    TYPES,
    Kind,
    Side,
    TooWide,
    ValueColumn,
    Values,
    apart,
    arrays_of,
    check_width,
)

_read_cells = msgspec.json.Decoder(list[Any]).decode

_FORMS = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248])")
"""Forms of columns. numpy itself would read far more: structures, dates, objects, Python expressions."""
_MOST_DIMENSIONS = 32

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Cells:
    """One input or output of some rows that follow each other."""

    side: Side
    name: str
    first: int
    """Place of the first row in the batch."""
    rows: int
    found: Array | list[Any]
    """Numbers or booleans with one row per row; or JSON values."""

    @property
    def is_single(self) -> bool:
        """One number or boolean per row."""
        return isinstance(self.found, np.ndarray) and self.found.size == self.rows

    @property
    def width(self) -> int:
        return self.found.size // max(1, self.rows) if isinstance(self.found, np.ndarray) else 1

    def array(self) -> Array:
        assert isinstance(self.found, np.ndarray)
        return self.found.reshape(-1) if self.is_single else self.found

    def listed(self) -> list[Any]:
        """JSON values. What is not finite is null. Arrays of many dimensions never become Python's lists, which take a
        thousand times their bytes: each row is JSON already."""
        if isinstance(self.found, list):
            return self.found
        array = self.array()
        if array.ndim > 2:
            exact = array.astype(np.float64) if array.dtype == np.float16 else array
            return [msgspec.Raw(orjson.dumps(row, option=orjson.OPT_SERIALIZE_NUMPY)) for row in exact]
        if array.dtype.kind == "f":
            gone, array = ~np.isfinite(array), array.astype(object)
            array[gone] = None
        cells: list[Any] = array.tolist()
        return cells


def brackets_of(column: Column) -> int:
    """Bytes of a row's cell as JSON that no content pays for: an array of nothing may have lists without end, and so has one
    of many dimensions of one."""
    if column.form == TEXT or len(column.shape) > _MOST_DIMENSIONS:  # the latter is refused for that
        return 0
    lists = itertools.accumulate((max(0, length) for length in column.shape[1:-1]), operator.mul)
    return 2 * int(sum(lists))


def cells_of(side: Side, columns: Sequence[Column], first: int, rows: int) -> list[Cells]:
    """Of one block. Raises ValueError or msgspec.DecodeError for what no pod of ours would send."""
    return [Cells(side, column.name, first, rows, _found(column, rows)) for column in columns]


def _found(column: Column, rows: int) -> Array | list[Any]:
    if column.form != TEXT:
        return _array(column, rows)
    cells = _read_cells(column.content)
    if len(cells) != rows:
        raise ValueError(f"column '{column.name[:80]}' has {len(cells)} cells, must have {rows}")
    return cells


def _array(column: Column, rows: int) -> Array:
    shape = column.shape
    known = _FORMS.fullmatch(column.form) and len(shape) <= _MOST_DIMENSIONS
    if not known or shape[:1] != [rows] or (len(shape) > 1 and min(shape) < 0):
        raise ValueError(f"column '{column.name[:80]}' has the form {column.form[:20]!r} and the shape {shape[:8]}")
    dtype = _dtype(column.form)
    if math.prod(shape) * dtype.itemsize != len(column.content):
        raise ValueError(f"column '{column.name[:80]}' has {len(column.content)} bytes, which do not fit {shape[:8]}")
    array = np.frombuffer(column.content, dtype)
    if not dtype.isnative:
        array = array.astype(dtype.newbyteorder("="))
    return array if len(shape) == 1 else array.reshape(shape)


@lru_cache(maxsize=64)
def _dtype(form: str) -> np.dtype[Any]:
    return np.dtype(form)


def values_of_cells(found: Sequence[Cells], rows: int) -> Values:
    """Columns of a batch of `rows` rows. Raises TooWide."""
    named: dict[tuple[Side, str], list[Cells]] = {}
    for one in _as_doubles(found):
        named.setdefault((one.side, one.name), []).append(one)
    check_width(len(named), rows)
    if sum(one.rows * one.width for one in found) > MOST_CELLS:
        raise TooWide(f"its inputs and outputs have more than {MOST_CELLS} numbers, send fewer rows")
    marked = {(side, name) for side in get_args(Side) for name in apart([name for found, name in named if found == side])}
    return {
        str(ValueColumn(side, kind, name, (side, name) in marked)): column
        for (side, name), parts in named.items()
        for kind, column in _columns(parts, rows).items()
    }


def _as_doubles(found: Sequence[Cells]) -> list[Cells]:
    """With FP32 as the doubles nearest to their shortest decimals: 0.1 is 0.1, as whoever made the reference wrote it."""
    singles = [isinstance(one.found, np.ndarray) and one.found.dtype == np.float32 for one in found]
    if not any(singles):
        return list(found)
    arrays = [one.array().reshape(-1) for one, single in zip(found, singles, strict=True) if single]
    doubles = iter(np.split(shortest(np.concatenate(arrays)), np.cumsum([len(one) for one in arrays])[:-1]))
    return [
        replace(one, found=next(doubles).reshape(one.array().shape)) if single else one
        for one, single in zip(found, singles, strict=True)
    ]


def _columns(parts: Sequence[Cells], rows: int) -> dict[Kind, pa.Array]:
    """Of one name."""
    kinds = {one.array().dtype.kind if isinstance(one.found, np.ndarray) else "O" for one in parts}
    exact = all(_is_exact(one.array()) for one in parts) if kinds <= {"f", "i", "u"} else False
    if exact and all(one.is_single for one in parts):
        return {"number": _numbers(parts, rows)}
    if exact and all(not one.is_single and one.array().ndim == 2 for one in parts):
        return {"numbers": _lists(parts, rows)}
    cells: list[Any] = [None] * rows
    for one in parts:
        cells[one.first : one.first + one.rows] = one.listed()
    return arrays_of(cells)


def _is_exact(array: Array) -> bool:
    """Whether doubles hold it."""
    if array.dtype.kind == "f" or array.dtype.itemsize < 8 or not array.size:
        return True
    return bool(array.max() <= EXACT and array.min() >= -EXACT)


def _numbers(parts: Sequence[Cells], rows: int) -> pa.Array:
    found = np.full(rows, np.nan)
    for one in parts:
        found[one.first : one.first + one.rows] = one.array()
    return _nullable(found)


def _nullable(found: Floats) -> pa.Array:
    """What is not finite is null."""
    return pa.array(found, mask=~np.isfinite(found))


def _lists(parts: Sequence[Cells], rows: int) -> pa.Array:
    lengths, missing = np.zeros(rows, dtype=np.int32), np.ones(rows, dtype=bool)
    for one in parts:
        lengths[one.first : one.first + one.rows] = one.width
        missing[one.first : one.first + one.rows] = False
    ordered = sorted(parts, key=lambda one: one.first)
    flat = np.concatenate([one.array().reshape(-1) for one in ordered]).astype(np.float64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), _nullable(flat), TYPES["numbers"], mask=pa.array(missing))


_LARGEST = 22
"""The powers of ten up to this one are doubles: a product or quotient with one of them is rounded once."""
_UP = 10.0 ** np.maximum(np.arange(-_LARGEST, _LARGEST + 1), 0)
_DOWN = _UP[::-1].copy()
_SURE = (1e-9, 1e9)


def shortest(values: npt.NDArray[np.float32]) -> Floats:
    """The doubles nearest to the shortest decimals that read back as the same FP32; shape (n,).

    Six significant digits always come back from FP32, and nine always tell two of them apart (IEEE 754, FLT_DIG and
    FLT_DECIMAL_DIG), so the first of 6, 7, 8 and 9 that reads back is it.
    """
    found = values.astype(np.float64)
    size = np.abs(found)
    left = np.flatnonzero((size >= _SURE[0]) & (size < _SURE[1]))
    exact, wanted = found[left], values[left]
    place = _LARGEST - 1 - np.floor(np.log10(size[left])).astype(np.int64)
    for digits in (6, 7, 8, 9):
        up, down = _UP[place + digits], _DOWN[place + digits]
        decimal = np.rint(exact * up / down) / up * down
        same = decimal.astype(np.float32) == wanted
        found[left[same]] = decimal[same]
        if same.all():
            break
        other = ~same
        left, exact, wanted, place = left[other], exact[other], wanted[other], place[other]
    rest = np.flatnonzero(((size < _SURE[0]) & (size > 0)) | ((size >= _SURE[1]) & np.isfinite(size)))
    if len(rest):
        found[rest] = orjson.loads(orjson.dumps(values[rest], option=orjson.OPT_SERIALIZE_NUMPY))
    return found
