"""What runs behind the HTTP face: the lake is opened, its recent events are learned, then batches are committed."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from prometheus_client import CollectorRegistry

from podium_crds.capture import capture_source, capture_token, hash_key, hashed
from podium_monitor.committer import Committer
from podium_monitor.credentials import Source
from podium_monitor.doors import Lookups, Readings
from podium_monitor.kafka.running import Kafka
from podium_monitor.known import KnownEvents, keys_of
from podium_monitor.lake.lock import LakeInUse
from podium_monitor.lake.store import Store
from podium_monitor.lake.tables import Table
from podium_monitor.lake.writer import Lake
from podium_monitor.maintenance import Maintenance
from podium_monitor.metrics import Metrics
from podium_monitor.settings import Settings

logger = logging.getLogger(__name__)

_OPEN_AGAIN_SECONDS = 0.5
_UPKEEP_ENDS_SECONDS = 10.0
_DATES = 4
"""Of each deployment, looked through at the start: events are filed at most two days back and an hour ahead."""


class Collector:
    def __init__(self, settings: Settings, store: Store) -> None:
        self._limits = limits = settings.limits
        self._lake = Lake(store)
        self.store = store
        self._known = KnownEvents(limits.known_events, limits.known_seconds)
        self._opened = False
        self._task: asyncio.Task[None] | None = None
        self.metrics = Metrics()
        self.metrics.known_events.set_function(lambda: len(self._known))
        self.readings = Readings(self.metrics)
        self.lookups = Lookups(self.metrics)
        self.kafka = _kafka(settings, store, self.metrics.registry)
        outboxes = self.kafka.outboxes if self.kafka is not None else None
        self.committer = Committer(self._lake, self._known, limits, self.metrics, outboxes)
        self.metrics.oldest_seconds.set_function(self.committer.oldest_seconds)
        as_hashed = partial(_as_pods_hash, settings.collector_key)
        self.maintenance = Maintenance(store, self.metrics.registry, settings.retention, settings.pace, as_hashed)
        self._upkeep = threading.Thread(target=self.maintenance.run, name="maintenance", daemon=True)
        self._trouble = ""

    def is_ready(self) -> bool:
        return self._opened and self.is_working()

    def is_working(self) -> bool:
        """False when a defect ended the work: only a new process helps."""
        return self._task is not None and not self._task.done()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Opens the lake in the background: liveness can be asked meanwhile. On leaving, what is pending is written."""
        self._task = asyncio.create_task(self._work())
        try:
            yield
        finally:
            if self.kafka is not None:
                await self.kafka.stop_source()
            self.committer.stop()
            self.maintenance.stop()
            if not self._opened:
                self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            if self.kafka is not None:
                await self.kafka.stop_sinks()
            if self._upkeep.is_alive():
                await asyncio.to_thread(self._upkeep.join, _UPKEEP_ENDS_SECONDS)  # if not by then: it survives a crash
            self.lookups.close()
            self._lake.close()

    async def _work(self) -> None:
        await self._open()
        self._opened = True
        logger.info("the lake is open, %d recent events are known", len(self._known))
        self._upkeep.start()
        if self.kafka is not None:
            self.kafka.start(self.committer)
        await self.committer.run()

    async def _open(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._lake.open)
                await asyncio.to_thread(self._learn)
                return
            except (LakeInUse, OSError) as error:
                if str(error) != self._trouble:
                    logger.warning("waiting for the lake: %s", error)
                self._trouble = str(error)
            await asyncio.sleep(_OPEN_AGAIN_SECONDS)

    def _learn(self) -> None:
        """The newest files first; they are added oldest first, because that is how they are forgotten."""
        limits = self._limits
        recent = list(self._lake.recent_events(_DATES, limits.known_seconds, limits.known_events))
        for _, place, ids in reversed(recent):
            self._known.add(keys_of(place.event_scope, ids), time.monotonic())

    async def counts(self, source: Source) -> dict[str, int]:
        """Rows of a deployment in the lake. Raises Taken, OSError."""

        def counted() -> dict[str, int]:
            tables: tuple[Table, ...] = ("predictions", "shadows")
            return {table: self._lake.count(table, source.namespace, source.name) for table in tables}

        return await self.lookups.ask(source, counted)


def _kafka(settings: Settings, store: Store, registry: CollectorRegistry) -> Kafka | None:
    if settings.kafka is None:
        return None
    member = f"{socket.gethostname()}-{settings.port}"  # a pod of a StatefulSet keeps its name
    return Kafka(settings.kafka, member, settings.collector_key, settings.limits, store, registry)


def _as_pods_hash(collector_key: bytes, namespace: str, deployment: str, uid: str, key: str) -> str:
    """A join key as the pods of a deployment write it, if capture is told to hash it."""
    token = capture_token(collector_key, capture_source(namespace, deployment, uid))
    return hashed(hash_key(token), key.encode())
