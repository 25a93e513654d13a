"""The lake: Parquet files in hive folders, each written once, whole and durably, and never changed.

    <lake>/predictions/namespace=shop/deployment=churn/date=2026-11-21/hour=13/<received>-<unique>.parquet
    <lake>/shadows/...

A file is written under `.incoming`, synced, renamed to its place, and its folder is synced: so a crash at any instant
leaves nothing half-written that a reader could find. `.incoming` is emptied at the start. Why it looks like this:
docs/decisions/20261121-capture-lake.md.
"""

import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from podium_monitor.events import Kind, Row

SCHEMA_VERSION = "1"
_INCOMING = ".incoming"
_LOCK = ".lock"
_MOST_SYNCED = 10_000
_METADATA = {"podium.schema_version": SCHEMA_VERSION}
_MICROSECONDS = pa.timestamp("us", tz="UTC")

_SHARED = [
    ("event_id", pa.string()),
    ("time", _MICROSECONDS),
    ("received_at", _MICROSECONDS),
    ("deployment_uid", pa.string()),
]
SCHEMAS: dict[Kind, pa.Schema] = {
    "predictions": pa.schema(
        [
            *_SHARED,
            ("request_id", pa.string()),
            ("row", pa.int32()),
            ("join_key", pa.string()),
            ("arm_assigned", pa.string()),
            ("arm_answered", pa.string()),
            ("fallback", pa.string()),
            ("epoch", pa.int64()),
            ("version", pa.string()),
            ("digest", pa.string()),
            ("inputs", pa.string()),
            ("outputs", pa.string()),
            ("latency_seconds", pa.float64()),
        ],
        metadata=_METADATA,
    ),
    "shadows": pa.schema(
        [
            *_SHARED,
            ("prediction_id", pa.string()),
            ("version", pa.string()),
            ("digest", pa.string()),
            ("outputs", pa.string()),
            ("error", pa.string()),
        ],
        metadata=_METADATA,
    ),
    "labels": pa.schema(
        [
            *_SHARED,
            ("join_key", pa.string()),
            ("label", pa.string()),
            ("outcomes", pa.string()),
            ("labelled_by", pa.string()),
        ],
        metadata=_METADATA,
    ),
}


class LakeInUse(Exception):
    """Another process writes to this lake: it alone knows which events are there already."""


class Lake:
    """Blocking; for a thread. One process at a time: `open` takes a lock that dies with the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock: int | None = None
        self._synced: set[Path] = set()

    def open(self) -> None:
        """Makes the folders and removes what a crash left half-written. Raises LakeInUse or OSError."""
        (self._folder / _INCOMING).mkdir(parents=True, exist_ok=True)
        lock = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in (self._folder / _INCOMING).iterdir():
                left.unlink()
        except BlockingIOError as error:
            os.close(lock)
            raise LakeInUse(f"another process writes to {self._folder}") from error
        except OSError:
            os.close(lock)
            raise
        self._lock = lock

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def write(self, rows: Sequence[Row]) -> None:
        """Adds the rows, all of one folder (see `folder_of`), as one durable file. Raises OSError: then none is there."""
        kind = rows[0].kind
        columns = {field.name: [row.values[field.name] for row in rows] for field in SCHEMAS[kind]}
        table = pa.table(columns, schema=SCHEMAS[kind])
        received = rows[0].values["received_at"]
        name = f"{received.astimezone(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(6)}.parquet"
        incoming = self._folder / _INCOMING / name
        try:
            with open(incoming, "wb") as file:
                pq.write_table(table, file, compression="zstd")
                file.flush()
                os.fsync(file.fileno())
            self._place(incoming, self._folder / folder_of(rows[0]) / name)
        except pa.ArrowException as error:
            raise OSError(f"cannot write {incoming}: {error}") from error
        finally:
            incoming.unlink(missing_ok=True)

    def _place(self, incoming: Path, target: Path) -> None:
        self._make_folder(target.parent)
        os.rename(incoming, target)
        try:
            _sync_folder(target.parent)
        except OSError:
            target.unlink(missing_ok=True)  # it will be sent again
            raise

    def _make_folder(self, folder: Path) -> None:
        """Makes it so that it survives a power failure: the parents are synced, even if an earlier process made them."""
        if folder in self._synced:
            return
        folder.mkdir(parents=True, exist_ok=True)
        for parent in folder.parents:
            _sync_folder(parent)
            if parent == self._folder:
                break
        if len(self._synced) > _MOST_SYNCED:
            self._synced.clear()
        self._synced.add(folder)

    def recent_events(self, days: int, seconds: float, limit: int) -> Iterator[tuple[datetime, str, list[str]]]:
        """(received, event source, event ids) of the newest files, newest first: those received within `seconds` before
        the newest of all, from the newest `days` dates of each deployment, until `limit` ids were given."""
        found = sorted(self._files_of_last_dates(days), key=lambda entry: entry[0], reverse=True)
        given = 0
        for received, source, path in found:
            if given >= limit or (found[0][0] - received).total_seconds() > seconds:
                return
            ids: list[str] = pq.ParquetFile(path).read(columns=["event_id"]).column(0).to_pylist()
            given += len(ids)
            yield received, source, ids

    def _files_of_last_dates(self, days: int) -> Iterator[tuple[datetime, str, Path]]:
        deployments = [path for kind in SCHEMAS for path in self._folder.glob(f"{kind}/namespace=*/deployment=*")]
        for deployment in deployments:
            namespace = _value(deployment.parent)
            source = f"/namespaces/{namespace}/modeldeployments/{_value(deployment)}"
            for date in sorted(deployment.glob("date=*"))[-days:]:
                for path in date.glob("hour=*/*.parquet"):
                    yield _received_at(path), source, path

    def count(self, kind: Kind, namespace: str, deployment: str) -> int:
        """Rows of a deployment, from the footers of its files: takes time by their number."""
        folder = self._folder / kind / f"namespace={namespace}" / f"deployment={deployment}"
        return sum(pq.read_metadata(path).num_rows for path in folder.glob("date=*/hour=*/*.parquet"))


def folder_of(row: Row) -> Path:
    """Where a row is filed, below the lake's folder."""
    return Path(
        row.kind,
        f"namespace={row.source.namespace}",
        f"deployment={row.source.name}",
        f"date={row.filed_at:%Y-%m-%d}",
        f"hour={row.filed_at:%H}",
    )


def by_folder(rows: Iterable[Row]) -> dict[Path, list[Row]]:
    groups: dict[Path, list[Row]] = {}
    for row in rows:
        groups.setdefault(folder_of(row), []).append(row)
    return groups


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _value(folder: Path) -> str:
    return folder.name.partition("=")[2]


def _received_at(path: Path) -> datetime:
    return datetime.strptime(path.name.partition("-")[0], "%Y%m%dT%H%M%S%f").replace(tzinfo=UTC)
