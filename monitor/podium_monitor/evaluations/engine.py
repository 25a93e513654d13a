"""Brings what is known of a deployment up to date: which hours have to be read, with which labels, and what that changes.

Each round lists the files of the last days, and of older dates those where files are being replaced. Once an hour some of
the other dates have their turn, so that an hour more costs the same after a day and after a year; all are listed when the
process begins, and when what is measured changes. An hour is read when its files changed, and when labels came for one of
its rows; a new label file is matched with the join keys of each hour that is known (of older hours once an hour), so that
a label that is months late has those hours read that it is about, and no others.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from podium_monitor.evaluations.hashing import Hashes
from podium_monitor.evaluations.hours import SubjectOf, summaries
from podium_monitor.evaluations.keeping import Keeper, folder
from podium_monitor.evaluations.listing import Listing, date_of_path, file_name, next_in_turn
from podium_monitor.evaluations.matching import Group, match, older_groups
from podium_monitor.evaluations.rows import Kinds, Source, kinds
from podium_monitor.evaluations.states import HourState, States, hour_name
from podium_monitor.lake.store import Entry, Store
from podium_monitor.lake.tables import hour_of_path, is_merged

logger = logging.getLogger(__name__)

_LISTED = timedelta(days=3)
"""Listed each round: rows are filed at most two days back, labels under the hour of their receipt."""
_TURN_SECONDS = 3600.0
_TURN_DATES = 4
"""So many older dates are listed in a turn: each of 90 within a day."""
_PATIENCE = 20.0
"""An hour that was read is not read again before this many times the seconds that it took: reading costs 5 % at most."""
_TRY_AGAIN_SECONDS = 300.0
_LABEL_SLACK = timedelta(hours=1)
"""A label may lie under an hour before its prediction's by so much: clocks differ."""
_NO_KEYS = np.zeros(0, dtype=np.uint64)


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


