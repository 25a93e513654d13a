"""The access log: one JSON line per request on standard output, sampled, never in a request's way."""

import random
import time
from datetime import UTC, datetime

from podium_serving.metrics import Metrics
from podium_serving.observation.allowance import Allowance
from podium_serving.observation.lines import left_out_line, line_of
from podium_serving.observation.outlet import Outlet
from podium_serving.observation.seen import Seen
from podium_serving.observation.stream import Stream

FAILURES_PER_SECOND = 50
"""Lines of failures, at most: a flood of bad requests must not fill a disk. The share of answers is as asked."""
_MOST_BYTES = 4 * 1024 * 1024
_PAUSE_SECONDS = 0.1


class AccessLog:
    """`percent` of what was answered, and failures up to FAILURES_PER_SECOND."""

    def __init__(self, percent: float, metrics: Metrics, descriptor: int) -> None:
        self._ratio = percent / 100
        self._chance = random.Random()  # noqa: S311  a sample, no secret
        self._failures = Allowance(FAILURES_PER_SECOND)
        self._left_out = metrics.access_log_lines.labels("LeftOut")
        self._outlet: Outlet[bytes] = Outlet(
            "access-log", Stream(descriptor), metrics.access_log_lines, most=_MOST_BYTES, pause_seconds=_PAUSE_SECONDS
        )
        self.start = self._outlet.start

    def wants(self, *, failed: bool) -> bool:
        if not failed:
            return self._chance.random() < self._ratio
        if self._failures.take(time.monotonic()):
            return True
        self._left_out.inc()
        return False

    def write(self, seen: Seen) -> None:
        now = datetime.now(UTC)
        self._tell_left_out(time.monotonic(), now)
        self._put(line_of(seen, now))

    def _tell_left_out(self, second: float, now: datetime) -> None:
        if count := self._failures.left_out(second):
            self._put(left_out_line(count, now))

    def _put(self, line: bytes) -> None:
        self._outlet.put(line, len(line))

    async def close(self, seconds: float) -> None:
        self._tell_left_out(time.monotonic() + 1.0, datetime.now(UTC))
        await self._outlet.close(seconds)
