"""What the evaluator says about itself and about deployments. Names: docs/guide/monitoring.md."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector


class EvaluatorMetrics:
    """Of the process. What is of a deployment is read from its document at each scrape (figures_of)."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.evaluation_seconds = Histogram(
            "podium_monitor_evaluation_duration_seconds",
            "One deployment's evaluation.",
            buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600),
            registry=registry,
        )
        self.errors = Counter(
            "podium_monitor_evaluation_errors", "Evaluations that failed.", ["namespace", "deployment"], registry=registry
        )
        self.round_seconds = Gauge(
            "podium_monitor_round_duration_seconds", "The newest round over all deployments.", registry=registry
        )
        self.deployments = Gauge("podium_monitor_deployments", "Deployments that are watched.", registry=registry)
