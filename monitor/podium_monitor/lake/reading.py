"""How everybody finds the files of a table. Rows come at least once: readers take distinct `event_id`, always."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from podium_monitor.lake.replacing import intents, superseded
from podium_monitor.lake.store import Entry, Store
from podium_monitor.lake.tables import Table, folder_of, hour_of, hour_of_path, value_of

_LIST_AGAIN = 3


def files(store: Store, table: Table, namespace: str, deployment: str, start: datetime, end: datetime) -> list[str]:
    """Paths of the files of the hours that overlap [start, end), by path.

    Predictions and shadows are filed under the hour of their own `time`, unless it is more than two days before their
    receipt or more than an hour after it: those lie under the hour of their receipt, and whoever asks for that hour gets
    them. Labels are filed under the hour of their receipt. So filter by `time` afterwards where that matters.
    """
    return [entry.path for entry in entries(store, table, namespace, deployment, start, end)]


def local_files(store: Store, table: Table, namespace: str, deployment: str, start: datetime, end: datetime) -> list[Path]:
    """The same as files of this machine, for `duckdb.read_parquet(list, union_by_name=true)`.

    They stay readable for some minutes at least, even if they are compacted meanwhile.
    """
    for _ in range(_LIST_AGAIN):
        try:
            return [store.local(path) for path in files(store, table, namespace, deployment, start, end)]
        except FileNotFoundError:
            continue  # compacted away since it was listed: its rows are in a new file
    return [store.local(path) for path in files(store, table, namespace, deployment, start, end)]


def entries(store: Store, table: Table, namespace: str, deployment: str, start: datetime, end: datetime) -> Iterator[Entry]:
    """The files with their sizes, by path."""
    folder = folder_of(table, namespace, deployment)
    for date in store.folders(folder):
        if not _overlaps(value_of(date), start, end):
            continue
        for entry in of_date(store, f"{folder}/{date}"):
            hour = hour_of_path(entry.path)
            if hour is not None and hour_of(start) <= hour < end:
                yield entry


def of_date(store: Store, folder: str) -> list[Entry]:
    """The files of a date's folder, by path, without those whose rows are in another of them already.

    The intents are read before the files are listed: then an old file is left out only if its new one is in the list.
    """
    known = [intent for _, intent in intents(store, folder)]
    found = [entry for entry in store.list(folder) if entry.path.endswith(".parquet")]
    gone = superseded(known, (entry.path for entry in found)) if known else ()
    return [entry for entry in found if entry.path not in gone]


def deployments(store: Store, table: Table) -> list[tuple[str, str]]:
    """(namespace, deployment) of all that ever wrote to the table."""
    return [
        (value_of(namespace), value_of(deployment))
        for namespace in store.folders(table)
        for deployment in store.folders(f"{table}/{namespace}")
    ]


def dates(store: Store, table: Table, namespace: str, deployment: str) -> list[str]:
    """The days that have files, `2026-11-21`, oldest first."""
    return sorted(value_of(date) for date in store.folders(folder_of(table, namespace, deployment)))


def _overlaps(date: str, start: datetime, end: datetime) -> bool:
    """Of dates as text: an odd folder is left out, never an error."""
    return f"{start.astimezone(UTC):%Y-%m-%d}" <= date <= f"{end.astimezone(UTC):%Y-%m-%d}"
