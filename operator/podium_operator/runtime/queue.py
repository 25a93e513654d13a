"""One queue of keys for all reconciles: what the watch feeds and the workers empty.

Promises: a key is in work at most once; a key added while it is in work is worked again afterwards; a failed key comes back
after a growing, jittered delay; adding a key that waits already costs nothing, so an event storm is one reconcile.
Not here: what a key means, and any I/O. Time comes in as `clock`.
"""

import asyncio
import heapq
import random
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from podium_operator.kinds import Key

Clock = Callable[[], float]
"""Seconds that never go back, as time.monotonic."""


@dataclass(frozen=True)
class BackOff:
    """Delay before the n-th retry: base * 2^(n-1), at most `cap_seconds`, times a random factor in [1 - jitter, 1]."""

    base_seconds: float = 0.5
    cap_seconds: float = 120.0
    jitter: float = 0.2

    def delay_seconds(self, failures: int, chance: float) -> float:
        """`failures` >= 1; `chance` in [0, 1)."""
        grown = self.base_seconds * 2.0 ** min(failures - 1, 60)
        return min(self.cap_seconds, grown) * (1 - self.jitter * chance)


@dataclass
class _Timers:
    """Keys that come due later: the earliest wish per key counts."""

    heap: list[tuple[float, Key]] = field(default_factory=list)
    due: dict[Key, float] = field(default_factory=dict)

    def put(self, key: Key, at: float) -> None:
        if at < self.due.get(key, float("inf")):
            self.due[key] = at
            heapq.heappush(self.heap, (at, key))

    def drop(self, key: Key) -> None:
        self.due.pop(key, None)

    def pop_due(self, now: float) -> list[Key]:
        keys = []
        while self.heap and (self.heap[0][0] <= now or self.heap[0][1] not in self.due):
            at, key = heapq.heappop(self.heap)
            if self.due.get(key) == at:
                del self.due[key]
                keys.append(key)
        return keys

    def next_at(self) -> float | None:
        return self.heap[0][0] if self.heap else None


class KeyQueue:
    """Used from one event loop. `get` waits; everything else is immediate."""

    def __init__(self, clock: Clock, back_off: BackOff | None = None, chance: Callable[[], float] = random.random) -> None:
        self._clock = clock
        self._back_off = back_off or BackOff()
        self._chance = chance
        self._ready: OrderedDict[Key, float] = OrderedDict()
        self._working: set[Key] = set()
        self._dirty: set[Key] = set()
        self._failures: dict[Key, int] = {}
        self._timers = _Timers()
        self._changed = asyncio.Event()

    def add(self, key: Key) -> None:
        """Work on it as soon as a worker is free; again, if it is in work now."""
        self._timers.drop(key)
        if key in self._working:
            self._dirty.add(key)
        elif key not in self._ready:
            self._ready[key] = self._clock()
        self._changed.set()

    def add_after(self, key: Key, delay_seconds: float) -> None:
        """Work on it in `delay_seconds`, or earlier if something else asks for it."""
        if key in self._ready or key in self._dirty:
            return
        self._timers.put(key, self._clock() + delay_seconds)
        self._changed.set()

    async def get(self) -> Key:
        """The next key; it is in work until `done`."""
        while (key := self.get_ready()) is None:
            await self._wait_for_change()
        return key

    def get_ready(self) -> Key | None:
        """The next key if one is ready now."""
        for key in self._timers.pop_due(self._clock()):
            self.add(key)
        if not self._ready:
            return None
        key, _ = self._ready.popitem(last=False)
        self._working.add(key)
        return key

    def done(self, key: Key, requeue_after_seconds: float | None = None) -> None:
        """The work went well; the failures are forgotten."""
        self._failures.pop(key, None)
        self._finish(key, requeue_after_seconds)

    def failed(self, key: Key) -> float:
        """The work failed; it comes back after the delay that is returned, or at the next event, which may have cured it."""
        self._failures[key] = self._failures.get(key, 0) + 1
        delay = self._back_off.delay_seconds(self._failures[key], self._chance())
        self._finish(key, delay)
        return delay

    def forget(self, key: Key) -> None:
        """The object is gone: no timer and no count of failures stays behind."""
        self._failures.pop(key, None)
        self._timers.drop(key)

    def __len__(self) -> int:
        """Keys that could be worked on now if workers were free."""
        return len(self._ready)

    def oldest_wait_seconds(self) -> float:
        """How long the first in the queue has waited for a worker."""
        return self._clock() - next(iter(self._ready.values())) if self._ready else 0.0

    def _finish(self, key: Key, requeue_after_seconds: float | None) -> None:
        self._working.discard(key)
        if key in self._dirty:
            self._dirty.discard(key)
            self.add(key)
        elif requeue_after_seconds is not None:
            self.add_after(key, requeue_after_seconds)

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        next_at = self._timers.next_at()
        try:
            async with asyncio.timeout(None if next_at is None else max(0.0, next_at - self._clock())):
                await self._changed.wait()
        except TimeoutError:
            return
