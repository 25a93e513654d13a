"""Columns of captured rows, as the collector gets them. Pure.

Numbers go as the arrays that they are: a copy of bytes, whatever their count. What is left out or hashed never gets any
further than here.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from podium_crds.capture import hashed
from podium_crds.rows import TEXT, Column
from podium_serving.exchange import Columns
from podium_serving.traffic.keys import key_of_value

_NUMBERS = "biuf"
_BYTES_PER_CELL = 56
"""Of an object that is held, about, apart from its text."""

_json = msgspec.json.Encoder().encode

Take = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]
"""Picks the rows that are wanted of a column."""


class ColumnWriter:
    """Writes the columns of one deployment. Names are those of inputs and outputs alike."""

    def __init__(self, redacted: Iterable[str] = (), hashed_names: Iterable[str] = (), key: bytes = b"") -> None:
        """Without a key what should be hashed is left out: a hash that anybody can make hides nothing."""
        hides = frozenset(hashed_names)
        self._redacted = frozenset(redacted) | (hides if not key else frozenset())
        self._hashed = hides - self._redacted
        self._key = key

    def hides(self, name: str) -> bool:
        return name in self._hashed or name in self._redacted

    def hash(self, value: bytes) -> str | None:
        """None: there is no key to hash with."""
        return hashed(self._key, value) if self._key else None

    def written(self, columns: Columns, take: Take) -> list[Column]:
        """Raises what msgspec raises of values that JSON cannot hold."""
        return [
            self._of_hashes(name, take(column)) if name in self._hashed else _column(name, take(column))
            for name, column in columns.items()
            if name not in self._redacted
        ]

    def _of_hashes(self, name: str, column: npt.NDArray[Any]) -> Column:
        rows = column.shape[0]
        if column.size == rows:
            values = [key_of_value(cell) for cell in column.reshape(rows)]
        else:
            values = [_json(_spelled(cell)) for cell in column.tolist()]
        texts = [None if value is None else hashed(self._key, value) for value in values]
        return Column(name, TEXT, [rows], _json(texts))


def _column(name: str, column: npt.NDArray[Any]) -> Column:
    if column.dtype.kind in _NUMBERS:
        return Column(name, column.dtype.str, list(column.shape), column.tobytes())
    rows = column.shape[0]
    cells = (column.reshape(-1) if column.size == rows else column).tolist()
    return Column(name, TEXT, [rows], _json([_spelled(cell) for cell in cells]))


def _spelled(cell: Any) -> Any:
    """Bytes that are no UTF-8 as `{"base64": ...}`: a plain string would look like what a client may have sent."""
    if isinstance(cell, list):
        return [_spelled(part) for part in cell]
    return {"base64": cell} if isinstance(cell, bytes) else cell


def size_of(columns: Columns) -> int:
    """About how many bytes the values take, in memory or written."""
    size = 0
    for column in columns.values():
        if column.dtype != object:
            size += column.nbytes
        else:
            size += column.size * _BYTES_PER_CELL
            size += sum([len(cell) for cell in column.ravel() if isinstance(cell, str | bytes)])
    return size


def joined(parts: list[Columns]) -> Columns:
    """One set of columns of the rows of all parts, which have the same names."""
    if len(parts) == 1:
        return parts[0]
    return {name: _joined([part[name] for part in parts]) for name in parts[0]}


def _joined(parts: list[npt.NDArray[Any]]) -> npt.NDArray[Any]:
    try:
        return np.concatenate(parts)
    except ValueError:  # of other shapes: each row is a list of its own then
        rows = [row for part in parts for row in part.tolist()]
        cells = np.empty(len(rows), dtype=object)
        cells[:] = rows
        return cells


def between(columns: Columns, start: int, end: int) -> Columns:
    """Rows `start` to before `end`: views."""
    return {name: column[start:end] for name, column in columns.items()}


def rows_between(start: int, end: int) -> Take:
    return lambda column: column[start:end]
