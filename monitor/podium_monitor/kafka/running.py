"""Source and sinks beside the collector: started when the lake is open, stopped so that nothing durable is read again.

librdkafka comes with them, and only then: a collector without Kafka does not hold its 15 MB.
"""

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from podium_monitor.committer import Committed, Committer
from podium_monitor.kafka.metrics import KafkaMetrics
from podium_monitor.kafka.outbox import Outboxes
from podium_monitor.kafka.settings import KafkaSettings
from podium_monitor.lake.store import Store
from podium_monitor.lake.tables import Rows
from podium_monitor.settings import Limits

if TYPE_CHECKING:
    from podium_monitor.kafka.sink import Sink
    from podium_monitor.kafka.source import Source

_SOURCE_ENDS_SECONDS = 8.0
_SINKS_END_SECONDS = 3.0


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
        self._sinks: list[Sink] = []
        self._threads: dict[Source | Sink, threading.Thread] = {}
        self.outboxes = Outboxes(store, settings.sinks)
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
            self._run(self._source, "kafka-source")
        for outbox in self.outboxes.each:
            self._sinks.append(Sink(self._settings, self._store, outbox, self._metrics))
            self._run(self._sinks[-1], f"kafka-sink-{outbox.topic.topic}")

    def _run(self, work: "Source | Sink", name: str) -> None:
        self._threads[work] = threading.Thread(target=work.run, name=name, daemon=True)
        self._threads[work].start()

    async def stop_source(self) -> None:
        """Before the committer stops: what is under way becomes durable, and its offsets are committed."""
        if self._source is not None:
            self._source.stop()
            await asyncio.to_thread(self._threads[self._source].join, _SOURCE_ENDS_SECONDS)

    async def stop_sinks(self) -> None:
        """What is not published by then is published after the next start."""
        for sink in self._sinks:
            sink.stop()
        ends = time.monotonic() + _SINKS_END_SECONDS
        for sink in self._sinks:
            await asyncio.to_thread(self._threads[sink].join, max(0.0, ends - time.monotonic()))

    def state(self) -> dict[str, str]:
        """For whoever asks whether the collector is ready: HTTP goes on whatever this says. Sinks are one here, because
        anybody may ask; the metrics tell them apart."""
        found = {"source": _state([self._source])} if self._source is not None else {}
        return found | ({"sink": _state(self._sinks)} if self._sinks else {})


def _state(works: "Sequence[Source | Sink]") -> str:
    """Without the reason, which names addresses: the log has it."""
    return "Connected" if all(work.link.connected for work in works) else "Disconnected"
