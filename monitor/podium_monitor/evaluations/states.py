"""What was read already of a deployment: a small head, and a state per date, so that a round reads and writes those dates
alone that it is about.

    evaluations/…/summaries/state                    the head: which hours have which summary, and what waits
    evaluations/…/summaries/date=2026-11-21/state    files and versions of its hours, and the date's label files

The head is written first. After a crash between the two an hour is read again, a label file matched again: to the same end.
A head that this Podium cannot read begins another life: what dates remember of a former one does not count.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime

import msgspec

from podium_monitor.lake.store import Store
from podium_monitor.lake.tables import value_of

FORMAT = 2
"""Of what is kept here. Another one is not read: all is computed again."""


class HourState(msgspec.Struct):
    """How an hour was read. Files are remembered by a digest of their names."""

    files: str = ""
    digests: list[str] = []
    """Of the versions that answered in it."""
    subjects: str = ""
    """Identity of what was measured of them."""
    read_at: float = 0.0
    """Unix time."""
    cost_seconds: float = 0.0
    keys: str = ""
    """Digest of the join keys that all labels were matched with."""


class DateState(msgspec.Struct):
    life: str
    hours: dict[str, HourState] = {}
    """By `13`."""
    labels: list[str] = []
    """Names of the label files of this date that were matched already."""


class Head(msgspec.Struct):
    format: int
    life: str
    hours: dict[str, list[int]] = {}
    """By date, a digest of each hour's summary; 0: it has none."""
    due: list[str] = []
    """Hours to be read, whatever their files say: labels came for them, or they are older than is listed each round."""
    pending: list[str] = []
    """Label files that older hours were not matched with yet."""
    subjects: dict[str, str] = {}
    """By digest of a version: the identity of what is measured of it."""
    listed_at: float = 0.0
    """When older dates had their turn, unix time."""
    turn: str = ""
    """The last of them that had."""


class States:
    """Of one deployment. Dates are read when they are first asked for. Blocking; for one thread."""

    def __init__(self, store: Store, folder: str) -> None:
        self._store, self._folder = store, folder
        self._kept: dict[str, bytes] = {}
        """As they lie in the store, by path."""
        self._dates: dict[str, DateState] = {}
        self.head = self._head()

    def _head(self) -> Head:
        try:
            found = msgspec.msgpack.decode(self._read(f"{self._folder}/state"), type=Head)
            if found.format == FORMAT:
                return found
        except msgspec.DecodeError:
            pass
        return Head(FORMAT, secrets.token_hex(8))

    @property
    def is_new(self) -> bool:
        return self.head.listed_at == 0.0

    def date(self, date: str) -> DateState:
        if date not in self._dates:
            self._dates[date] = self._date(date)
        return self._dates[date]

    def _date(self, date: str) -> DateState:
        try:
            found = msgspec.msgpack.decode(self._read(self._path(date)), type=DateState)
            if found.life == self.head.life:
                return found
        except msgspec.DecodeError:
            pass
        return DateState(self.head.life)

    def hour(self, hour: str) -> HourState:
        return self.date(hour[:10]).hours.setdefault(hour[11:], HourState())

    def summarized(self) -> list[str]:
        """The hours that have a summary, in order."""
        return [
            f"{date}T{clock:02}"
            for date, digests in sorted(self.head.hours.items())
            for clock, digest in enumerate(digests)
            if digest
        ]

    def is_summarized(self, hour: str) -> bool:
        return self.head.hours.get(hour[:10], [0] * 24)[int(hour[11:])] != 0

    def put_summary(self, hour: str, digest: int) -> None:
        """0: it has none."""
        digests = self.head.hours.setdefault(hour[:10], [0] * 24)
        digests[int(hour[11:])] = digest
        if not any(digests):
            del self.head.hours[hour[:10]]

    def known_hours(self, date: str) -> list[str]:
        """That have a summary, or a state."""
        summarized = (f"{clock:02}" for clock, digest in enumerate(self.head.hours.get(date, [])) if digest)
        return [f"{date}T{clock}" for clock in sorted({*self.date(date).hours, *summarized})]

    def kept_dates(self) -> list[str]:
        """That have a state in the store."""
        return [value_of(name) for name in self._store.folders(self._folder) if name.startswith("date=")]

    def put_read(self, hour: str, subjects: Mapping[str, str]) -> None:
        """`subjects`: identities of what was measured, by version."""
        self._put_done(hour)
        self.head.subjects = {**subjects, **self.head.subjects}

    def _put_done(self, hour: str) -> None:
        self.head.due = [one for one in self.head.due if one != hour]

    def forget(self, hour: str) -> None:
        self.put_summary(hour, 0)
        self.date(hour[:10]).hours.pop(hour[11:], None)
        self._put_done(hour)

    def add_due(self, hours: set[str]) -> None:
        self.head.due = sorted({*self.head.due, *hours})

    def keep_head(self) -> None:
        self._keep(f"{self._folder}/state", msgspec.msgpack.encode(self.head))

    def keep(self) -> None:
        """What changed."""
        self.keep_head()
        for date, state in self._dates.items():
            if state.hours or state.labels:
                self._keep(self._path(date), msgspec.msgpack.encode(state))
            elif self._kept.pop(self._path(date), None):
                self._store.delete(self._path(date))

    def _path(self, date: str) -> str:
        return f"{self._folder}/date={date}/state"

    def _read(self, path: str) -> bytes:
        try:
            self._kept[path] = self._store.read(path)
        except FileNotFoundError:
            return b""
        return self._kept[path]

    def _keep(self, path: str, content: bytes) -> None:
        if self._kept.get(path) != content:
            self._store.replace(path, content)
            self._kept[path] = content


def hour_name(hour: datetime) -> str:
    return f"{hour:%Y-%m-%dT%H}"
