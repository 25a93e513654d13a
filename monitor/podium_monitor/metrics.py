"""What the collector says about itself."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from podium_monitor.lake.tables import Table


class Metrics:
    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.events = Counter(
            "podium_monitor_events",
            "Events of durable batches: accepted or duplicate.",
            ["outcome"],
            registry=registry,
        )
        self.labels = Counter(
            "podium_monitor_labels",
            "Labels by outcome: Accepted or Duplicate once they are durable, Refused with the request that has a wrong one.",
            ["outcome"],
            registry=registry,
        )
        self.label_requests = Counter(
            "podium_monitor_label_requests", "Requests with labels by HTTP status.", ["code"], registry=registry
        )
        self.requests = Counter("podium_monitor_batches", "Batches by HTTP status.", ["code"], registry=registry)
        self.commit_seconds = Histogram(
            "podium_monitor_commit_duration_seconds", "Writing and syncing one group of batches.", registry=registry
        )
        self.files = Counter("podium_monitor_files", "Files written to the lake.", registry=registry)
        self.pending_bytes = Gauge(
            "podium_monitor_pending_bytes", "Unpacked batches that wait to become durable.", registry=registry
        )
        self.oldest_seconds = Gauge(
            "podium_monitor_oldest_unacknowledged_seconds",
            "How long the batch waits that has waited longest for its acknowledgement.",
            registry=registry,
        )
        self.turned_away = Counter(
            "podium_monitor_turned_away",
            "Requests that were told to come later: their deployment had its share under way, or all there is was taken.",
            ["kind", "namespace", "deployment"],
            registry=registry,
        )
        self.under_way = Gauge(
            "podium_monitor_under_way_ratio",
            "How much of what may be received at once is: of bytes (Batches, References) or requests.",
            ["kind"],
            registry=registry,
        )
        self.known_events = Gauge("podium_monitor_known_events", "Event ids that are remembered.", registry=registry)

    def committed(self, table: Table, accepted: int, duplicates: int) -> None:
        """Rows of a batch that is durable."""
        if table == "labels":
            self.labels.labels("Accepted").inc(accepted)
            self.labels.labels("Duplicate").inc(duplicates)
            return
        self.events.labels("accepted").inc(accepted)
        self.events.labels("duplicate").inc(duplicates)
