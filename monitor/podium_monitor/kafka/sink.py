"""Publishes what the lake took to one topic, in a thread of its own: from the notes of its outbox, and a note goes when
brokers confirmed it.

HTTP never waits for it, nor does another sink, and a broker that is away costs nothing but notes. At least once: a crash
between the confirmation and the note's end publishes the rows again.
"""

import json
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from podium_monitor.kafka.client import MAX_MESSAGE_BYTES, Link
from podium_monitor.kafka.metrics import KafkaMetrics, Side
from podium_monitor.kafka.noted_rows import noted_rows, place_of
from podium_monitor.kafka.outbox import Note, Outbox, Part
from podium_monitor.kafka.published import HEADERS, Published, columns_of, events_of
from podium_monitor.kafka.sessions import Stopped, one_after_the_other
from podium_monitor.kafka.settings import KafkaSettings
from podium_monitor.lake.store import Store

logger = logging.getLogger(__name__)

_NICE = 10
_NOTES_AT_ONCE = 100
_ROWS_AT_ONCE = 10_000
_FRESH = timedelta(seconds=30)
"""Compaction leaves a file alone for longer."""
_ADOPT_SECONDS = 60.0
_IDLE_SECONDS = 0.2
_ANSWER_SECONDS = 5.0


class Sink:
    def __init__(self, settings: KafkaSettings, store: Store, outbox: Outbox, metrics: KafkaMetrics) -> None:
        self._settings = settings
        self._store = store
        self._outbox = outbox
        self._metrics = metrics
        self._stopping = threading.Event()
        self._adopted_at: float | None = None
        self._topic = outbox.topic.topic
        self._side = Side("Sink", self._topic)
        self.link = Link(self._side)
        metrics.follow(self._side, lambda: self.link.connected, self.link.stalled_seconds)
        metrics.waiting.labels(self._topic).set_function(lambda: len(outbox))

    def stop(self) -> None:
        """`run` returns soon: what is not confirmed is published after the next start."""
        self._stopping.set()
        self._outbox.arrived.set()

    def run(self) -> None:
        """Publishes until `stop`. Blocks."""
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        one_after_the_other(self._session, self._side, self.link, self._metrics, self._stopping, self._join)

    def _join(self) -> None:
        try:
            self._outbox.join()
        except OSError as error:
            logger.warning("notes for the topic %s stay many: %s", self._topic, error)

    def _session(self) -> None:
        """The life of one client."""
        producer = Producer(
            {
                **self.link.configuration(self._settings.access),
                "enable.idempotence": True,
                "delivery.report.only.error": True,
                "compression.type": "lz4",
                "linger.ms": 20,
                "message.max.bytes": MAX_MESSAGE_BYTES,
                "queue.buffering.max.kbytes": 64 * 1024,
                "message.timeout.ms": 60_000,
            }
        )
        try:
            producer.list_topics(timeout=_ANSWER_SECONDS)
            self.link.answered()
            while not self._stopping.is_set():
                self.link.check()
                self._adopt()
                self._pass(producer)
        finally:
            producer.purge()
            producer.poll(0)

    def _adopt(self) -> None:
        if self._adopted_at is None or time.monotonic() - self._adopted_at > _ADOPT_SECONDS:
            self._outbox.adopt()
            self._adopted_at = time.monotonic()

    def _pass(self, producer: Producer) -> None:
        self._outbox.arrived.clear()
        producer.poll(0)
        if not self.link.connected:
            self._join()
            self._stopping.wait(_IDLE_SECONDS)
            return
        notes = self._outbox.oldest(_NOTES_AT_ONCE, _ROWS_AT_ONCE)
        if notes:
            self._publish(producer, notes)
            self._outbox.done(notes)
        self.link.step()
        if not notes:
            self._outbox.arrived.wait(_IDLE_SECONDS)

    def _publish(self, producer: Producer, notes: Mapping[str, Note]) -> None:
        """Returns when all rows are confirmed. Raises KafkaException, Gone, Stopped, OSError."""
        fresh = min(note.at for note in notes.values()) > datetime.now(UTC) - _FRESH
        sending = Sending(self._topic, producer, self.link, self._stopping, self._metrics)
        for event in self._events(_by_folder(notes.values()), fresh):
            sending.send(event.key, event.value)
        sending.finish()

    def _events(self, folders: Mapping[str, list[Part]], fresh: bool) -> Iterator[Published]:
        for folder, parts in folders.items():
            place = place_of(folder)
            if self._outbox.wants(place):  # the topic may be told other deployments since it was noted
                for table in noted_rows(self._store, folder, parts, fresh):
                    yield from events_of(place, columns_of(table))


class Sending:
    """Messages on their way: each is confirmed, too large, or fails all. Only failures are heard of: a call from librdkafka
    for each message would cost more than to make it."""

    def __init__(self, topic: str, producer: Producer, link: Link, stopping: threading.Event, metrics: KafkaMetrics) -> None:
        self._topic = topic
        self._producer = producer
        self._link = link
        self._stopping = stopping
        self._metrics = metrics
        self._sent = 0
        self._failure: KafkaError | None = None
        self._refused: list[Message] = []

    def send(self, key: bytes | None, value: bytes | None) -> None:
        """Waits where the client's buffer is full. Raises Gone, Stopped."""
        while True:
            try:
                self._producer.produce(self._topic, value, key, headers=HEADERS, on_delivery=self._told)
            except BufferError:
                self._wait(_IDLE_SECONDS)
            else:
                self._sent += 1
                return

    def _told(self, error: KafkaError | None, message: Message) -> None:
        if error is None:
            return
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            self._refused.append(message)
        else:
            self._failure = error

    def finish(self) -> None:
        """Returns when all is confirmed. Raises KafkaException, Gone, Stopped."""
        self._flush()
        alone, self._refused = self._refused, []
        for message in alone:  # a batch may be too large where each of its messages is not
            self._sent -= 1
            self.send(message.key(), message.value())
            self._flush()
        for message in self._refused:
            value = message.value() or b""
            self._sent -= 1
            self._metrics.unpublishable.labels(self._topic).inc()
            event = json.loads(value)["id"]
            logger.error("the topic %s takes no message of %d bytes: %s", self._topic, len(value), event)
        self._metrics.published.labels(self._topic).inc(self._sent)

    def _flush(self) -> None:
        while len(self._producer):
            self._wait(_IDLE_SECONDS)
        if self._failure is not None:
            raise KafkaException(self._failure)

    def _wait(self, seconds: float) -> None:
        self._producer.poll(seconds)
        if self._stopping.is_set():
            raise Stopped
        self._link.check()


def _by_folder(notes: Iterable[Note]) -> dict[str, list[Part]]:
    found: dict[str, list[Part]] = {}
    for note in notes:
        for part in note.parts:
            found.setdefault(part.folder, []).append(part)
    return found
