"""Whether the work loop still turns: what /healthz answers, leader or not.

Red when the loop has not beaten for a while (frozen, blocked by a call that should not block) or when a worker has been on
one key for far longer than a reconcile may last (a cancellation that was swallowed). A port that answers proves neither.
"""

import asyncio
from typing import NoReturn

from podium_operator.kinds import Key
from podium_operator.runtime.queue import Clock

_BEAT_SECONDS = 1.0


class Heartbeat:
    def __init__(self, clock: Clock, stuck_seconds: float, reconcile_timeout_seconds: float) -> None:
        self._clock = clock
        self._stuck_seconds = stuck_seconds
        self._longest_work_seconds = reconcile_timeout_seconds + stuck_seconds
        self._beat_at = clock()
        self._busy: dict[Key, float] = {}

    def beat(self) -> None:
        self._beat_at = self._clock()

    def began(self, key: Key) -> None:
        self._busy[key] = self._clock()

    def ended(self, key: Key) -> None:
        self._busy.pop(key, None)

    def fault(self) -> str | None:
        """What is wrong, or None."""
        now = self._clock()
        if (silent := now - self._beat_at) > self._stuck_seconds:
            return f"the work loop has not turned for {silent:.0f} s"
        for key, since in self._busy.items():
            if now - since > self._longest_work_seconds:
                return f"{key} has been in work for {now - since:.0f} s"
        return None

    async def run(self) -> NoReturn:
        """Beats from within the loop that the workers share."""
        while True:
            self.beat()
            await asyncio.sleep(_BEAT_SECONDS)
