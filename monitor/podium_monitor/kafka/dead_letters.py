"""Records that cannot be taken: to a topic of their own, with the reason, or logged and passed over."""

import logging
from collections.abc import Sequence
from types import TracebackType

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from podium_monitor.kafka.client import LIBRARY, MAX_MESSAGE_BYTES, configuration_of, reason
from podium_monitor.kafka.metrics import SOURCE, KafkaMetrics
from podium_monitor.kafka.settings import KafkaSettings
from podium_monitor.kafka.taking import Rejected

logger = logging.getLogger(__name__)

_CONFIRMED_SECONDS = 20.0
_LOGGED = 20
"""Of one batch, each by itself; of the others their number."""


class DeadLetters:
    """Its client is made with the first record that needs it."""

    def __init__(self, settings: KafkaSettings, metrics: KafkaMetrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._producer: Producer | None = None

    def __enter__(self) -> "DeadLetters":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._producer is not None:
            self._producer.purge()
            self._producer.poll(0)

    def put(self, rejected: Sequence[Rejected]) -> bool:
        """Whether they may be passed over now: logged, and, where there is a topic for them, confirmed there."""
        for one in rejected[:_LOGGED]:
            record = one.record
            logger.warning("%s/%d at offset %d is not taken: %s", record.topic, record.partition, record.offset, one.why)
        if len(rejected) > _LOGGED:
            logger.warning("%d further records of the batch are not taken", len(rejected) - _LOGGED)
        if not self._settings.dead_letter_topic:
            return True
        try:
            self._publish(rejected)
        except (KafkaException, BufferError, OSError) as error:
            self._metrics.failures.labels(*SOURCE).inc()
            logger.warning("%s cannot be written to: %s", self._settings.dead_letter_topic, reason(error))
            return False
        return True

    def _publish(self, rejected: Sequence[Rejected]) -> None:
        if self._producer is None:
            self._producer = Producer(
                {
                    **configuration_of(self._settings.access),
                    "logger": LIBRARY,
                    "enable.idempotence": True,
                    "message.max.bytes": MAX_MESSAGE_BYTES,
                    "linger.ms": 5,
                }
            )
        if too_large := self._sent(self._producer, rejected, whole=True):
            self._sent(self._producer, too_large, whole=False)

    def _sent(self, producer: Producer, rejected: Sequence[Rejected], whole: bool) -> list[Rejected]:
        """Confirmed, but for those returned, which are too large. Not `whole`: without their values."""
        failures: list[tuple[Rejected, KafkaError]] = []
        for one in rejected:

            def told(error: KafkaError | None, _: Message, one: Rejected = one) -> None:
                if error is not None:
                    failures.append((one, error))

            value = one.record.value if whole else None
            topic = self._settings.dead_letter_topic
            producer.produce(topic, value, one.record.key, headers=headers_of(one), on_delivery=told)
            producer.poll(0)
        if producer.flush(_CONFIRMED_SECONDS):
            producer.purge()
            raise TimeoutError(f"no broker confirmed within {_CONFIRMED_SECONDS:.0f} s")
        for _, error in failures:
            if error.code() != KafkaError.MSG_SIZE_TOO_LARGE or not whole:
                raise KafkaException(error)
        return [one for one, _ in failures]


def headers_of(one: Rejected) -> list[tuple[str, str | bytes | None]]:
    """The record's own, then why and where it is from."""
    record = one.record
    return [
        *record.headers,
        ("podium-error", one.why.encode()),
        ("podium-topic", record.topic.encode()),
        ("podium-partition", str(record.partition).encode()),
        ("podium-offset", str(record.offset).encode()),
    ]
