"""Event ids that are in the lake: a batch that is sent again, because its answer was lost, must not be written again. Pure.

Bounded in number and in time, so a stated horizon: an event that comes again later than that is written twice. The oldest
are forgotten first, a span at a time.
"""

from collections import deque
from collections.abc import Iterable
from hashlib import blake2b

_SPANS = 12
_DIGEST_BYTES = 16


class KnownEvents:
    def __init__(self, limit: int, seconds: float) -> None:
        self._limit = limit
        self._seconds = seconds
        self._spans: deque[tuple[float, set[bytes]]] = deque()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def among(self, keys: set[bytes]) -> set[bytes]:
        """Those of them that are known."""
        found: set[bytes] = set()
        for _, ids in self._spans:
            found |= keys & ids
        return found

    def add(self, keys: Iterable[bytes], at: float) -> None:
        """Remembers events that were written at `at` (seconds of one clock that only goes forward)."""
        if not self._spans or self._is_over(*self._spans[-1], at):
            self._spans.append((at, set()))
        newest = self._spans[-1][1]
        before = len(newest)
        newest.update(keys)
        self._count += len(newest) - before
        self._forget(at)

    def _is_over(self, started: float, ids: set[bytes], now: float) -> bool:
        return now - started >= self._seconds / _SPANS or len(ids) >= self._limit / _SPANS

    def _forget(self, now: float) -> None:
        """The newest span stays whatever happens: it holds what was written a moment ago."""
        while len(self._spans) > 1 and (self._count > self._limit or self._spans[0][0] < now - self._seconds):
            self._count -= len(self._spans.popleft()[1])


def keys_of(scope: str, event_ids: Iterable[str]) -> list[bytes]:
    """Of events whose ids are unique within `scope` (`Place.event_scope`)."""
    prefix = f"{scope}\n"
    return [blake2b((prefix + event_id).encode(), digest_size=_DIGEST_BYTES).digest() for event_id in event_ids]
