"""Which small files of an hour become one, and when. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from podium_monitor.lake.store import Entry
from podium_monitor.lake.tables import is_merged, received_at


@dataclass(frozen=True)
class Policy:
    small_bytes: int = 32 * 1024**2
    """A file of this size is left as it is."""

    target_bytes: int = 64 * 1024**2
    """Files are joined up to about this size: about a million rows of 30 features."""

    files_at_once: int = 1000

    settle: timedelta = timedelta(minutes=10)
    """After an hour's end its last rows come."""

    late: timedelta = timedelta(hours=1)
    """Rows that come after an hour was compacted wait for company so long: an hour is written anew once an hour at most."""

    late_files: int = 16
    """... or until there are so many files of them."""

    busy_files: int = 64
    """The hour that is running is compacted when so many files wait."""

    busy_age: timedelta = timedelta(minutes=1)
    """... that are older than this."""


def small(entries: Sequence[Entry], policy: Policy) -> list[Entry]:
    """The files that a complete compaction would join, oldest first."""
    return sorted((entry for entry in entries if entry.size < policy.small_bytes), key=lambda entry: entry.path)


def groups(entries: Sequence[Entry], hour: datetime, now: datetime, policy: Policy) -> list[list[Entry]]:
    """Of the files of one hour: those that become one now, group by group. Each has two at least."""
    if now < hour + timedelta(hours=1) + policy.settle:
        chosen = [entry for entry in small(entries, policy) if _is_settled(entry, now, policy)]
        return _grouped(chosen, policy) if len(chosen) >= policy.busy_files else []
    chosen = small(entries, policy)
    fresh = [entry for entry in chosen if not is_merged(entry.path)]
    if fresh and len(fresh) < len(entries) and len(fresh) < policy.late_files:
        oldest = min(received_at(entry.path) or hour for entry in fresh)
        if now - oldest < policy.late:
            return []
    return _grouped(chosen, policy)


def _is_settled(entry: Entry, now: datetime, policy: Policy) -> bool:
    received = received_at(entry.path)
    return not is_merged(entry.path) and received is not None and now - received > policy.busy_age


def _grouped(entries: Sequence[Entry], policy: Policy) -> list[list[Entry]]:
    found: list[list[Entry]] = []
    size = 0
    for entry in entries:
        if not found or size + entry.size > policy.target_bytes or len(found[-1]) == policy.files_at_once:
            found.append([])
            size = 0
        found[-1].append(entry)
        size += entry.size
    return [group for group in found if len(group) > 1]
