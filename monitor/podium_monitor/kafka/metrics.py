"""What the collector says about Kafka."""

from collections.abc import Callable
from contextlib import suppress
from typing import Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge


class Side(NamedTuple):
    """The source, or one of the sinks, each of which goes its own way."""

    direction: Literal["Source", "Sink"]
    topic: str = ""
    """Of a sink."""

    def __str__(self) -> str:
        return " ".join(filter(None, self))


SOURCE = Side("Source")


class KafkaMetrics:
    """Labels: `direction` and `topic` are those of a Side; else topics are the configured ones."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.connected = Gauge(
            "podium_monitor_kafka_connected", "1: a broker is connected.", Side._fields, registry=registry
        )
        self.stalled_seconds = Gauge(
            "podium_monitor_kafka_stalled_seconds",
            "How long no step was made: no broker, or records or commits wait and none of them is done.",
            Side._fields,
            registry=registry,
        )
        self.failures = Counter(
            "podium_monitor_kafka_failures", "Attempts that failed and are made again.", Side._fields, registry=registry
        )
        self.records = Counter(
            "podium_monitor_kafka_records",
            "Records by what became of them: Durable, DeadLettered or Skipped.",
            ["topic", "outcome"],
            registry=registry,
        )
        self.lag = Gauge(
            "podium_monitor_kafka_lag_records",
            "Records of a partition of ours that are not taken yet.",
            ["topic", "partition"],
            registry=registry,
        )
        self.published = Counter(
            "podium_monitor_kafka_published_rows", "Rows that brokers confirmed.", ["topic"], registry=registry
        )
        self.unpublishable = Counter(
            "podium_monitor_kafka_unpublishable_rows", "Rows larger than the topic takes.", ["topic"], registry=registry
        )
        self.waiting = Gauge(
            "podium_monitor_kafka_waiting_commits",
            "Commits to the lake that wait to be published.",
            ["topic"],
            registry=registry,
        )

    def forget(self, topic: str, partition: int) -> None:
        """The partition is another collector's now."""
        with suppress(KeyError):
            self.lag.remove(topic, str(partition))

    def follow(self, side: Side, connected: Callable[[], bool], stalled_seconds: Callable[[], float]) -> None:
        """Asks these whenever the metrics are read."""
        self.connected.labels(*side).set_function(connected)
        self.stalled_seconds.labels(*side).set_function(stalled_seconds)
