"""The operator's own metrics, in one registry that is handed on: nothing global, so tests see only their own.

Traffic per version is filled by the deployments side.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_RECONCILE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.reconcile_seconds = Histogram(
            "podium_operator_reconcile_duration_seconds",
            "Time of one reconcile.",
            ["kind"],
            registry=registry,
            buckets=_RECONCILE_BUCKETS,
        )
        self.reconcile_errors = Counter(
            "podium_operator_reconcile_errors_total",
            "Reconciles that ended in an error.",
            ["kind", "error"],
            registry=registry,
        )
        self.queue_depth = Gauge("podium_operator_queue_depth", "Keys that wait for a worker.", registry=registry)
        self.queue_oldest_seconds = Gauge(
            "podium_operator_queue_oldest_seconds", "How long the first key has waited for a worker.", registry=registry
        )
        self.leader = Gauge("podium_operator_leader", "1 while this process leads.", registry=registry)
        self.term = Gauge("podium_operator_term", "The term that this process leads in.", registry=registry)
        self.requests = Counter(
            "podium_operator_requests_total", "Requests to the API server.", ["kind", "verb", "code"], registry=registry
        )
        self.writes = Counter(
            "podium_operator_writes_total",
            "Writes that changed an object: an apply that changed nothing is a request, not a write.",
            ["kind", "verb"],
            registry=registry,
        )
        self.watch_events = Counter(
            "podium_operator_watch_events_total", "Watch events by the kind of their object.", ["kind"], registry=registry
        )
        self.champion_pods = Gauge(
            "podium_operator_champion_pods",
            "Pods that answer with a deployment's committed champion.",
            ["namespace", "deployment"],
            registry=registry,
        )
        self.condition = Gauge(
            "podium_operator_condition",
            "1 while a deployment's condition Ready, Reconciling or Stalled is True, else 0.",
            ["namespace", "deployment", "type"],
            registry=registry,
        )
        self.monitor_requests = Counter(
            "podium_operator_monitor_requests_total",
            "Requests to the monitor for evidence: Answered, Unknown (it knows nothing of the deployment yet), Failed.",
            ["outcome"],
            registry=registry,
        )
        self.traffic_ratio = Gauge(
            "podium_operator_traffic_ratio",
            "Share of a deployment's requests that a version answered in the last minute, 0 to 1, as scraped from its pods.",
            ["namespace", "deployment", "version", "role"],
            registry=registry,
        )
        self.version_requests_per_second = Gauge(
            "podium_operator_version_requests_per_second",
            "Requests that a version answered per second in the last minute, as scraped from its pods.",
            ["namespace", "deployment", "version", "role"],
            registry=registry,
        )
        self.version_error_ratio = Gauge(
            "podium_operator_version_error_ratio",
            "Share of a version's answers in the last minute that were 5xx, 0 to 1, as scraped from its pods.",
            ["namespace", "deployment", "version", "role"],
            registry=registry,
        )
        self.version_latency_seconds = Gauge(
            "podium_operator_version_latency_seconds",
            "Quantiles of a version's request duration in the last minute, over all its pods.",
            ["namespace", "deployment", "version", "role", "quantile"],
            registry=registry,
        )
