"""Whether something measured over time stays flat. Pure."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

SETTLING = 0.25
"""The share of a soak after which caches, pools and the allocator have found their size."""


@dataclass(frozen=True)
class Sample:
    """What a pod held at a moment, in seconds since the start of the soak."""

    seconds: float
    resident_megabytes: float
    open_files: int


def settled(samples: Sequence[Sample]) -> list[Sample]:
    """Without the first quarter of the time."""
    end = samples[-1].seconds
    return [one for one in samples if one.seconds >= end * SETTLING]


def growth(samples: Sequence[Sample]) -> float:
    """Megabytes that the line of least squares through the settled samples rises from their first to their last.

    Raises statistics.StatisticsError with fewer than two settled samples.
    """
    kept = settled(samples)
    line = statistics.linear_regression([one.seconds for one in kept], [one.resident_megabytes for one in kept])
    return line.slope * (kept[-1].seconds - kept[0].seconds)


def file_growth(samples: Sequence[Sample]) -> float:
    """Open files, the median of the last half over that of the first half, settled. Connections come and go in between."""
    kept = settled(samples)
    half = len(kept) // 2
    first, last = kept[:half] or kept, kept[half:]
    return statistics.median(one.open_files for one in last) - statistics.median(one.open_files for one in first)
