"""What counts as reached. Pure.

Throughput decides where it differs by more than 20 % from what must be reached. Within that, machines are too noisy, and
CPU time per request decides: pairs of runs, one after the other, and a 95 % interval of the mean of their log ratios
(Student's t; for the handful of pairs of a run a bootstrap would be too narrow).
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["reached", "missed", "undecided", "info"]
CLEAR = 0.2
_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
"""Student's t at 97.5 % for 1, 2, ... degrees of freedom (NIST/SEMATECH e-Handbook, 1.3.6.7.2)."""


@dataclass(frozen=True)
class Interval:
    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Row:
    """A line of the table. `must` is empty for what is only told."""

    part: str
    measure: str
    value: str
    must: str = ""
    ratio: float | None = None
    """Over what it is compared with."""
    verdict: Verdict = "info"
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)


def ratio_interval(numerators: Sequence[float], denominators: Sequence[float]) -> Interval:
    """The geometric mean of pairwise ratios with its 95 % interval. Raises ValueError with fewer than 2 pairs.

    >>> str(ratio_interval([2, 2.2, 1.8], [1, 1, 1]))
    '1.99 [1.55, 2.56]'
    """
    logs = [math.log(above / below) for above, below in zip(numerators, denominators, strict=True)]
    if len(logs) < 2:
        raise ValueError(f"an interval needs two pairs, got {len(logs)}")
    half = _T95[min(len(logs) - 1, len(_T95)) - 1] * statistics.stdev(logs) / math.sqrt(len(logs))
    mean = statistics.fmean(logs)
    return Interval(math.exp(mean), math.exp(mean - half), math.exp(mean + half))


def at_least(ratio: float, must: float, by_cpu: Interval | None = None) -> Verdict:
    """Whether `ratio` (ours over theirs, more is better) is at least `must`; `by_cpu` is the same ratio in answers per CPU
    second, and decides where `ratio` is no clear case."""
    if by_cpu is None or abs(ratio / must - 1) > CLEAR:
        return "reached" if ratio >= must else "missed"
    if by_cpu.low >= must:
        return "reached"
    return "missed" if by_cpu.high < must else "undecided"


def at_most(value: float, must: float, interval: Interval | None = None) -> Verdict:
    """Whether `value` is at most `must`. With an interval it must lie on one side as a whole."""
    if interval is None:
        return "reached" if value <= must else "missed"
    if interval.high <= must:
        return "reached"
    return "missed" if interval.low > must else "undecided"


def all_of(*verdicts: Verdict) -> Verdict:
    """The worst."""
    for worst in ("missed", "undecided", "info", "reached"):
        if worst in verdicts:
            return worst
    return "info"
