"""Figures of several models in one process: each model counts into metrics of its own, and /metrics tells all of them.

In a pod the label `deployment` is the same for all; here it is the model's name, as it would be in a cluster.
"""

from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from podium_serving.calls import PublicCalls
from podium_serving.metrics import Metrics
from podium_serving.state import Serving, ServingState


class LocalCalls(PublicCalls):
    """`metrics` are those of the models by name; `others` counts requests that reached none."""

    def __init__(self, states: Mapping[str, ServingState], metrics: Mapping[str, Metrics], others: Metrics) -> None:
        super().__init__(states, others)
        self._by_model = metrics

    def metrics_of(self, admitted: Serving | None) -> Metrics:
        if admitted is None:
            return self._metrics
        return self._by_model.get(admitted.plan.deployment.name, self._metrics)


class Figures(Collector):
    """Samples of one family stand together, as Prometheus' text format wants them, whoever counted them."""

    def __init__(self, of_models: Mapping[str, Metrics], others: Metrics) -> None:
        self._of_models = of_models
        self.others = others
        """What concerns no model."""
        self.registry = CollectorRegistry()
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        for metrics in (self.others, *self._of_models.values()):
            for family in metrics.collect():
                first = families.setdefault(family.name, family)
                if first is not family:
                    first.samples.extend(family.samples)
        yield from families.values()

    async def answer(self) -> bytes:
        return generate_latest(self.registry)
