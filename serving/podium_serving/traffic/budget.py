"""How long a challenger may take. Pure: times come in.

A forward that fails must leave the champion enough time to answer within the request's deadline. What the champion
needs is estimated from its own recent answers.
"""

import math
from bisect import bisect_left

MARGIN_SECONDS = 0.010
"""For delays of the event loop itself (a large body, a session that loads) before the champion starts."""
LEAST_USEFUL_SECONDS = 0.002
"""Shorter forwards would only cost: a round trip in a cluster takes about 1 ms."""

_WINDOW_SECONDS = 30.0
_WINDOW_ANSWERS = 200
_FEWEST_ANSWERS = 20
_CACHED_ANSWERS = 32
_FIRST_EDGE = 0.0001
_GROWTH = 1.1
_EDGES = [_FIRST_EDGE * _GROWTH**step for step in range(math.ceil(math.log(300 / _FIRST_EDGE, _GROWTH)) + 1)]


class RecentP99:
    """The 99th percentile of recent durations, at most 10 % too high.

    Two windows of counts, the older dropped when the newer is full: at least 30 s old *and* 200 answers strong. So the
    estimate follows changes within a minute under load, and at one request a minute it still rests on hundreds.
    """

    def __init__(self) -> None:
        self._older = [0] * (len(_EDGES) + 1)
        self._newer = [0] * (len(_EDGES) + 1)
        self._newer_count = 0
        self._count = 0
        self._started: float | None = None
        self._cached: float | None = None
        self._cached_until = 0

    def observe(self, seconds: float, now: float) -> None:
        """Counts one answer that took `seconds` and came at `now` (monotonic seconds)."""
        if self._started is None:
            self._started = now
        if now - self._started >= _WINDOW_SECONDS and self._newer_count >= _WINDOW_ANSWERS:
            self._older, self._newer = self._newer, [0] * (len(_EDGES) + 1)
            self._count = self._newer_count
            self._newer_count = 0
            self._started = now
            self._cached_until = 0
        self._newer[bisect_left(_EDGES, seconds)] += 1
        self._newer_count += 1
        self._count += 1

    def seconds(self) -> float | None:
        """None while fewer than 20 answers were seen."""
        if self._count < _FEWEST_ANSWERS:
            return None
        if self._count >= self._cached_until:
            self._cached = self._scan()
            self._cached_until = self._count + _CACHED_ANSWERS
        return self._cached

    def _scan(self) -> float:
        above = self._count - math.ceil(self._count * 0.99)
        index = len(_EDGES)
        seen = self._older[index] + self._newer[index]
        while seen <= above:
            index -= 1
            seen += self._older[index] + self._newer[index]
        return _EDGES[min(index, len(_EDGES) - 1)]


def forward_budget(left_seconds: float, champion_p99_seconds: float | None, timeout_seconds: float) -> float | None:
    """Seconds that a challenger may take of the `left_seconds` until the deadline. None: no time for it.

    At most its own timeout; the champion keeps its p99, half of that again, and a margin. While its p99 is unknown it
    keeps half of what is left.
    """
    if champion_p99_seconds is None:
        reserve = left_seconds / 2
    else:
        reserve = champion_p99_seconds * 1.5
    budget = min(timeout_seconds, left_seconds - reserve - MARGIN_SECONDS)
    return budget if budget >= LEAST_USEFUL_SECONDS else None
