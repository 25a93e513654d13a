"""The files of a deployment, date by date, each listed once in a round.

Recent dates are listed in every round. Of older ones those where files are being replaced (the collector says so for five
minutes: an erasure, a late compaction), and a few at a time in turn, for whoever else changes files.
"""

import re
from collections.abc import Sequence
from datetime import datetime

from podium_monitor.evaluations.states import hour_name
from podium_monitor.lake.reading import dates, of_date
from podium_monitor.lake.replacing import INTENTS
from podium_monitor.lake.store import Entry, Store
from podium_monitor.lake.tables import SCHEMAS, Table, folder_of, hour_of_path

_DATE = re.compile(r"/date=(\d{4}-\d{2}-\d{2})/", re.ASCII)


class Listing:
    """Blocking. What is filed at `end` and later is not seen yet: clocks that go wrong."""

    def __init__(self, store: Store, namespace: str, name: str, end: datetime) -> None:
        self._store, self._place, self._end = store, (namespace, name), end
        self.predictions: dict[str, list[str]] = {}
        """Paths by hour, of the dates that were listed."""
        self.shadows: dict[str, list[str]] = {}
        self.labels: dict[str, Entry] = {}
        """By path."""
        self.dates: set[str] = set()
        """That were listed."""
        self.with_predictions = dates(store, "predictions", *self._place)
        self.with_labels = dates(store, "labels", *self._place)

    def list(self, date: str) -> None:
        if date in self.dates:
            return
        self.dates.add(date)
        for table, found in (("predictions", self.predictions), ("shadows", self.shadows)):
            for entry, hour in self._of(table, date):  # type: ignore[arg-type]  # mypy sees str
                found.setdefault(hour, []).append(entry.path)
        self.labels |= {entry.path: entry for entry, _ in self._of("labels", date)}

    def _of(self, table: Table, date: str) -> Sequence[tuple[Entry, str]]:
        found = [(entry, hour_of_path(entry.path)) for entry in of_date(self._store, self._folder(table, date))]
        return [(entry, hour_name(hour)) for entry, hour in found if hour is not None and hour < self._end]

    def of(self, hour: str) -> Sequence[str]:
        """All paths that an hour's rows come from."""
        return [*self.predictions.get(hour, []), *self.shadows.get(hour, [])]

    def replaced(self) -> set[str]:
        """Dates where files are being replaced now."""
        folders = [f"{INTENTS}/{folder_of(table, *self._place)}" for table in SCHEMAS]
        return {date_of_path(entry.path) for folder in folders for entry in self._store.list(folder)}

    def _folder(self, table: Table, date: str) -> str:
        return f"{folder_of(table, *self._place)}/date={date}"


def date_of_path(path: str) -> str:
    """`2026-11-21`; empty: it lies under no date."""
    found = _DATE.search(path)
    return found[1] if found else ""


def file_name(path: str) -> str:
    return path.rpartition("/")[2]


def next_in_turn(found: Sequence[str], last: str, most: int) -> Sequence[str]:
    """At most `most` of `found`, which is sorted: those behind `last`, then again from the beginning."""
    behind = [one for one in found if one > last]
    return [*behind, *found[: max(0, most - len(behind))]][:most] if len(found) > most else found
