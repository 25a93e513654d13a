"""What the metrics say of plans and versions in memory."""

import weakref
from collections import Counter
from collections.abc import Callable

from podium_crds.plan import PlannedVersion
from podium_serving.metrics import Metrics
from podium_serving.model_interface import Model
from podium_serving.served import Serving


class Gauges:
    """Writes the metrics that belong to swapping."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._in_memory: Counter[str] = Counter()

    def flipped(self, serving: Serving) -> None:
        self._metrics.plan_epoch.labels().set(serving.plan.epoch)

    def late(self, requests: int) -> None:
        self._metrics.late_requests.labels().inc(requests)

    def on_batch(self, version: PlannedVersion) -> Callable[[int], None]:
        rows = self._metrics.batch_rows.labels(version.name)
        return lambda count: rows.observe(count)

    def loaded(self, version: PlannedVersion, model: Model) -> None:
        """Counted until the interpreter forgets the model, so that one that somebody still holds shows."""
        self._in_memory[version.name] += 1
        self._metrics.model_loaded.labels(version.name).set(1)
        weakref.finalize(model, self._gone, version.name).atexit = False

    def _gone(self, name: str) -> None:
        self._in_memory[name] -= 1
        if self._in_memory[name] == 0:
            del self._in_memory[name]
            self._metrics.model_loaded.forget(name)
