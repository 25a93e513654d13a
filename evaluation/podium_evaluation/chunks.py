"""Cuts a table into windows, in the order of its rows: by number of rows, or by time."""

import re
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

DEFAULT_CHUNKS = 10
_SEED = 20130801
_MONTH = "M"
_PERIOD = re.compile(r"^(\d{1,6})(m|h|D|W|M)$")
_SECONDS = {"m": 60, "h": 3600, "D": 86_400, "W": 604_800}


@dataclass(frozen=True)
class Chunk:
    """Rows by index, shape (n,). `start` is an ISO time in UTC where chunks are by time, else empty."""

    index: int
    rows: npt.NDArray[np.int64]
    start: str = ""


def chunks_of_rows(rows: int, size: int) -> list[Chunk]:
    """Consecutive chunks of `size` rows, the last one of what remains. Raises ValueError for a size below 1."""
    if size < 1:
        raise ValueError(f"a chunk has {size} rows, must have 1 or more")
    return [
        Chunk(index, np.arange(start, min(start + size, rows), dtype=np.int64))
        for index, start in enumerate(range(0, rows, size))
    ]


def whole_chunks(rows: int, size: int, most: int) -> list[Chunk]:
    """Consecutive chunks of exactly `size` rows; where there are more than `most`, so many of them, evenly spread."""
    whole = [chunk for chunk in chunks_of_rows(rows, size) if len(chunk.rows) == size]
    if len(whole) <= most:
        return whole
    return [whole[place] for place in np.linspace(0, len(whole) - 1, most).round().astype(np.int64)]


def drawn_chunks(rows: int, size: int, count: int = 30) -> list[Chunk]:
    """Bootstrap samples of a table too short for several chunks of `size` rows: drawn with replacement, the same ones
    every time.

    None has more rows than the table: what a metric varies by in larger ones is less than what the table itself leaves
    open. Efron (1979), "Bootstrap methods: another look at the jackknife", Annals of Statistics 7, 1-26.
    """
    draw = np.random.default_rng(_SEED)
    return [Chunk(index, draw.integers(0, rows, min(rows, size))) for index in range(count)]


@dataclass(frozen=True)
class Period:
    """`count` units of time. Periods begin at multiples of it since 1970 in UTC, weeks on Mondays (ISO 8601); months are the
    calendar's."""

    count: int
    unit: str
    """One of m, h, D, W, M."""

    def slots(self, seconds: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
        """Which period each of the unix `seconds` lies in, shape (n,)."""
        if self.unit == _MONTH:
            months = np.floor(seconds).astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
            return np.asarray(np.floor_divide(months, self.count), dtype=np.int64)
        return np.floor_divide(seconds - self._first, self.count * _SECONDS[self.unit]).astype(np.int64)

    def start(self, slot: int) -> str:
        """When a period begins, as ISO 8601 in UTC."""
        if self.unit == _MONTH:
            return f"{np.datetime64(slot * self.count, 'M').astype('datetime64[s]')}Z"
        return f"{np.datetime64(self._first + slot * self.count * _SECONDS[self.unit], 's')}Z"

    @property
    def _first(self) -> int:
        """1970 began on a Thursday."""
        return 4 * _SECONDS["D"] if self.unit == "W" else 0


def period_of(text: str) -> Period:
    """`15m`, `6h`, `1D`, `2W`, `1M`. Raises ValueError that says what would be right."""
    match = _PERIOD.match(text)
    if match is None or int(match[1]) == 0:
        raise ValueError(f"{text!r} is no period; write a number and m, h, D, W or M (months), as in 1D")
    return Period(int(match[1]), match[2])


def chunks_of_time(seconds: npt.ArrayLike, period: Period) -> list[Chunk]:
    """One chunk per period that has rows, from unix `seconds` of shape (n,).

    Rows keep their order within a chunk. Raises ValueError when a time is missing.
    """
    given = np.asarray(seconds, dtype=np.float64)
    if np.isnan(given).any():
        raise ValueError(f"row {int(np.flatnonzero(np.isnan(given))[0])} has no time (rows count from 0)")
    order, slots = np.argsort(period.slots(given), kind="stable"), np.unique(period.slots(given), return_counts=True)
    rows = np.split(order, np.cumsum(slots[1])[:-1])
    return [Chunk(index, rows[index], period.start(int(slot))) for index, slot in enumerate(slots[0])]
