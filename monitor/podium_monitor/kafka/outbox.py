"""What became durable and is not published yet: notes in the lake, so that a crash at any instant forgets none.

A commit is noted before its files are made: a note without files was never acknowledged, and files without a note cannot
be. The note goes once brokers confirmed all of its rows. While nothing can be published, many notes become one.

Each sink has notes of its own, so that none waits for another's topic, nor is told again what it has published.

    .podium/kafka/outbox/topic=<topic>/<time>-<unique>.json
"""

import re
import secrets
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import msgspec

from podium_monitor.kafka.topics import Topic
from podium_monitor.lake.store import FolderStore, Store
from podium_monitor.lake.tables import Place, Rows

FOLDER = ".podium/kafka/outbox"

_TIME = "%Y%m%dT%H%M%S%f"
_NAME = re.compile(r"(?P<time>\d{8}T\d{12})-[0-9a-f]{12}\.json")
_FOREIGN = timedelta(minutes=15)
"""In a bucket, a note of this age whose collector did not publish it is anybody's. No commit takes so long."""
_STAYS = "stays"
"""A file that keeps the folder from going with the last note: making it again costs each commit more than the note."""
_MANY = 1000
"""So many notes wait before they are joined, so many at a time."""


class Part(msgspec.Struct, frozen=True):
    """Rows of one file."""

    folder: str
    """Of the hour."""
    name: str
    """Empty: of several files, known by `first` and `last` alone."""
    first: datetime
    last: datetime
    """`received_at` of the rows."""
    rows: int


class Note(msgspec.Struct, frozen=True):
    """What one commit is about to add, or what several added."""

    parts: list[Part]
    at: datetime

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)


def part_of(rows: Rows, name: str) -> Part:
    received: list[datetime] = rows.columns["received_at"]
    return Part(rows.place.folder, name, min(received), max(received), len(rows))


class Outbox:
    """Of one sink. For two threads: one notes what it writes, one publishes. Whatever blocks may raise OSError."""

    def __init__(self, store: Store, topic: Topic) -> None:
        """`topic`: says what is to be published, and so noted."""
        self._store = store
        self.topic = topic
        self.folder = f"{FOLDER}/topic={topic.topic}"
        self._lock = threading.Lock()
        self._ready: deque[str] = deque()
        self._known: set[str] = set()
        """Ready, or being written."""
        self.arrived = threading.Event()

    def __len__(self) -> int:
        return len(self._ready)

    def wants(self, place: Place) -> bool:
        return self.topic.takes(place)

    def note(self, parts: Sequence[Part]) -> str:
        """Durable when it returns: the files may be made now. The name is for `written`."""
        now = datetime.now(UTC)
        name = _name(now)
        with self._lock:
            self._known.add(name)
        try:
            self._store.create(f"{self.folder}/{name}", msgspec.json.encode(Note(list(parts), now)))
        except BaseException:
            with self._lock:
                self._known.discard(name)
            raise
        return name

    def written(self, name: str) -> None:
        """The files of the note are made, or will not be."""
        with self._lock:
            self._ready.append(name)
        self.arrived.set()

    def adopt(self) -> None:
        """Finds notes that an earlier process left, and in a bucket those that another one does not publish.

        A folder's lock says that an earlier process is gone; for a bucket, age does.
        """
        with suppress(FileExistsError):
            self._store.create(f"{self.folder}/{_STAYS}", b"")
        before = None if isinstance(self._store, FolderStore) else f"{datetime.now(UTC) - _FOREIGN:{_TIME}}"
        for entry in self._store.list(self.folder):
            name = entry.path.rpartition("/")[2]
            found = _NAME.fullmatch(name)
            if found is None or (before is not None and found["time"] > before):
                continue
            with self._lock:
                if name not in self._known:
                    self._known.add(name)
                    self._ready.append(name)

    def oldest(self, notes: int, rows: int) -> dict[str, Note]:
        """By name: at most `notes` of them, and no more once they have `rows`."""
        with self._lock:
            names = [self._ready[index] for index in range(min(notes, len(self._ready)))]
        found: dict[str, Note] = {}
        left = rows
        for name in names:
            note = self._read(name)
            if note is None:
                self._forget([name])
                continue
            found[name] = note
            left -= note.rows
            if left <= 0:
                break
        return found

    def done(self, names: Iterable[str]) -> None:
        """All of their rows are confirmed."""
        for name in names:
            self._store.delete(f"{self.folder}/{name}")
            self._forget([name])

    def join(self) -> None:
        """Makes one note of the oldest where many wait. A crash in between leaves both: rows are published twice then."""
        if len(self._ready) < 2 * _MANY:
            return
        joined = self.oldest(_MANY, 2**63)
        if joined:
            self.written(self.note(_together(joined.values())))
            self.done(joined)

    def _read(self, name: str) -> Note | None:
        """None: another collector published it."""
        try:
            return msgspec.json.decode(self._store.read(f"{self.folder}/{name}"), type=Note)
        except FileNotFoundError:
            return None

    def _forget(self, names: Sequence[str]) -> None:
        with self._lock:
            gone = set(names)
            self._known -= gone
            while self._ready and self._ready[0] in gone:
                gone.discard(self._ready.popleft())
            for name in gone:
                if name in self._ready:
                    self._ready.remove(name)


class Outboxes:
    """Those of all sinks, as the committer needs them."""

    def __init__(self, store: Store, topics: Sequence[Topic]) -> None:
        self.each = [Outbox(store, topic) for topic in topics]

    def wants(self, place: Place) -> bool:
        return any(outbox.wants(place) for outbox in self.each)

    def note(self, parts: Sequence[tuple[Place, Part]]) -> list[tuple[Outbox, str]]:
        """Durable in all outboxes that want one of them, when it returns. What it returns is for `written`."""
        noted: list[tuple[Outbox, str]] = []
        try:
            for outbox in self.each:
                if wanted := [part for place, part in parts if outbox.wants(place)]:
                    noted.append((outbox, outbox.note(wanted)))
        except BaseException:
            self.written(noted)  # of files that will not be made
            raise
        return noted

    def written(self, noted: Sequence[tuple[Outbox, str]]) -> None:
        """The files of the notes are made, or will not be."""
        for outbox, name in noted:
            outbox.written(name)


def _name(at: datetime) -> str:
    return f"{at:{_TIME}}-{secrets.token_hex(6)}.json"


def _together(notes: Iterable[Note]) -> list[Part]:
    """One part per hour's folder."""
    found: dict[str, Part] = {}
    for note in notes:
        for part in note.parts:
            before = found.get(part.folder, part)
            rows = part.rows if before is part else before.rows + part.rows
            found[part.folder] = Part(part.folder, "", min(before.first, part.first), max(before.last, part.last), rows)
    return list(found.values())
