"""Figures of several models in one process: each model counts into metrics of its own, and /metrics tells all of them.

In a pod the label `deployment` is the same for all; here it is the model's name, as it would be in a cluster.
"""

from collections.abc import Mapping

from podium_serving.calls import PublicCalls
from podium_serving.exposition import Family, process_families, text
from podium_serving.metrics import Metrics
from podium_serving.served import Serving
from podium_serving.state import ServingState


class LocalCalls(PublicCalls):
    """`metrics` are those of the models by name; `others` counts requests that reached none."""

    def __init__(self, states: Mapping[str, ServingState], metrics: Mapping[str, Metrics], others: Metrics) -> None:
        super().__init__(states, others)
        self._by_model = metrics

    def metrics_of(self, admitted: Serving | None) -> Metrics:
        if admitted is None:
            return self._metrics
        return self._by_model.get(admitted.plan.deployment.name, self._metrics)


class Figures:
    """Samples of one family stand together, as Prometheus' text format wants them, whoever counted them."""

    def __init__(self, of_models: Mapping[str, Metrics], others: Metrics) -> None:
        """Metrics of models, without those of the process."""
        self._of_models = of_models
        self.others = others
        """What concerns no model."""

    def families(self) -> list[Family]:
        known: dict[str, Family] = {}
        for metrics in (self.others, *self._of_models.values()):
            for family in metrics.families():
                known.setdefault(family.name, family)
                if known[family.name] is not family:
                    known[family.name].samples.extend(family.samples)
        return [*known.values(), *process_families()]

    async def answer(self) -> bytes:
        return text(self.families())
