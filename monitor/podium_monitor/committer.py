"""Group commit: batches that arrive together become durable together, and each is acknowledged only then.

One commit at a time, in a thread. Which events are known is asked and written there only, so two copies of a batch that
arrive together are written once, and the second is acknowledged after the first is durable.
"""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import compress, islice

from podium_crds.shares import Shares
from podium_monitor.kafka.outbox import Outboxes, part_of
from podium_monitor.known import KnownEvents, keys_of
from podium_monitor.lake.tables import Place, Rows, joined
from podium_monitor.lake.writer import Lake, name_for
from podium_monitor.metrics import Metrics
from podium_monitor.settings import Limits

logger = logging.getLogger(__name__)


class Full(Exception):
    """So much waits to become durable, in all or of this deployment, that no more of it is taken."""


@dataclass(frozen=True, slots=True)
class Committed:
    accepted: int
    duplicates: int


@dataclass(slots=True)
class _Pending:
    batch: Sequence[Rows]
    size: int
    done: asyncio.Future[Committed]
    since: float
    fresh: int = 0

    @property
    def whose(self) -> tuple[str, str] | None:
        """The deployment. None: the batch is empty."""
        return (self.batch[0].place.namespace, self.batch[0].place.deployment) if self.batch else None

    @property
    def rows(self) -> int:
        return sum(len(rows) for rows in self.batch)


@dataclass(frozen=True, slots=True)
class _File:
    """What one place gets of a group."""

    rows: Rows
    name: str
    keys: list[bytes]


class Committer:
    def __init__(
        self, lake: Lake, known: KnownEvents, limits: Limits, metrics: Metrics, outboxes: Outboxes | None = None
    ) -> None:
        self._lake = lake
        self._known = known
        self._limits = limits
        self._metrics = metrics
        self._outboxes = outboxes
        self._pending: list[_Pending] = []
        self._waiting = Shares(limits.max_pending_bytes)
        self._arrived = asyncio.Event()
        self._stopping = asyncio.Event()
        self._writing_since: float | None = None
        self._writing_oldest: float | None = None

    async def commit(self, batch: Sequence[Rows], size: int) -> Committed:
        """Returns when all rows are durable. Raises Full, or OSError when they could not be written.

        `size`: bytes that the batch takes in memory, about.
        A caller that is cancelled leaves its rows: they are written, and known when they come again.
        """
        pending = _Pending(batch, size, asyncio.get_running_loop().create_future(), time.monotonic())
        if self._stopping.is_set() or not self.has_room(pending.whose, size):
            raise Full
        self._waiting.take(pending.whose, size)
        self._pending.append(pending)
        self._metrics.pending_bytes.set(self._waiting.held)
        self._arrived.set()
        return await asyncio.shield(pending.done)

    def has_room(self, deployment: tuple[str, str] | None, size: int) -> bool:
        """Whether so many bytes more of this deployment (namespace, name) may wait. Asked before a body is read, too."""
        if self._waiting.has_room(deployment, size):
            return True
        self._metrics.turned_away.labels("Waiting", *(deployment or ("", ""))).inc()
        return False

    def oldest_seconds(self) -> float:
        """How long the batch waits that has waited longest for its acknowledgement."""
        oldest = self._writing_oldest if self._writing_oldest is not None else next((p.since for p in self._pending), None)
        return 0.0 if oldest is None else time.monotonic() - oldest

    def is_stuck(self, seconds: float) -> bool:
        """A commit runs since more than `seconds`: the disk hangs."""
        return self._writing_since is not None and time.monotonic() - self._writing_since > seconds

    async def run(self) -> None:
        """Commits until `stop`, and then what is still pending."""
        while True:
            await self._arrived.wait()
            if not self._pending:
                return
            await self._linger()
            group, self._pending = self._pending, []
            if not self._stopping.is_set():
                self._arrived.clear()
            await self._commit_group(group)

    async def _linger(self) -> None:
        if sum(pending.rows for pending in self._pending) >= self._limits.commit_rows:
            return
        try:
            await asyncio.wait_for(self._stopping.wait(), self._limits.linger_seconds)
        except TimeoutError:
            return

    async def _commit_group(self, group: list[_Pending]) -> None:
        started = self._writing_since = time.monotonic()
        self._writing_oldest = group[0].since
        failure: Exception | None = None
        try:
            await asyncio.to_thread(self._write, group)
        except Exception as error:  # every sender of the group must be told, whatever it is
            logger.exception("captured predictions cannot be written")
            failure = error
        self._writing_since = self._writing_oldest = None
        self._metrics.commit_seconds.observe(time.monotonic() - started)
        for pending in group:
            self._waiting.give_back(pending.whose, pending.size)
            self._settle(pending, failure)
        self._metrics.pending_bytes.set(self._waiting.held)

    def _settle(self, pending: _Pending, failure: Exception | None) -> None:
        if failure is not None:
            pending.done.set_exception(failure)
            pending.done.exception()  # a caller that left will not look at it
            return
        committed = Committed(pending.fresh, pending.rows - pending.fresh)
        if pending.batch:
            self._metrics.committed(pending.batch[0].place.table, committed.accepted, committed.duplicates)
        pending.done.set_result(committed)

    def _write(self, group: list[_Pending]) -> None:
        """In a thread. Files that are durable before a later one fails are known: only the rest is written again."""
        places: dict[Place, list[tuple[_Pending, Rows]]] = {}
        for pending in group:
            pending.fresh = 0
            for rows in pending.batch:
                places.setdefault(rows.place, []).append((pending, rows))
        taken: set[bytes] = set()
        new = [file for place, parts in places.items() for file in self._files(place, parts, taken)]
        with self._noted(new):
            for file in new:
                self._lake.write(file.rows, file.name)
                self._known.add(file.keys, time.monotonic())
                self._metrics.files.inc()

    def _files(self, place: Place, parts: Sequence[tuple[_Pending, Rows]], taken: set[bytes]) -> list[_File]:
        """Of the rows that are neither known nor among `taken`, to which their keys are added."""
        keys: list[bytes] = []
        fresh: list[Rows] = []
        for pending, rows in parts:
            theirs = keys_of(place.event_scope, rows.event_ids)
            seen = self._known.among(set(theirs))
            chosen = [not (key in seen or key in taken or taken.add(key)) for key in theirs]  # type: ignore[func-returns-value]
            new = rows.where(chosen)
            keys += compress(theirs, chosen)
            pending.fresh += len(new)
            if len(new):
                fresh.append(new)
        left = iter(keys)
        return [_File(rows, name_for(rows), list(islice(left, len(rows)))) for rows in joined(place, fresh)]

    @contextmanager
    def _noted(self, new: Sequence[_File]) -> Iterator[None]:
        """The outboxes know of the files before they are made, and may publish them when they are."""
        if self._outboxes is None:
            yield
            return
        wanted = [file for file in new if self._outboxes.wants(file.rows.place)]
        noted = self._outboxes.note([(file.rows.place, part_of(file.rows, file.name)) for file in wanted])
        try:
            yield
        finally:
            self._outboxes.written(noted)

    def stop(self) -> None:
        """Takes nothing more; `run` returns after the last commit."""
        self._stopping.set()
        self._arrived.set()
