"""Labels find the hours that they are about: by the hashes of the join keys that each hour has."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor

import numpy as np
import numpy.typing as npt

from podium_monitor.evaluations.hashing import Hashes
from podium_monitor.evaluations.keeping import Keeper
from podium_monitor.evaluations.labelled import Labels, newest
from podium_monitor.lake.store import Entry, Store

_LABEL_BYTES = 64 * 1024 * 1024
"""Label files that are matched at a time."""
MOST_KEYS = 16_000_000
"""Of hours that are matched at once: 160 MB."""


class _Keys:
    """Of several hours together, sorted."""

    def __init__(self, hours: Sequence[str], keys: Sequence[Hashes]) -> None:
        self._hours = hours
        together = np.concatenate(keys)
        order = np.argsort(together, kind="stable")
        self._keys = together[order]
        self._of = np.repeat(np.arange(len(hours), dtype=np.uint16), [len(one) for one in keys])[order]

    def split(self, labels: Labels) -> Iterator[tuple[str, Labels]]:
        """Each hour that has a label's key, and its labels. One key may be of several hours."""
        wanted = labels.keys
        place = np.searchsorted(self._keys, wanted)
        rows: list[npt.NDArray[np.int64]] = []
        hours: list[npt.NDArray[np.uint16]] = []
        row = np.arange(len(wanted))
        while len(row):
            there = place < len(self._keys)
            there[there] = self._keys[place[there]] == wanted[row[there]]
            row, place = row[there], place[there]
            rows.append(row)
            hours.append(self._of[place])
            place = place + 1
        found, hour = np.concatenate([*rows, []]).astype(np.int64), np.concatenate([*hours, []]).astype(np.int64)
        for number in np.flatnonzero(np.bincount(hour)).tolist():
            chosen = np.zeros(len(wanted), dtype=bool)
            chosen[found[hour == number]] = True
            yield self._hours[number], labels.rows(np.flatnonzero(chosen))


def match(store: Store, pool: Executor, keeper: Keeper, files: Sequence[Entry], hours: Sequence[str]) -> set[str]:
    """Keeps the newest labels of the hours. Those whose labels are others now. Costs time by the labels and the keys."""
    changed: set[str] = set()
    if not files:
        return changed
    for keys in _groups(keeper, hours):
        for part in _parts(files):
            try:
                paths = [store.local(entry.path) for entry in part]
            except FileNotFoundError:
                continue  # compacted away: its rows come with another file
            for hour, labels in keys.split(newest(paths, pool)):
                before = keeper.labels(hour)
                after = before.with_newer(labels)
                if not after.same_as(before):
                    keeper.keep_labels(hour, after)
                    changed.add(hour)
    return changed


def _groups(keeper: Keeper, hours: Sequence[str]) -> Iterator[_Keys]:
    named: list[str] = []
    keys: list[Hashes] = []
    for hour in hours:
        named.append(hour)
        keys.append(keeper.keys(hour))
        if sum(len(one) for one in keys) > MOST_KEYS or len(named) == np.iinfo(np.uint16).max:
            yield _Keys(named, keys)
            named, keys = [], []
    if named:
        yield _Keys(named, keys)


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
