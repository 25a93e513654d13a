"""The metrics of a pod out of those of its processes. Pure.

Counters and histograms add up, those of processes that ended included: a counter that falls would read as a restart of the
pod. Gauges add up too, but for those that say the same thing several times.
"""

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from podium_serving.workers.messages import Family

_LEAST = frozenset({"podium_plan_epoch", "podium_certificate_end_timestamp_seconds", "process_start_time_seconds"})
"""Of several, the one that is furthest behind."""
_LARGEST = frozenset({"podium_model_loaded", "process_max_fds", "python_info"})
_ADDED = frozenset({"counter", "histogram"})


def families(collectors: Iterable[Collector]) -> list[Family]:
    """All metrics that the collectors have now."""
    return [
        Family(metric.name, metric.documentation, metric.type, [(one.name, one.labels, one.value) for one in metric.samples])
        for collector in collectors
        for metric in collector.collect()
    ]


def ended(of: Sequence[Family]) -> list[Family]:
    """What remains of a process that ended: all that only ever grows."""
    return [family for family in of if family.kind in _ADDED and not family.name.startswith("process_")]


def merged(processes: Iterable[Sequence[Family]]) -> list[Family]:
    """One family per name, in the order of the first process that has it."""
    firsts: dict[str, Family] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for family in (family for of in processes for family in of):
        firsts.setdefault(family.name, family)
        known = values.setdefault(family.name, {})
        for name, labels, value in family.samples:
            key = (name, tuple(labels.items()))
            known[key] = _joined(family.name, known[key], value) if key in known else value
    return [
        Family(name, first.text, first.kind, [(sample, dict(labels), value) for (sample, labels), value in known.items()])
        for (name, first), known in zip(firsts.items(), values.values(), strict=True)
    ]


class Total(Collector):
    """Families as prometheus-client's exposition takes them."""

    def __init__(self, of: Sequence[Family]) -> None:
        self._of = of

    def collect(self) -> Iterator[Metric]:
        for family in self._of:
            metric = Metric(family.name, family.text, family.kind)
            for name, labels, value in family.samples:
                metric.add_sample(name, labels, value)
            yield metric


def text(of: Sequence[Family]) -> bytes:
    """Prometheus' text format 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Total(of))
    return generate_latest(registry)


def _joined(family: str, one: float, other: float) -> float:
    if family in _LEAST:
        return min(one, other)
    if family in _LARGEST:
        return max(one, other)
    return one + other
