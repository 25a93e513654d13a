"""One client after the other: whatever ends the life of one, another is made, soon at first and then less often."""

import logging
import threading
import time
from collections.abc import Callable

from confluent_kafka import KafkaException

from podium_monitor.kafka.client import Gone, Link, reason
from podium_monitor.kafka.metrics import KafkaMetrics, Side
from podium_monitor.kafka.settings import InvalidKafka

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 5.0


class Stopped(Exception):
    """The collector ends: what is not durable is read again, what is not confirmed published again, after the next start."""


def one_after_the_other(
    session: Callable[[], None],
    side: Side,
    link: Link,
    metrics: KafkaMetrics,
    stopping: threading.Event,
    between: Callable[[], None] = lambda: None,
) -> None:
    """Calls `session`, the life of one client, until `stopping` is set or Stopped raised; `between` after each. Blocks."""
    pause = FIRST_PAUSE_SECONDS
    while not stopping.is_set():
        started = time.monotonic()
        try:
            session()
        except Stopped:
            return
        except (KafkaException, Gone, InvalidKafka, OSError) as error:
            metrics.failures.labels(*side).inc()
            link.lost(reason(error), type(error))
        except Exception:  # a defect must not end the thread unheard
            logger.exception("Kafka %s ended early and is tried again", side)
            metrics.failures.labels(*side).inc()
        pause = FIRST_PAUSE_SECONDS if time.monotonic() - started > LONGEST_PAUSE_SECONDS else 2 * pause
        pause = min(pause, LONGEST_PAUSE_SECONDS)
        between()
        stopping.wait(pause)
