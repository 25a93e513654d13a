"""Keeps the lake in order beside the ingest: one thread of low priority, one piece of work after the other.

Compaction, retention and erasure are of this thread alone. Where several collectors write to one bucket, the one that
holds the lease does it. Whatever fails is logged, counted and tried again with the next pass: nothing of it is kept in
memory only.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pyarrow as pa
from prometheus_client import CollectorRegistry, Counter, Gauge

from podium_monitor.lake.compaction import Policy
from podium_monitor.lake.erasing import Aliases, Eraser
from podium_monitor.lake.erasure import Times, advance, erasures
from podium_monitor.lake.lease import Lease
from podium_monitor.lake.replacing import finish
from podium_monitor.lake.retention import Retention
from podium_monitor.lake.store import FolderStore, Store
from podium_monitor.lake.tables import Table
from podium_monitor.lake.upkeep import Seen, compact, delete_expired, look

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

_NICE = 10
_NEWEST_DATES = 4
"""Events are filed at most two days back and an hour ahead: older dates change only by erasure."""


@dataclass(frozen=True)
class Pace:
    """When what is done."""

    pass_seconds: float = 60.0
    bucket_pass_seconds: float = 600.0
    """A bucket bills each listing."""
    lease_seconds: float = 60.0
    """After the collector that kept the lake in order died, another does within this."""
    whole_seconds: float = 6 * 3600.0
    """Between looks through all dates, and between retentions. The first come sooner, each after twice the time: what the
    metrics say of a new lake's size is not of its first second for hours."""
    readers: timedelta = timedelta(minutes=5)
    """So long a file that was replaced stays for those who read it."""
    policy: Policy = field(default_factory=Policy)
    erasure: Times = field(default_factory=Times)


class MaintenanceMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        self.files = Gauge("podium_monitor_lake_files", "Files in the lake.", ["table"], registry=registry)
        self.bytes = Gauge("podium_monitor_lake_bytes", "Size of these files.", ["table"], registry=registry)
        self.backlog = Gauge(
            "podium_monitor_compaction_backlog_files", "Small files that are due to become one.", registry=registry
        )
        self.compacted = Counter("podium_monitor_compacted_files", "Small files that became one.", registry=registry)
        self.waiting = Gauge(
            "podium_monitor_replaced_files", "Files that were replaced and wait for their readers.", registry=registry
        )
        self.expired = Counter(
            "podium_monitor_expired_files", "Files deleted because their time was over.", registry=registry
        )
        self.erasures = Gauge("podium_monitor_erasures", "Erasures that are not done.", registry=registry)
        self.erased = Counter("podium_monitor_erased_rows", "Rows that were erased by id.", registry=registry)
        self.failures = Counter(
            "podium_monitor_maintenance_failures", "Pieces of work that failed and are tried again.", registry=registry
        )
        self.leading = Gauge(
            "podium_monitor_maintenance_leading", "1: this collector keeps the lake in order.", registry=registry
        )


class Maintenance:
    def __init__(
        self,
        store: Store,
        registry: CollectorRegistry,
        retention: Retention,
        pace: Pace,
        aliases: Aliases,
    ) -> None:
        self._store = store
        self._lease = None if isinstance(store, FolderStore) else Lease(store, pace.lease_seconds)  # a folder is locked
        self._retention = retention
        self._pace = pace
        self._aliases = aliases
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._whole_at: float | None = None
        self._whole_pause = min(pace.pass_seconds, pace.whole_seconds)
        self.metrics = MaintenanceMetrics(registry)

    def stop(self) -> None:
        """`run` returns after the piece of work that it is at."""
        self._stopping.set()
        self._wake.set()

    def wake(self) -> None:
        """There is something to do."""
        self._wake.set()

    def run(self) -> None:
        """Passes until `stop`. Blocks."""
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)  # on Linux: of this thread
        pause = self._pace.pass_seconds if isinstance(self._store, FolderStore) else self._pace.bucket_pass_seconds
        while not self._stopping.is_set():
            self._wake.clear()
            self._pass()
            self._wake.wait(pause)

    def _may_go_on(self) -> bool:
        return not self._stopping.is_set() and (self._lease is None or self._lease.hold())

    def _pass(self) -> None:
        whole = self._whole_at is None or time.monotonic() - self._whole_at > self._whole_pause
        leading = self._tried(self._may_go_on)
        self.metrics.leading.set(bool(leading))
        if not leading:
            return
        self._tried(self._finish)
        self._tried(self._erase)
        if whole:
            self._tried(self._expire)
        self._tried(lambda: self._compact(whole))
        if whole:
            self._whole_at = time.monotonic()
            self._whole_pause = min(2 * self._whole_pause, self._pace.whole_seconds)

    def _tried(self, piece: Callable[[], _T]) -> _T | None:
        """What it returns. None if it failed: a piece that fails must not keep the others from their work."""
        try:
            return piece()
        except Exception:
            logger.exception("a piece of the lake's maintenance ended early and is tried again")
            self.metrics.failures.inc()
            return None

    def _finish(self) -> None:
        self.metrics.waiting.set(finish(self._store, datetime.now(UTC), self._pace.readers).waiting)

    def _expire(self) -> None:
        self.metrics.expired.inc(delete_expired(self._store, datetime.now(UTC), self._retention))

    def _erase(self) -> None:
        active = erasures(self._store)
        self.metrics.erasures.set(len(active))
        for wanted in active:
            if not self._may_go_on():
                return
            before = sum(wanted.rows.values())
            eraser = Eraser(self._store, wanted, self._aliases, self._may_go_on)
            after = advance(self._store, wanted, datetime.now(UTC), eraser.erase, self._pace.erasure)
            self.metrics.erased.inc(max(0, sum(after.rows.values()) - before))
            if after.state != wanted.state:
                logger.info("erasure %s is %s: %s rows", after.id, after.state, after.rows)

    def _compact(self, whole: bool) -> None:
        now = datetime.now(UTC)
        seen = look(self._store, now, self._pace.policy, None if whole else _NEWEST_DATES)
        if whole:
            self._count(seen)
        left = seen.backlog
        for job in seen.jobs:
            self.metrics.backlog.set(left)
            if not self._may_go_on():
                return
            self.metrics.compacted.inc(compact(self._store, job, datetime.now(UTC), self._may_go_on))
            pa.default_memory_pool().release_unused()  # Arrow would keep it for a next time that is an hour away
            left -= len(job.entries)
        self.metrics.backlog.set(left)

    def _count(self, seen: Seen) -> None:
        tables: list[Table] = list(seen.files)
        for table in tables:
            self.metrics.files.labels(table).set(seen.files[table])
            self.metrics.bytes.labels(table).set(seen.bytes[table])
