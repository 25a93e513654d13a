"""Brings what is known of a deployment up to date: which hours have to be read, with which labels, and what that changes.

Each round lists the files of the last days, and all of them once an hour. An hour is read when its files changed, and when
labels came for one of its rows; a new label file is matched with the join keys of each hour that is known (of older hours
once an hour), so that a label that is months late has those hours read that it is about, and no others.
"""

import hashlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from podium_monitor.evaluations.hours import SubjectOf, summaries
from podium_monitor.evaluations.keeping import HourState, Keeper, State, hour_name
from podium_monitor.evaluations.matching import match
from podium_monitor.evaluations.rows import Kinds, Source, kinds
from podium_monitor.lake.reading import entries
from podium_monitor.lake.store import Entry, Store
from podium_monitor.lake.tables import Table, hour_of_path, is_merged

logger = logging.getLogger(__name__)

_LISTED = timedelta(days=3)
"""Listed each round: rows are filed at most two days back, labels under the hour of their receipt."""
_LIST_ALL_SECONDS = 3600.0
_PATIENCE = 20.0
"""An hour that was read is not read again before this many times the seconds that it took: reading costs 5 % at most."""
_TRY_AGAIN_SECONDS = 300.0
_LABEL_SLACK = timedelta(hours=1)
"""A label may lie under an hour before its prediction's by so much: clocks differ."""


@dataclass(frozen=True)
class Lake:
    """What the engine works with."""

    store: Store
    pool: Executor
    """Reads and counts."""
    days: int
    """Of which hours are kept."""
    most_keys: int
    """Join keys that are held at once."""


@dataclass
class _Files:
    predictions: dict[str, list[str]]
    """By hour."""
    shadows: dict[str, list[str]]
    labels: dict[str, Entry]

    def of(self, hour: str) -> list[str]:
        return [*self.predictions.get(hour, []), *self.shadows.get(hour, [])]


