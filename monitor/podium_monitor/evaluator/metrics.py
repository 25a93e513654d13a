"""What the evaluator says about itself and about deployments. Names: docs/guide/monitoring.md."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from podium_monitor.world import FollowedWorld


class EvaluatorMetrics:
    """Of the process. What is of a deployment is noted when it is evaluated (figures_of)."""

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
        self._notifications = Counter(
            "podium_monitor_notifications", "Webhooks that were called.", ["receiver", "outcome"], registry=registry
        )
        self.world_age = Gauge(
            "podium_monitor_world_age_seconds", "Since the API server was last heard of all deployments.", registry=registry
        )
        self.unreadable = Gauge(
            "podium_monitor_unreadable_objects", "ModelDeployments and ModelVersions that cannot be read.", registry=registry
        )

    def follow(self, world: FollowedWorld) -> None:
        """Tells how good the world's knowledge is, from now on."""
        self.world_age.set_function(lambda: world.age_seconds)
        self.unreadable.set_function(lambda: len(world.unreadable))

    def notified(self, receiver: str, outcome: str) -> None:
        self._notifications.labels(receiver, outcome).inc()
