"""Rows become files. One file per place and commit: made in memory, then created in the store, whole and durable."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from podium_monitor.lake.lock import FolderLock
from podium_monitor.lake.merging import write_options
from podium_monitor.lake.reading import dates, deployments, of_date
from podium_monitor.lake.store import Entry, FolderStore, Store
from podium_monitor.lake.tables import SCHEMAS, Place, Rows, Table, folder_of, new_name, received_at

logger = logging.getLogger(__name__)


class Lake:
    """Blocking; for a thread. On a folder one process at a time: `open` takes a lock that dies with the process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = FolderLock(store.folder) if isinstance(store, FolderStore) else None

    def open(self) -> None:
        """Removes what a crash left half-written; asks a bucket whether it answers. Raises LakeInUse or OSError."""
        if self._lock is not None:
            self._lock.acquire()
        if isinstance(self._store, FolderStore):
            self._store.clean()
        self._store.folders("")

    def close(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def write(self, rows: Rows, name: str | None = None) -> None:
        """Adds the rows as one durable file; no name: `name_for` them. Raises OSError: then none is there."""
        name = name or name_for(rows)
        try:
            content = _parquet(rows)
        except pa.ArrowException as error:
            raise OSError(f"cannot write rows of {rows.place.folder}: {error}") from error
        self._store.create(f"{rows.place.folder}/{name}", content)

    def recent_events(self, days: int, seconds: float, limit: int) -> Iterator[tuple[datetime, Place, list[str]]]:
        """(received, place, event ids) of the newest files, newest first: those received within `seconds` before the
        newest of all, from the newest `days` dates of each deployment, until `limit` ids were given."""
        found = sorted(self._files_of_last_dates(days), key=lambda entry: entry[0], reverse=True)
        given = 0
        for received, place, path in found:
            if given >= limit or (found[0][0] - received).total_seconds() > seconds:
                return
            try:
                with self._store.open(path) as file:
                    ids: list[str] = pq.ParquetFile(file).read(columns=["event_id"]).column(0).to_pylist()
            except (pa.ArrowException, FileNotFoundError) as error:
                logger.warning("%s is left out of what is known: %s", path, error)
                continue
            given += len(ids)
            yield received, place, ids

    def _files_of_last_dates(self, days: int) -> Iterator[tuple[datetime, Place, str]]:
        for table in SCHEMAS:
            for namespace, deployment in deployments(self._store, table):
                place = Place(table, namespace, deployment, datetime.min.replace(tzinfo=UTC))
                for date in dates(self._store, table, namespace, deployment)[-days:]:
                    for entry in self._of_date(table, namespace, deployment, date):
                        if (received := received_at(entry.path)) is not None:
                            yield received, place, entry.path

    def _of_date(self, table: Table, namespace: str, deployment: str, date: str) -> Iterator[Entry]:
        folder = f"{folder_of(table, namespace, deployment)}/date={date}"
        return (entry for entry in self._store.list(folder) if entry.path.endswith(".parquet"))

    def count(self, table: Table, namespace: str, deployment: str) -> int:
        """Rows of a deployment, from the footers of its files: takes time by their number."""
        folder = folder_of(table, namespace, deployment)
        days = dates(self._store, table, namespace, deployment)
        return sum(self._rows_of(entry.path) for day in days for entry in of_date(self._store, f"{folder}/date={day}"))

    def _rows_of(self, path: str) -> int:
        with self._store.open(path) as file:
            return int(pq.read_metadata(file).num_rows)


def name_for(rows: Rows) -> str:
    """Of a file for these rows; another one each time."""
    return new_name(max(rows.columns["received_at"]))


def _parquet(rows: Rows) -> bytes:
    schema = SCHEMAS[rows.place.table]
    columns = [
        _array(rows.columns[field.name], field.type) if field.name in rows.columns else pa.nulls(len(rows), field.type)
        for field in schema
    ]
    for name in sorted(rows.values):
        schema = schema.append(pa.field(name, rows.values[name].type))
        columns.append(rows.values[name])
    table = pa.table(columns, schema=schema)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, **write_options(schema))
    return bytes(sink.getvalue())


def _array(values: list[Any], kind: pa.DataType) -> pa.Array:
    """Most columns repeat one value: to say so costs less than to convert it row by row."""
    first = values[0] if values else None
    return pa.repeat(pa.scalar(first, kind), len(values)) if values.count(first) == len(values) else pa.array(values, kind)