class Update:
    """One look at one deployment. Blocking; in one thread."""

    def __init__(self, lake: Lake, namespace: str, name: str, subject_of: SubjectOf, now: datetime) -> None:
        self._lake, self._namespace, self._name, self._now = lake, namespace, name, now
        self._subject_of = subject_of
        self._keeper = Keeper(lake.store, namespace, name)
        self._states = States(lake.store, folder(namespace, name))
        self._found = Listing(lake.store, namespace, name, now + timedelta(hours=2))
        self._recent = f"{now - _LISTED:%Y-%m-%d}"
        self._oldest = f"{now - timedelta(days=lake.days):%Y-%m-%d}"
        self._kinds: dict[str, Kinds] = {}
        self._identities: dict[str, str] = {}
        self.troubles: list[str] = []
        """Sentences on what could not be read."""

    @property
    def states(self) -> States:
        return self._states

    @property
    def keeper(self) -> Keeper:
        return self._keeper

    def run(self, stopping: Callable[[], bool], seconds: float, everything: bool) -> None:
        """Ends early: when `stopping`, and after `seconds` once all those hours are read that were prepared together: the
        next round goes on. `everything`: all dates are listed, as they are when something changed that is measured."""
        started = time.monotonic()
        head = self._states.head
        everything = everything or self._states.is_new or self._measures_changed()
        turn = everything or self._now.timestamp() - head.listed_at >= _TURN_SECONDS
        self._list(turn, everything)
        self._forget_gone(turn)
        self._match_new_labels(turn)
        due = self._due()
        has_read = False
        while due and not stopping() and (not has_read or time.monotonic() - started < seconds):
            ready, due = self._prepare(due)
            for hour in ready:
                if stopping():
                    break
                has_read |= self._is_read(hour)
        if everything:
            known = {digest for hour in self._states.summarized() for digest in self._states.hour(hour).digests}
            head.subjects = {digest: self._subjects([digest]) for digest in sorted(known)}
        self._states.keep()

    def _list(self, turn: bool, everything: bool) -> None:
        head, there = self._states.head, sorted({*self._found.with_predictions, *self._found.with_labels})
        older = [date for date in there if self._oldest <= date < self._recent]
        wanted = {date for date in there if date >= self._recent} | (self._found.replaced() & set(older))
        if everything:
            wanted |= set(older)
        elif turn and older:
            in_turn = next_in_turn(older, head.turn, _TURN_DATES)
            wanted |= {*in_turn, *(date_of_path(path) for path in head.pending)}
            head.turn = in_turn[-1]
        if turn:
            head.listed_at = self._now.timestamp()
        for date in sorted(wanted):
            self._found.list(date)

    def _forget_gone(self, turn: bool) -> None:
        """Hours that are too old, or whose rows are gone."""
        states, found = self._states, self._found
        rows = set(found.with_predictions)
        gone = {date for date in states.head.hours if date < self._oldest or date not in rows}
        if turn:
            there = rows.union(found.with_labels)
            gone |= {date for date in states.kept_dates() if date < self._oldest or date not in there}
        for date in sorted(gone | found.dates):
            for hour in states.known_hours(date):
                if date in gone or hour not in found.predictions:
                    self._forget(hour)
            if date in gone and date not in found.dates:
                states.date(date).labels.clear()

    def _forget(self, hour: str) -> None:
        self._keeper.forget(hour)
        self._states.forget(hour)

    def _match_new_labels(self, turn: bool) -> None:
        """Hours whose labels changed become due. Older hours than are listed each round have their turn once an hour."""
        head, found = self._states.head, self._found
        known = {date: set(self._states.date(date).labels) for date in found.dates}
        new = [entry for path, entry in found.labels.items() if file_name(path) not in known[date_of_path(path)]]
        hours = self._states.summarized() if new or head.pending else []
        self._match(new, [Group("", [hour for hour in reversed(hours) if hour >= self._recent])])
        head.pending += [entry.path for entry in new]
        if turn:
            pending = [found.labels[path] for path in head.pending if path in found.labels]
            self._match(pending, older_groups([hour for hour in hours if hour < self._recent], self._recent))
            head.pending = []
        for date in found.dates:
            self._states.date(date).labels = []
        for path in sorted(found.labels):
            self._states.date(date_of_path(path)).labels.append(file_name(path))

    def _match(self, files: Sequence[Entry], groups: Sequence[Group]) -> None:
        match(self._lake.store, self._lake.pool, self._keeper, files, groups, self._note_due)

    def _note_due(self, hours: set[str]) -> None:
        self._states.add_due(hours)
        self._states.keep_head()

    def _due(self) -> list[str]:
        """The newest first. Those of older dates stay due until they are read: the next round does not list them."""
        changed = {hour for hour in self._found.predictions if self._is_changed(hour)}
        self._states.add_due({hour for hour in changed if hour < self._recent})
        due = changed | set(self._states.head.due)
        return sorted((hour for hour in due if self._is_rested(self._states.hour(hour))), reverse=True)

    def _is_changed(self, hour: str) -> bool:
        state = self._states.hour(hour)
        return state.files != _digest(self._found.of(hour)) or state.subjects != self._subjects(state.digests)

    def _measures_changed(self) -> bool:
        """A reference came, or wishes changed."""
        return any(self._subjects([digest]) != known for digest, known in self._states.head.subjects.items())

    def _subjects(self, digests: Sequence[str]) -> str:
        """What would be measured now of these versions."""
        for digest in digests:
            if digest not in self._identities:
                self._identities[digest] = self._subject_of(digest).identity
        return ",".join(self._identities[digest] for digest in digests)

    def _is_rested(self, state: HourState) -> bool:
        return self._now.timestamp() - state.read_at >= _PATIENCE * state.cost_seconds

    def _prepare(self, due: Sequence[str]) -> tuple[list[str], list[str]]:
        """Hours that can be read now, and those that wait. Of hours whose rows changed the keys are learned, as many as
        memory has room for, and all labels since are matched with them: those that were read before the hour was."""
        ready: list[str] = []
        fresh: list[str] = []
        keys = looked = 0
        while looked < len(due) and keys < self._lake.most_keys:
            hour = due[looked]
            looked += 1
            self._found.list(hour[:10])
            if hour not in self._found.predictions:
                self._forget(hour)
                continue
            ready.append(hour)
            if self._states.hour(hour).files == _digest(self._found.of(hour)):
                continue
            try:
                if self._learns_keys(hour):
                    fresh.append(hour)
            except FileNotFoundError:
                continue  # reading it finds the same
            except (pa.ArrowException, OSError) as error:
                self._pass_over(hour, error)
                ready.pop()
                continue
            keys += len(self._kinds[hour].keys)
        if fresh:
            self._match_fresh(fresh)
        return ready, list(due[looked:])

    def _learns_keys(self, hour: str) -> bool:
        """Whether it has keys that it did not have when it was read last. Of rows that were erased since, nothing stays."""
        self._kinds[hour] = learned = kinds(self._source(self._found.predictions[hour]), self._lake.pool)
        kept = self._keeper.keys(hour)
        before = kept if self._states.hour(hour).keys == _keys_digest(kept) else _NO_KEYS
        if not np.array_equal(kept, learned.keys):
            self._keeper.keep_keys(hour, learned.keys)
        labels = self._keeper.labels(hour)
        if len(labels) and len(of_keys := labels.of(learned.keys)) < len(labels):
            self._keeper.keep_labels(hour, of_keys)
        return not np.isin(learned.keys, before).all()

    def _match_fresh(self, fresh: Sequence[str]) -> None:
        """All labels since the first of these hours."""
        first = hour_name(datetime.fromisoformat(f"{min(fresh)}:00:00+00:00") - _LABEL_SLACK)
        for date in self._found.with_labels:
            if date >= first[:10]:
                self._found.list(date)
        self._match([one for one in self._found.labels.values() if _hour_of(one) >= first], [Group("", fresh)])

    def _is_read(self, hour: str) -> bool:
        try:
            self._read(hour)
        except FileNotFoundError:
            logger.info("%s/%s: files of %s were compacted meanwhile", self._namespace, self._name, hour)
        except (pa.ArrowException, OSError) as error:
            self._pass_over(hour, error)
        else:
            return True
        return False

    def _pass_over(self, hour: str, error: Exception) -> None:
        """One hour that cannot be read keeps no other from being read; it is tried again after a while."""
        logger.error("%s/%s: %s cannot be read: %s", self._namespace, self._name, hour, error)
        self.troubles.append(f"the rows of {hour}:00 UTC cannot be read: {str(error).splitlines()[0]}")
        state = self._states.hour(hour)
        state.read_at, state.cost_seconds = self._now.timestamp(), _TRY_AGAIN_SECONDS / _PATIENCE

    def _read(self, hour: str) -> None:
        started = time.monotonic()
        source = self._source(self._found.predictions[hour], self._found.shadows.get(hour, ()))
        found_kinds = self._kinds.pop(hour, None) or kinds(source, self._lake.pool)
        arms = summaries(source, found_kinds, self._subject_of, self._keeper.labels(hour), self._lake.pool)
        state = self._states.hour(hour)
        state.digests = sorted({one.arm.digest for one in arms})
        state.subjects = self._subjects(state.digests)
        self._states.put_summary(hour, self._keeper.keep_summary(hour, arms, state.subjects))
        self._states.put_read(hour, {digest: self._subjects([digest]) for digest in state.digests})
        state.files, state.keys = _digest(self._found.of(hour)), _keys_digest(found_kinds.keys)
        state.read_at = time.time()
        state.cost_seconds = time.monotonic() - started

    def _source(self, paths: Sequence[str], shadows: Sequence[str] = ()) -> Source:
        once = len(paths) == 1 and is_merged(paths[0])  # compaction leaves each event once
        return Source(self._local(paths), self._local(shadows), once)

    def _local(self, paths: Sequence[str]) -> list[Path]:
        return [self._lake.store.local(path) for path in paths]


def _hour_of(entry: Entry) -> str:
    hour = hour_of_path(entry.path)
    return hour_name(hour or datetime.min.replace(tzinfo=UTC))


def _keys_digest(keys: Hashes) -> str:
    return hashlib.blake2b(keys.tobytes(), digest_size=12).hexdigest()


def _digest(paths: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(sorted(paths)).encode()).hexdigest()[:24]
