"""How often somebody may do something: buckets of tokens that refill steadily. Pure: the time comes in."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

_MOST_KEYS = 10_000


@dataclass(frozen=True)
class Rate:
    per_second: float
    burst: float


class Buckets:
    """One bucket per key. Of those that are not full the oldest is forgotten first, when there are too many."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._left)

    def allows(self, key: Hashable, now: float) -> bool:
        """Whether one more is allowed at `now` (monotonic seconds)."""
        return self._filled(key, now) >= 1.0

    def take(self, key: Hashable, now: float) -> bool:
        """Whether one more is allowed; then it counts."""
        if not self.allows(key, now):
            return False
        self._put(key, self._filled(key, now) - 1.0, now)
        return True

    def give_back(self, key: Hashable, now: float) -> None:
        """It turned out not to count."""
        self._put(key, self._filled(key, now) + 1.0, now)

    def _filled(self, key: Hashable, now: float) -> float:
        left, at = self._left.get(key, (self._rate.burst, now))
        return min(self._rate.burst, left + (now - at) * self._rate.per_second)

    def _put(self, key: Hashable, left: float, now: float) -> None:
        self._left.pop(key, None)
        if left < self._rate.burst:
            self._left[key] = left, now
            if len(self._left) > _MOST_KEYS:
                self._left.popitem(last=False)
