"""Reads topics into the lake, in a thread of its own. An offset is committed when the rows before it are durable.

At least once: a crash in between brings the same records again, and their ids are known. While the lake is behind, the
partitions are paused: the group keeps its members, and memory holds one batch.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from datetime import UTC, datetime, timedelta
from typing import Any

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Consumer, KafkaError, Message, TopicPartition

from podium_monitor.committer import Committed
from podium_monitor.events import Clock
from podium_monitor.kafka.client import Link
from podium_monitor.kafka.dead_letters import DeadLetters
from podium_monitor.kafka.metrics import SOURCE, KafkaMetrics
from podium_monitor.kafka.records import Record
from podium_monitor.kafka.sessions import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Stopped, one_after_the_other
from podium_monitor.kafka.settings import KafkaSettings
from podium_monitor.kafka.taking import Rejected, taken
from podium_monitor.lake.tables import Rows
from podium_monitor.settings import Limits

logger = logging.getLogger(__name__)

_RECORDS_AT_ONCE = 20_000
_BYTES_AT_ONCE = 8 * 1024 * 1024
_CALL_RECORDS = 1000
_CALL_SECONDS = 0.1
_PAUSE_AFTER_SECONDS = 1.0
"""A commit usually takes less: pausing throws away what was fetched ahead."""
_LAG_SECONDS = 1.0
_SESSION_MILLISECONDS = 15_000
"""After a collector is gone for so long, others get its partitions."""
_ANSWER_SECONDS = 5.0
_ENDS_SECONDS = 5.0

Submit = Callable[[Sequence[Rows], int], "Future[Committed]"]
"""Hands rows to the committer: done when they are durable."""


class Source:
    def __init__(
        self,
        settings: KafkaSettings,
        member: str,
        collector_key: bytes,
        limits: Limits,
        submit: Submit,
        metrics: KafkaMetrics,
    ) -> None:
        """`member`: the same after a restart, and no other collector's."""
        self._settings = settings
        self._member = member
        self._topics = {topic.topic: topic for topic in settings.sources}
        self._key = collector_key
        self._limits = limits
        self._submit = submit
        self._metrics = metrics
        self._stopping = threading.Event()
        self._held: list[Message] = []
        """Fetched while the partitions were being paused: the next to be taken."""
        self._lag_at = 0.0
        self.link = Link(SOURCE)
        metrics.follow(SOURCE, lambda: self.link.connected, self.link.stalled_seconds)

    def stop(self) -> None:
        """`run` returns when what is under way is durable, within some seconds."""
        self._stopping.set()

    def run(self) -> None:
        """Reads until `stop`. Blocks."""
        one_after_the_other(self._session, SOURCE, self.link, self._metrics, self._stopping)

    def _session(self) -> None:
        """The life of one client, a member of the group."""
        consumer = Consumer(
            {
                **self.link.configuration(self._settings.access),
                "group.id": self._settings.group,
                "group.instance.id": self._member,  # a restart gets its partitions back at once
                "session.timeout.ms": _SESSION_MILLISECONDS,
                "auto.offset.reset": self._settings.start.lower(),
                "partition.assignment.strategy": "cooperative-sticky",
                "enable.auto.offset.store": False,  # by us, once rows are durable; librdkafka commits what is stored
                "auto.commit.interval.ms": 1000,
                "on_commit": self._committed,
                "queued.max.messages.kbytes": 16 * 1024,
                "fetch.max.bytes": 8 * 1024 * 1024,
            }
        )
        self._held = []
        try:
            consumer.list_topics(timeout=_ANSWER_SECONDS)
            self.link.answered()
            consumer.subscribe([*self._topics], on_revoke=self._revoked, on_lost=self._revoked)
            with DeadLetters(self._settings, self._metrics) as dead_letters:
                while not self._stopping.is_set():
                    self.link.check()
                    self._pass(consumer, dead_letters)
        finally:
            consumer.close()

    def _pass(self, consumer: Consumer, dead_letters: DeadLetters) -> None:
        messages = self._gathered(consumer)
        if messages:
            records = [_record(message) for message in messages]
            found = taken(records, self._topics, self._clock(), self._key)
            self._make_durable(consumer, [*found.events, *found.labels])
            while found.rejected and not dead_letters.put(found.rejected):
                self._stand_still(consumer, LONGEST_PAUSE_SECONDS)
            self._count(records, found.rejected)
            self._store_offsets(consumer, messages)
        if messages or self.link.connected:
            self.link.step()
        self._tell_lag(consumer)

    def _gathered(self, consumer: Consumer) -> list[Message]:
        """Until a call brings less than it may, or enough is there."""
        found, self._held = self._held, []
        size = sum(len(message) for message in found)
        while len(found) < _RECORDS_AT_ONCE and size < _BYTES_AT_ONCE:
            came = consumer.consume(_CALL_RECORDS, _CALL_SECONDS)
            good = self._without_errors(came)
            found += good
            size += sum(len(message) for message in good)
            if len(came) < _CALL_RECORDS:
                break
        return found

    def _without_errors(self, messages: Sequence[Message]) -> list[Message]:
        found: list[Message] = []
        for message in messages:
            error = message.error()
            if error is None:
                found.append(message)
            else:  # of a topic or a partition; others go on, and librdkafka tries again
                self._metrics.failures.labels(*SOURCE).inc()
                logger.warning("Kafka %s: %s: %s", SOURCE, message.topic(), error.str())
        return found

    def _make_durable(self, consumer: Consumer, rows: Sequence[Rows]) -> None:
        """Returns when all rows are in the lake, however often that is tried. Raises Stopped."""
        left = _batches(rows)
        pause = FIRST_PAUSE_SECONDS
        while True:
            futures = [(batch, self._submit(batch, sum(rows.size for rows in batch))) for batch in left]
            self._wait(consumer, [future for _, future in futures])
            failed = [(batch, error) for batch, future in futures if (error := future.exception()) is not None]
            if not failed:
                return
            left = [batch for batch, _ in failed]
            self._metrics.failures.labels(*SOURCE).inc()
            logger.warning("Kafka %s waits for the lake: %s", SOURCE, failed[0][1] or type(failed[0][1]).__name__)
            self._stand_still(consumer, pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _wait(self, consumer: Consumer, futures: Sequence["Future[Committed]"]) -> None:
        if not wait(futures, _PAUSE_AFTER_SECONDS).not_done:
            return
        ends: float | None = None
        while wait(futures, 0).not_done:
            self._poll_paused(consumer)
            if self._stopping.is_set():
                ends = ends or time.monotonic() + _ENDS_SECONDS
                if time.monotonic() > ends:
                    raise Stopped
        self._resume(consumer)

    def _stand_still(self, consumer: Consumer, seconds: float) -> None:
        """Raises Stopped."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if self._stopping.is_set():
                raise Stopped
            self._poll_paused(consumer)
        self._resume(consumer)

    def _poll_paused(self, consumer: Consumer) -> None:
        """Stays a member of the group without being handed more. What was on its way is held."""
        consumer.pause(consumer.assignment())  # partitions that come meanwhile too
        self._held += self._without_errors(consumer.consume(_CALL_RECORDS, _CALL_SECONDS))

    def _resume(self, consumer: Consumer) -> None:
        consumer.resume(consumer.assignment())

    def _count(self, records: Sequence[Record], rejected: Sequence[Rejected]) -> None:
        outcome = "DeadLettered" if self._settings.dead_letter_topic else "Skipped"
        refused = Counter(one.record.topic for one in rejected)
        for topic, count in Counter(record.topic for record in records).items():
            self._metrics.records.labels(topic, "Durable").inc(count - refused[topic])
            self._metrics.records.labels(topic, outcome).inc(refused[topic])

    def _store_offsets(self, consumer: Consumer, messages: Sequence[Message]) -> None:
        """What was taken away from us meanwhile is another's to commit: it reads these records again."""
        ours = {(one.topic, one.partition) for one in consumer.assignment()}
        last = {(message.topic(), message.partition()): message for message in messages}
        for place, message in last.items():
            if place in ours:
                consumer.store_offsets(message)

    def _tell_lag(self, consumer: Consumer) -> None:
        if time.monotonic() - self._lag_at < _LAG_SECONDS:
            return
        self._lag_at = time.monotonic()
        for one in consumer.position(consumer.assignment()):
            _, high = consumer.get_watermark_offsets(one, cached=True)
            if one.offset >= 0 and high >= 0:
                self._metrics.lag.labels(one.topic, str(one.partition)).set(max(0, high - one.offset))

    def _committed(self, error: KafkaError | None, _: list[TopicPartition]) -> None:
        if error is not None and error.code() != KafkaError._NO_OFFSET:
            self._metrics.failures.labels(*SOURCE).inc()
            logger.warning("Kafka %s: offsets are not committed: %s", SOURCE, error.str())

    def _revoked(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        for one in partitions:
            self._metrics.forget(one.topic, one.partition)

    def _clock(self) -> Clock:
        limits = self._limits
        return Clock(datetime.now(UTC), timedelta(seconds=limits.late_seconds), timedelta(seconds=limits.early_seconds))


def _batches(rows: Sequence[Rows]) -> list[list[Rows]]:
    """Of one table's kind and deployment each: the committer's shares are per deployment."""
    found: dict[tuple[bool, str, str], list[Rows]] = {}
    for one in rows:
        found.setdefault((one.place.table == "labels", one.place.namespace, one.place.deployment), []).append(one)
    return list(found.values())


def _record(message: Message) -> Record:
    kind, milliseconds = message.timestamp()
    headers: Any = message.headers()
    return Record(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        time=None if kind == TIMESTAMP_NOT_AVAILABLE else datetime.fromtimestamp(milliseconds / 1000, UTC),
        key=message.key(),
        value=message.value(),
        headers=tuple(headers or ()),
    )
