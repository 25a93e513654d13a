"""Source and sink beside the collector: started when the lake is open, stopped so that nothing durable is read again.

librdkafka comes with them, and only then: a collector without Kafka does not hold its 15 MB.
"""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from podium_monitor.committer import Committed, Committer
from podium_monitor.kafka.metrics import KafkaMetrics
from podium_monitor.kafka.outbox import Outbox
from podium_monitor.kafka.settings import KafkaSettings
from podium_monitor.lake.store import Store
from podium_monitor.lake.tables import Rows
from podium_monitor.settings import Limits

if TYPE_CHECKING:
    from podium_monitor.kafka.sink import Sink
    from podium_monitor.kafka.source import Source

_SOURCE_ENDS_SECONDS = 8.0
_SINK_ENDS_SECONDS = 3.0


class Kafka:
    def __init__(
        self,
        settings: KafkaSettings,
        member: str,
        collector_key: bytes,
        limits: Limits,
        store: Store,
        registry: CollectorRegistry,
    ) -> None:
        """`member`: this collector's name in the consumer group, the same after a restart."""
        self._settings = settings
        self._member = member
        self._key = collector_key
        self._limits = limits
        self._store = store
        self._metrics = KafkaMetrics(registry)
        self._source: Source | None = None
        self._sink: Sink | None = None
        self._threads: dict[str, threading.Thread] = {}
        self.outbox = Outbox(store, settings.sinks) if settings.sinks else None
        """Where the committer notes what it is about to write."""

    def start(self, committer: Committer) -> None:
        """Once the lake is open, in the committer's loop."""
        from podium_monitor.kafka.sink import Sink
        from podium_monitor.kafka.source import Source

        loop = asyncio.get_running_loop()

        def submit(batch: Sequence[Rows], size: int) -> "Future[Committed]":
            return asyncio.run_coroutine_threadsafe(committer.commit(batch, size), loop)

        if self._settings.sources:
            self._source = Source(self._settings, self._member, self._key, self._limits, submit, self._metrics)
            self._run("source", self._source)
        if self.outbox is not None:
            self._sink = Sink(self._settings, self._store, self.outbox, self._metrics)
            self._run("sink", self._sink)

    def _run(self, name: str, work: "Source | Sink") -> None:
        self._threads[name] = threading.Thread(target=work.run, name=f"kafka-{name}", daemon=True)
        self._threads[name].start()

    async def stop_source(self) -> None:
        """Before the committer stops: what is under way becomes durable, and its offsets are committed."""
        if self._source is not None:
            self._source.stop()
            await asyncio.to_thread(self._threads["source"].join, _SOURCE_ENDS_SECONDS)

    async def stop_sink(self) -> None:
        """What is not published by then is published after the next start."""
        if self._sink is not None:
            self._sink.stop()
            await asyncio.to_thread(self._threads["sink"].join, _SINK_ENDS_SECONDS)

    def state(self) -> dict[str, str]:
        """For whoever asks whether the collector is ready: HTTP goes on whatever this says."""
        works = {"source": self._source, "sink": self._sink}
        return {name: work.link.state() for name, work in works.items() if work is not None}
