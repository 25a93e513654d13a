"""Cuts a table into windows, in the order of its rows: by number of rows, or by time."""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DEFAULT_CHUNKS = 10
_PERIOD = re.compile(r"^(\d+)(m|h|D|W)$")
_SECONDS = {"m": 60, "h": 3600, "D": 86_400, "W": 604_800}


@dataclass(frozen=True)
class Chunk:
    """Rows by index, shape (n,). `start` is an ISO time in UTC where chunks are by time, else empty."""

    index: int
    rows: npt.NDArray[np.int64]
    start: str = ""


def chunks_of_rows(rows: int, size: int) -> list[Chunk]:
    """Consecutive chunks of `size` rows; a remainder below half of that joins the last one. Raises ValueError for a size
    below 1."""
    if size < 1:
        raise ValueError(f"a chunk has {size} rows, must have 1 or more")
    starts = list(range(0, rows, size))
    if len(starts) > 1 and rows - starts[-1] < size / 2:
        starts.pop()
    ends = [*starts[1:], rows]
    return [
        Chunk(index, np.arange(start, end, dtype=np.int64))
        for index, (start, end) in enumerate(zip(starts, ends, strict=True))
    ]


def period_seconds(period: str) -> int:
    """`15m`, `6h`, `1D`, `2W` in seconds. Raises ValueError that says what would be right."""
    match = _PERIOD.match(period)
    if match is None or int(match[1]) == 0:
        raise ValueError(f"{period!r} is no period; write a number and m, h, D or W, as in 1D")
    return int(match[1]) * _SECONDS[match[2]]


def chunks_of_time(seconds: npt.ArrayLike, period: int) -> list[Chunk]:
    """One chunk per period that has rows, from unix `seconds` of shape (n,); periods begin at multiples of `period` in UTC.

    Rows keep their order within a chunk. Raises ValueError when a time is missing.
    """
    given = np.asarray(seconds, dtype=np.float64)
    if np.isnan(given).any():
        raise ValueError(f"row {int(np.flatnonzero(np.isnan(given))[0])} has no time (rows count from 0)")
    slots = np.floor_divide(given, period).astype(np.int64)
    found = []
    for index, slot in enumerate(np.unique(slots)):
        start = np.datetime64(int(slot) * period, "s")
        found.append(Chunk(index, np.flatnonzero(slots == slot), f"{start}Z"))
    return found
