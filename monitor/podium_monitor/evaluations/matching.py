"""Labels find the hours that they are about: by the hashes of the join keys that each hour has.

Recent hours are looked at one by one. The keys of older ones lie together by week (those of the newest older dates by
date), so that a label that is months late is looked for in a few files, however long the history.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
import numpy.typing as npt

from podium_monitor.evaluations.hashing import Hashes
from podium_monitor.evaluations.keeping import JoinedKeys, Keeper, week_of
from podium_monitor.evaluations.labelled import Labels, newest
from podium_monitor.lake.store import Entry, Store

_DATE = itemgetter(slice(len("2026-11-21")))
"""Of an hour."""
_LABEL_BYTES = 64 * 1024 * 1024
"""Label files that are matched at a time."""
MOST_KEYS = 16_000_000
"""Of hours that are matched at once: 160 MB."""
_MOST_JOINED = 4_000_000
"""Of hours whose keys are kept together: 40 MB. More are read hour by hour."""


@dataclass(frozen=True)
class Group:
    """Hours that are looked at together."""

    name: str
    """Under which their keys are kept together. Empty: they are not, for they change."""
    hours: Sequence[str]


def older_groups(hours: Sequence[str], recent: str) -> list[Group]:
    """Of hours in order: by ISO week where no later hour can join it, else by date. `recent`: the first date that is not
    older."""
    open_week = week_of(recent)
    found: dict[str, list[str]] = {}
    for date, of_date in groupby(hours, _DATE):
        week = week_of(date)
        found.setdefault(date if week == open_week else week, []).extend(of_date)
    return [Group(name, of_group) for name, of_group in found.items()]


def split(joined: JoinedKeys, labels: Labels) -> Iterator[tuple[str, Labels]]:
    """Each hour that has a label's key, and its labels. One key may be of several hours."""
    wanted = labels.keys
    place = np.searchsorted(joined.keys, wanted)
    rows: list[npt.NDArray[np.int64]] = []
    hours: list[npt.NDArray[np.uint16]] = []
    row = np.arange(len(wanted))
    if not len(joined.keys) or not (joined.keys[np.minimum(place, len(joined.keys) - 1)] == wanted).any():
        return  # most groups, of most labels
    while len(row):
        there = place < len(joined.keys)
        there[there] = joined.keys[place[there]] == wanted[row[there]]
        row, place = row[there], place[there]
        rows.append(row)
        hours.append(joined.of[place])
        place = place + 1
    found, hour = np.concatenate([*rows, []]).astype(np.int64), np.concatenate([*hours, []]).astype(np.int64)
    for number in np.flatnonzero(np.bincount(hour)).tolist():
        chosen = np.zeros(len(wanted), dtype=bool)
        chosen[found[hour == number]] = True
        yield joined.hours[number], labels.rows(np.flatnonzero(chosen))


def match(
    store: Store,
    pool: Executor,
    keeper: Keeper,
    files: Sequence[Entry],
    groups: Sequence[Group],
    note: Callable[[set[str]], None],
) -> None:
    """Keeps the newest labels of the hours. `note` is told which hours get other labels before they have them: a crash
    between the two must not leave an hour with labels that nobody counts. Costs time by the labels and the groups."""
    for part in _parts(files) if groups else ():
        try:
            labels = newest([store.local(entry.path) for entry in part], pool)
        except FileNotFoundError:
            continue  # compacted away: its rows come with another file
        for group in groups:
            for joined in _joined(keeper, group):
                _put(keeper, split(joined, labels), note)


def _put(keeper: Keeper, found: Iterator[tuple[str, Labels]], note: Callable[[set[str]], None]) -> None:
    changed: dict[str, Labels] = {}
    for hour, labels in found:
        before = keeper.labels(hour)
        after = before.with_newer(labels)
        if not after.same_as(before):
            changed[hour] = after
    if changed:
        note(set(changed))
    for hour, after in changed.items():
        keeper.keep_labels(hour, after)


def _joined(keeper: Keeper, group: Group) -> Iterator[JoinedKeys]:
    if group.name:
        kept = keeper.joined_keys(group.name)
        if kept is not None and list(kept.hours) == list(group.hours):
            yield kept
            return
    for joined in _read(keeper, group.hours):
        if group.name and len(joined.hours) == len(group.hours) and len(joined.keys) <= _MOST_JOINED:
            keeper.keep_joined_keys(group.name, joined)
        yield joined


def _read(keeper: Keeper, hours: Sequence[str]) -> Iterator[JoinedKeys]:
    """Of bounded size each."""
    named: list[str] = []
    keys: list[Hashes] = []
    count = 0
    for hour in hours:
        named.append(hour)
        keys.append(keeper.keys(hour))
        count += len(keys[-1])
        if count > MOST_KEYS or len(named) == np.iinfo(np.uint16).max:
            yield _sorted(named, keys)
            named, keys, count = [], [], 0
    if named:
        yield _sorted(named, keys)


def _sorted(hours: Sequence[str], keys: Sequence[Hashes]) -> JoinedKeys:
    together = np.concatenate(keys)
    order = np.argsort(together, kind="stable")
    of = np.repeat(np.arange(len(hours), dtype=np.uint16), [len(one) for one in keys])[order]
    return JoinedKeys(hours, together[order], of)


def _parts(files: Sequence[Entry]) -> list[list[Entry]]:
    """Of bounded size each."""
    parts: list[list[Entry]] = []
    size = 0
    for entry in files:
        if not parts or size + entry.size > _LABEL_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(entry)
        size += entry.size
    return parts
