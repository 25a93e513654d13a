"""The metrics of a pod out of those of its processes. Pure.

Counters and histograms add up, those of processes that ended included: a counter that falls would read as a restart of the
pod. Gauges add up too, but for those that say the same thing several times.
"""

from collections.abc import Iterable, Sequence

from podium_serving.exposition import Family

_LEAST = frozenset({"podium_plan_epoch", "podium_certificate_end_timestamp_seconds", "process_start_time_seconds"})
"""Of several, the one that is furthest behind."""
_LARGEST = frozenset({"podium_build_info", "podium_model_loaded", "process_max_fds", "python_info"})
_ADDED = frozenset({"counter", "histogram"})


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


def _joined(family: str, one: float, other: float) -> float:
    if family in _LEAST:
        return min(one, other)
    if family in _LARGEST:
        return max(one, other)
    return one + other
