"""One file takes the place of others, at any instant of a crash: no row is lost, and none stays twice.

1. An intent says which new file will replace which old ones. 2. The new file is created, whole and durable. 3. After a
while, in which readers that listed the old ones finish, they are deleted. 4. The intent is deleted. Whoever reads the
lake's files by `reading` leaves out an old file once its new one is there; other readers see its rows twice for that while.
A crash before 2 leaves the old files as they were, one after 2 is finished by the next `finish`.

    .podium/replacing/predictions/namespace=shop/deployment=churn/date=2026-11-21/<unique>.json
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from podium_monitor.lake.store import Store

INTENTS = ".podium/replacing"
_NEVER_MADE = timedelta(minutes=30)
"""A new file that is not there after so long was never made: its maker is gone."""


class Intent(msgspec.Struct, frozen=True):
    """`new` replaces `old`; an empty `new`: nothing does, for no row is left."""

    new: str
    old: list[str]
    at: datetime


@dataclass(frozen=True, slots=True)
class Replaced:
    """What `finish` did and left."""

    deleted: int
    waiting: int


def intent_path(new_name: str, folder: str) -> str:
    """`folder`: of an hour. Intents of a day lie together: a reader asks for days."""
    return f"{INTENTS}/{folder.rpartition('/')[0]}/{new_name.removesuffix('.parquet')}.json"


def replace_files(store: Store, folder: str, name: str, content: bytes | None, old: Sequence[str], now: datetime) -> None:
    """`folder`/`name` with `content` (None: nothing) takes the place of the files `old`, which `finish` deletes later."""
    intent = Intent("" if content is None else f"{folder}/{name}", list(old), now)
    store.create(intent_path(name, folder), msgspec.json.encode(intent))
    if content is not None:
        store.create(intent.new, content)


def intents(store: Store, folder: str = "") -> list[tuple[str, Intent]]:
    """(path, intent) of those below `folder`: a table, a deployment or a date."""
    found: list[tuple[str, Intent]] = []
    for entry in store.list(f"{INTENTS}/{folder}".rstrip("/")):
        try:
            found.append((entry.path, msgspec.json.decode(store.read(entry.path), type=Intent)))
        except FileNotFoundError:
            continue  # finished meanwhile
    return found


def superseded(found: Iterable[Intent], paths: Iterable[str]) -> set[str]:
    """Of `paths`, which were listed after the intents: the old files whose rows are in another file of `paths`."""
    there = set(paths)
    return {old for intent in found if not intent.new or intent.new in there for old in intent.old}


def finish(store: Store, now: datetime, readers: timedelta) -> Replaced:
    """Deletes old files that were replaced more than `readers` ago: so long they stay for those who read them.

    The oldest intent first, and none before all older ones are finished: a new file may be another intent's old one, and
    while it is there it is the proof that what it replaced may go.
    """
    deleted = waiting = 0
    for path, intent in sorted(intents(store), key=lambda found: found[1].at):
        if intent.new and not _is_there(store, intent.new):
            if now - intent.at > _NEVER_MADE:
                store.delete(path)
            continue
        if now - intent.at <= readers:
            waiting += len(intent.old)
            continue
        for old in intent.old:
            store.delete(old)
        store.delete(path)
        deleted += len(intent.old)
    return Replaced(deleted, waiting)


def _is_there(store: Store, path: str) -> bool:
    return any(entry.path == path for entry in store.list(path.rpartition("/")[0]))
