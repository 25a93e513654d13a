"""Whole days, in files of a week each that never change: a day that is evaluated again makes one of them anew.

    evaluations/…/days/2026-W47-<digest of its content>.json

The head names them. What no head names any more goes ten minutes later, when nobody reads it.
"""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property

import msgspec

from podium_evaluation.documents import Arm, DayOfArm, days_folder
from podium_monitor.evaluations.keeping import week_of
from podium_monitor.lake.store import Entry, Store

_UNNAMED = timedelta(minutes=10)


class Parts:
    """Of one deployment. Blocking."""

    def __init__(self, store: Store, namespace: str, deployment: str, named: Mapping[str, str]) -> None:
        """`named` by the head that is there."""
        self._store, self._folder, self._named = store, days_folder(namespace, deployment), named

    def put(self, arms: Iterable[Arm], dates: set[str], computed: set[str], changed: set[str]) -> dict[str, str]:
        """Names by week, of all of `dates`. Those of `computed` are taken from the arms, where they are whole; parts of
        weeks in which nothing is `changed` stay. Durable when it returns."""
        new: dict[str, list[DayOfArm]] = {}
        for arm in arms:
            for day in arm.days:
                if (date := f"{day.start:%Y-%m-%d}") in computed:
                    new.setdefault(date, []).append(DayOfArm(arm.role, arm.name, arm.version, arm.digest, day))
        weeks: dict[str, set[str]] = {}
        for date in dates:
            weeks.setdefault(week_of(date), set()).add(date)
        touched = {week_of(date) for date in computed | changed}
        return {
            week: named
            if (named := self._named.get(week)) and week not in touched
            else self._put(week, of_week, computed, new)
            for week, of_week in sorted(weeks.items())
        }

    def _put(self, week: str, dates: set[str], computed: set[str], new: Mapping[str, list[DayOfArm]]) -> str:
        old = self._named.get(week)
        kept: dict[str, msgspec.Raw] = {}
        if old is not None and dates - computed:
            content = self._store.read(f"{self._folder}/{old}")
            kept = msgspec.json.decode(content, type=dict[str, msgspec.Raw])
        days = {date: new[date] if date in computed else kept[date] for date in sorted(dates) if date in new or date in kept}
        content = msgspec.json.encode(days)
        name = f"{week}-{hashlib.blake2b(content, digest_size=12).hexdigest()}.json"
        if name != old:
            with suppress(FileExistsError):
                self._store.create(f"{self._folder}/{name}", content)
        return name

    def are_there(self) -> bool:
        """All that are named."""
        return set(self._named.values()) <= {_name(entry) for entry in self._there}

    def clean(self, named: Mapping[str, str]) -> None:
        """Removes what neither the head of before nor that of now names."""
        wanted = {*self._named.values(), *named.values()}
        for entry in self._there:
            if _name(entry) not in wanted and datetime.now(UTC) - entry.modified > _UNNAMED:
                self._store.delete(entry.path)

    @cached_property
    def _there(self) -> list[Entry]:
        """Before anything was put."""
        return list(self._store.list(self._folder))


def _name(entry: Entry) -> str:
    return entry.path.rpartition("/")[2]
