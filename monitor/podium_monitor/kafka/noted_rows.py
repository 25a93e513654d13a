"""The rows of notes, wherever they lie by now: in the file that was noted, or in what compaction or erasure made of it.

What was erased since is not there any more, so it is not found. Rows of one note may come twice, with others of the same
instant: readers of the topic take distinct ids, as those of the lake do.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from podium_monitor.kafka.outbox import Part
from podium_monitor.lake.reading import of_date
from podium_monitor.lake.store import Store
from podium_monitor.lake.tables import SCHEMAS, Place, Table, hour_of_path, is_merged, received_at, value_of
from podium_monitor.lake.values import value_column

_BATCH_ROWS = 2000
_BATCH_CELLS = 2**19
"""Of one batch: as Python's objects each takes some 50 bytes."""
_LIST_AGAIN = 3
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def place_of(folder: str) -> Place:
    """Of an hour's folder."""
    table, namespace, deployment, *_ = folder.split("/")
    names: dict[str, Table] = {name: name for name in SCHEMAS}
    hour = hour_of_path(folder)
    assert hour is not None
    return Place(names[table], value_of(namespace), value_of(deployment), hour)


def noted_rows(store: Store, folder: str, parts: Sequence[Part], fresh: bool) -> Iterator[pa.Table]:
    """Of parts of one hour's folder. `fresh`: noted a moment ago, so the files are as they were made. Raises OSError."""
    table = place_of(folder).table
    if fresh and all(part.name for part in parts):
        try:
            for path in {f"{folder}/{part.name}" for part in parts}:
                whole = io.BytesIO(store.read(path))  # a file of one commit is small, and of a bucket this is one request
                yield from _batches(pq.ParquetFile(whole), table)
            return
        except FileNotFoundError:
            pass  # never made, or replaced already
    intervals = _Intervals(parts)
    for opened in _opened(store, folder, parts):
        with opened as file:
            for batch in _batches(pq.ParquetFile(file), table):
                chosen = batch.filter(intervals.hold(batch.column("received_at")))
                if chosen.num_rows:
                    yield chosen


def _opened(store: Store, folder: str, parts: Sequence[Part]) -> list[IO[bytes]]:
    """Files that may hold rows of the parts."""
    for attempt in range(_LIST_AGAIN):
        files = [path for path in _listed(store, folder) if _may_hold(path, parts)]
        try:
            return [store.open(path) for path in files]
        except FileNotFoundError:
            if attempt == _LIST_AGAIN - 1:
                raise
    return []  # not reached: the last attempt raised


def _listed(store: Store, folder: str) -> Iterable[str]:
    return (e.path for e in of_date(store, folder.rpartition("/")[0]) if e.path.startswith(f"{folder}/"))


def _may_hold(path: str, parts: Sequence[Part]) -> bool:
    """By its name: when the newest of its rows was received."""
    newest = received_at(path)
    if newest is None or is_merged(path) or any(not part.name for part in parts):
        return newest is None or newest >= min(part.first for part in parts)
    return any(part.last == newest for part in parts)


def _batches(file: pq.ParquetFile, table: Table) -> Iterator[pa.Table]:
    known = SCHEMAS[table].names
    names = [name for name in file.schema_arrow.names if name in known or value_column(name) is not None]
    rows = max(1, min(_BATCH_ROWS, _BATCH_CELLS // len(names)))
    for batch in file.iter_batches(rows, columns=names):
        yield pa.Table.from_batches([batch])


class _Intervals:
    """Spans of `received_at`, joined where they overlap."""

    def __init__(self, parts: Sequence[Part]) -> None:
        spans: list[list[int]] = []
        for first, last in sorted((_microseconds(part.first), _microseconds(part.last)) for part in parts):
            if spans and first <= spans[-1][1]:
                spans[-1][1] = max(spans[-1][1], last)
            else:
                spans.append([first, last])
        self._firsts = np.array([first for first, _ in spans])
        self._lasts = np.array([last for _, last in spans])

    def hold(self, times: pa.ChunkedArray) -> pa.Array:
        """For each of the times whether it lies in one of them."""
        at = times.cast(pa.int64()).to_numpy()
        nearest = np.searchsorted(self._firsts, at, side="right") - 1
        return pa.array((nearest >= 0) & (at <= self._lasts[nearest]))


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