class Update:
    """One look at one deployment. Blocking; in one thread."""

    def __init__(self, lake: Lake, namespace: str, name: str, subject_of: SubjectOf) -> None:
        self._lake, self._namespace, self._name = lake, namespace, name
        self._subject_of = subject_of
        self._keeper = Keeper(lake.store, namespace, name)
        self._state = self._keeper.state()
        self._kinds: dict[str, Kinds] = {}
        self._identities: dict[str, str] = {}
        self.troubles: list[str] = []
        """Sentences on what could not be read."""

    @property
    def state(self) -> State:
        return self._state

    @property
    def keeper(self) -> Keeper:
        return self._keeper

    def run(self, now: datetime, stopping: Callable[[], bool], seconds: float) -> set[str]:
        """Hours whose summaries changed. Ends early: when `stopping`, and after `seconds` once all those are read
        that were prepared together: the next round goes on."""
        started = time.monotonic()
        everything = now.timestamp() - self._state.listed_at >= _LIST_ALL_SECONDS
        found = self._listed(now, everything)
        self._note(found, now, everything)
        self._match_new_labels(found, now, everything)
        changed: set[str] = set()
        if everything:
            changed |= self._forget_old(now)
        due = self._due(found, now)
        while due and not stopping() and (not changed or time.monotonic() - started < seconds):
            ready, due = self._prepare(found, due, now)
            for hour in ready:
                if stopping():
                    break
                if self._is_read(found, hour, now):
                    changed.add(hour)
        if everything or changed or found.labels:
            self._keeper.keep_state(self._state)
        return changed

    def _is_read(self, found: _Files, hour: str, now: datetime) -> bool:
        try:
            self._read(found, hour)
        except FileNotFoundError:
            logger.info("%s/%s: files of %s were compacted meanwhile", self._namespace, self._name, hour)
        except (pa.ArrowException, OSError) as error:
            self._pass_over(hour, error, now)
        else:
            return True
        return False

    def _pass_over(self, hour: str, error: Exception, now: datetime) -> None:
        """One hour that cannot be read keeps no other from being read; it is tried again after a while."""
        logger.error("%s/%s: %s cannot be read: %s", self._namespace, self._name, hour, error)
        self.troubles.append(f"the rows of {hour}:00 UTC cannot be read: {str(error).splitlines()[0]}")
        state = self._state.hours[hour]
        state.read_at, state.cost_seconds = now.timestamp(), _TRY_AGAIN_SECONDS / _PATIENCE

    def _listed(self, now: datetime, everything: bool) -> _Files:
        start = now - (timedelta(days=self._lake.days) if everything else _LISTED)
        end = now + timedelta(hours=2)

        def by_hour(table: Table) -> dict[str, list[str]]:
            hours: dict[str, list[str]] = defaultdict(list)
            for entry in entries(self._lake.store, table, self._namespace, self._name, start, end):
                if (hour := hour_of_path(entry.path)) is not None:
                    hours[hour_name(hour)].append(entry.path)
            return hours

        labels = entries(self._lake.store, "labels", self._namespace, self._name, start, end)
        return _Files(by_hour("predictions"), by_hour("shadows"), {entry.path: entry for entry in labels})

    def _note(self, found: _Files, now: datetime, everything: bool) -> None:
        if everything:
            self._state.listed_at = now.timestamp()
            self._state.label_files = [path for path in self._state.label_files if path in found.labels]
            for hour in set(self._state.hours) - set(found.predictions):
                self._state.hours[hour].files = "gone"

    def _match_new_labels(self, found: _Files, now: datetime, everything: bool) -> None:
        """Hours whose labels changed become stale. Older hours than are listed each round have their turn when everything
        is: each is a file to be read."""
        seen = set(self._state.label_files)
        new = [entry for path, entry in found.labels.items() if path not in seen]
        recent = hour_name(now - _LISTED)
        known = sorted((hour for hour, state in self._state.hours.items() if state.revision), reverse=True)
        self._match(new, [hour for hour in known if hour >= recent])
        self._state.label_files += [entry.path for entry in new]
        self._state.pending += [entry.path for entry in new]
        if everything:
            pending = [found.labels[path] for path in self._state.pending if path in found.labels]
            self._match(pending, [hour for hour in known if hour < recent])
            self._state.pending = []

    def _match(self, files: Sequence[Entry], hours: Sequence[str]) -> None:
        for hour in match(self._lake.store, self._lake.pool, self._keeper, files, hours):
            self._state.hours[hour].stale = True

    def _due(self, found: _Files, now: datetime) -> list[str]:
        """The newest first."""
        due = []
        for hour, state in [*self._state.hours.items()]:
            if state.files == "gone":
                continue
            if hour not in found.predictions and state.stale and self._is_rested(state, now):
                due.append(hour)  # an older hour than was listed
        for hour in found.predictions:
            state = self._state.hours.setdefault(hour, HourState())
            changed = state.files != _digest(found.of(hour)) or state.subjects != self._subjects(state.digests)
            if (changed or state.stale) and self._is_rested(state, now):
                due.append(hour)
        return sorted(due, reverse=True)

    def _subjects(self, digests: Sequence[str]) -> str:
        """What would be measured now of the versions of an hour: changes when a reference came or wishes changed."""
        for digest in digests:
            if digest not in self._identities:
                self._identities[digest] = self._subject_of(digest).identity
        return ",".join(self._identities[digest] for digest in digests)

    def _is_rested(self, state: HourState, now: datetime) -> bool:
        return now.timestamp() - state.read_at >= _PATIENCE * state.cost_seconds

    def _prepare(self, found: _Files, due: Sequence[str], now: datetime) -> tuple[list[str], list[str]]:
        """Hours that can be read now, and those that wait. Of hours whose rows changed the keys are learned, as many as
        memory has room for, and all labels since are matched with them: those that were read before the hour was."""
        ready: list[str] = []
        fresh: list[str] = []
        keys = looked = 0
        while looked < len(due) and keys < self._lake.most_keys:
            hour = due[looked]
            looked += 1
            ready.append(hour)
            paths = found.predictions.get(hour)
            if paths is None or self._state.hours[hour].files == _digest(found.of(hour)):
                continue
            try:
                self._kinds[hour] = learned = kinds(self._source(paths), self._lake.pool)
            except FileNotFoundError:
                continue  # reading it finds the same
            except (pa.ArrowException, OSError) as error:
                self._pass_over(hour, error, now)
                ready.pop()
                continue
            self._keeper.keep_keys(hour, learned.keys)
            labels = self._keeper.labels(hour)
            if len(labels):  # of rows that were erased since, nothing stays
                self._keeper.keep_labels(hour, labels.of(learned.keys))
            fresh.append(hour)
            keys += len(learned.keys)
        if fresh:
            first = hour_name(datetime.fromisoformat(f"{min(fresh)}:00:00+00:00") - _LABEL_SLACK)
            self._match([entry for entry in found.labels.values() if _hour_of(entry) >= first], fresh)
        return ready, list(due[looked:])

    def _read(self, found: _Files, hour: str) -> None:
        started, state = time.monotonic(), self._state.hours[hour]
        paths = found.predictions.get(hour) or self._paths("predictions", hour)
        shadows = found.shadows.get(hour) or self._paths("shadows", hour)
        state.files = _digest([*paths, *shadows])
        labels = self._keeper.labels(hour)
        source = self._source(paths, shadows)
        found_kinds = self._kinds.pop(hour, None) or kinds(source, self._lake.pool)
        arms = summaries(source, found_kinds, self._subject_of, labels, self._lake.pool)
        self._keeper.keep_summary(hour, arms)
        state.digests = sorted({one.arm.digest for one in arms})
        state.subjects, state.stale, state.read_at = self._subjects(state.digests), False, time.time()
        state.cost_seconds, state.revision = time.monotonic() - started, state.revision + 1

    def _source(self, paths: Sequence[str], shadows: Sequence[str] = ()) -> Source:
        once = len(paths) == 1 and is_merged(paths[0])  # compaction leaves each event once
        return Source(self._local(paths), self._local(shadows), once)

    def _paths(self, table: Table, hour: str) -> list[str]:
        start = datetime.fromisoformat(f"{hour}:00:00+00:00")
        end = start + timedelta(hours=1)
        return [entry.path for entry in entries(self._lake.store, table, self._namespace, self._name, start, end)]

    def _local(self, paths: Sequence[str]) -> list[Path]:
        return [self._lake.store.local(path) for path in paths]

    def _forget_old(self, now: datetime) -> set[str]:
        """Hours that are too old, or whose rows are gone."""
        oldest = hour_name(now - timedelta(days=self._lake.days))
        old = {hour for hour, state in self._state.hours.items() if hour < oldest or state.files == "gone"}
        for hour in old:
            self._keeper.forget(hour)
            del self._state.hours[hour]
        return old


def _hour_of(entry: Entry) -> str:
    hour = hour_of_path(entry.path)
    return hour_name(hour or datetime.min.replace(tzinfo=UTC))


def _digest(paths: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(paths)).encode()).hexdigest()[:24]
