"""The right to be forgotten: rows of given ids leave the lake, and a tombstone without the ids stays.

`erasures/active/<id>.json` until it is done, then `erasures/done/<id>.json`. It goes like this, and may crash anywhere:

1. All predictions are looked through: which rows have the ids? Their event ids and join keys are kept with the erasure.
2. Files with such rows are written anew without them: shadows and labels first, predictions last, so that a crash
   leaves what step 1 needs to find the rest.
3. Rows of the past that arrive later are looked for once more when no pod sends them any longer.
4. When the old files are gone for their last readers, only hashes of the ids and the numbers of rows are kept.

A row belongs to the past if it was predicted, or received, before the erasure was asked for.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import msgspec

from podium_monitor.lake.store import Store

Kind = Literal["join_keys", "request_ids", "event_ids"]
State = Literal["Pending", "Erased", "Done"]
"""Erased: no reader finds the rows any more; late ones are watched for. Done: no copy is left, nor a plain id."""

ACTIVE, DONE = "erasures/active", "erasures/done"


class Found(msgspec.Struct, frozen=True):
    """What leads to the rows that belong to the erased predictions of a deployment."""

    events: list[str] = []
    join_keys: list[str] = []
    """Those that only erased predictions have."""


class Erasure(msgspec.Struct, frozen=True):
    id: str
    kind: Kind
    hashes: list[str]
    """HMAC-SHA256 of each id, hexadecimal: whoever knows the id and the key can tell that it was erased."""
    requested_at: datetime
    requested_by: str = ""
    namespace: str = ""
    """Empty: all."""
    deployment: str = ""
    """Empty: all of the namespace."""
    state: State = "Pending"
    rows: dict[str, int] = {}
    """Erased so far, per table. At least once means: the copies that lay in the lake, so it may be more than the events."""
    erased_at: datetime | None = None
    swept_at: datetime | None = None
    """When rows that came late were looked for."""
    done_at: datetime | None = None
    ids: list[str] = []
    """Plain, as long as the erasure is active."""
    found: dict[str, Found] = {}
    """By deployment, `shop/churn`."""
    files: dict[str, int] = {}
    """Rows that go with each file that is written anew: kept before that, so that a crash does not change the count."""

    def is_of(self, namespace: str, deployment: str) -> bool:
        return self.namespace in ("", namespace) and self.deployment in ("", deployment)


@dataclass(frozen=True)
class Times:
    watch: timedelta = timedelta(hours=1)
    """How long a pod may still send rows of the past: as long as duplicates are known."""

    gone: timedelta = timedelta(minutes=20)
    """After a file was written anew the old one is deleted within this: its readers have finished, and a pass came."""


Erase = Callable[[datetime], Erasure | None]
"""Takes the rows out of the files, now, and returns the erasure with their numbers; None: it had to stop before the end."""


def erasures(store: Store) -> list[Erasure]:
    """The active ones, oldest first."""
    found = [_read(store, entry.path) for entry in store.list(ACTIVE)]
    return sorted((one for one in found if one is not None), key=lambda one: one.requested_at)


def erasure(store: Store, identity: str) -> Erasure | None:
    return _read(store, f"{ACTIVE}/{identity}.json") or _read(store, f"{DONE}/{identity}.json")


def _read(store: Store, path: str) -> Erasure | None:
    try:
        return msgspec.json.decode(store.read(path), type=Erasure)
    except FileNotFoundError:
        return None


def add(store: Store, wanted: Erasure) -> None:
    """Durable when it returns: it will be carried out, whatever happens."""
    store.create(f"{ACTIVE}/{wanted.id}.json", msgspec.json.encode(wanted))


def advance(store: Store, wanted: Erasure, now: datetime, erase: Erase, times: Times) -> Erasure:
    """Carries an erasure on as far as the time allows, and keeps how far it is. Returns it as it is now."""
    if wanted.state == "Pending":
        if (found := erase(now)) is None:
            return wanted
        return _kept(store, msgspec.structs.replace(found, state="Erased", erased_at=now))
    if wanted.swept_at is None:
        if now <= wanted.requested_at + times.watch or (found := erase(now)) is None:
            return wanted
        return _kept(store, msgspec.structs.replace(found, swept_at=now))
    if now <= wanted.swept_at + times.gone:
        return wanted
    done = msgspec.structs.replace(wanted, state="Done", done_at=now, ids=[], found={}, files={})
    store.replace(f"{DONE}/{done.id}.json", msgspec.json.encode(done))
    store.delete(f"{ACTIVE}/{done.id}.json")
    return done


def keep_found(store: Store, wanted: Erasure, deployment: str, found: Found) -> Erasure:
    """What was found is kept before a row goes: it leads to what belongs to it, also after a crash, also later."""
    before = wanted.found.get(deployment, Found())
    now = Found(sorted({*before.events, *found.events}), sorted({*before.join_keys, *found.join_keys}))
    return _kept(store, msgspec.structs.replace(wanted, found={**wanted.found, deployment: now}))


def keep_count(store: Store, wanted: Erasure, path: str, rows: int) -> Erasure:
    """Before the file is written anew without so many rows."""
    files = {**wanted.files, path: rows}
    of_tables = Counter[str]()
    for name, count in files.items():
        of_tables[name.partition("/")[0]] += count
    return _kept(store, msgspec.structs.replace(wanted, files=files, rows=dict(of_tables)))


def _kept(store: Store, state: Erasure) -> Erasure:
    store.replace(f"{ACTIVE}/{state.id}.json", msgspec.json.encode(state))
    return state
