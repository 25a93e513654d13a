"""What outlives a plan: the connections to one pool, its breaker, its shadow queue, and the count of what is in flight.

Links are shared by the responders of successive plans and counted by them; the last one to let go closes. So a plan that
only changes a percentage neither reconnects nor forgets that a challenger was failing.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from podium_serving.exchange import Fallback, InferRequest
from podium_serving.oip.codec import Codec
from podium_serving.traffic.breaker import Breaker, Pass
from podium_serving.traffic.forward import Errand, Forwarded, ForwardFailed, Peer, size_of
from podium_serving.traffic.limits import TrafficLimits
from podium_serving.traffic.mirror import Mirror

_REFUSES_THE_REQUEST = {400, 413, 415, 422}
"""Perhaps rightly: a client that sends nonsense must not open the breaker for all others. It costs one round trip each."""


class InFlight:
    """How many exchanges are open. `idle` is set while there are none."""

    def __init__(self) -> None:
        self.count = 0
        self.idle = asyncio.Event()
        self.idle.set()

    def enter(self) -> None:
        self.count += 1
        self.idle.clear()

    def leave(self) -> None:
        self.count -= 1
        if self.count == 0:
            self.idle.set()


@dataclass(slots=True, eq=False)
class Leave:
    """To forward one request. It counts as in flight until it is handed back."""

    passed: Pass
    handed_back: bool = False


class Link:
    """The way to one challenger's pool."""

    def __init__(self, peer: Peer, mirror: Mirror, limits: TrafficLimits) -> None:
        self.peer = peer
        self.mirror = mirror
        self.breaker = Breaker()
        self.in_flight = InFlight()
        self.users = 0
        self._limits = limits

    def refusal(self, request: InferRequest) -> Fallback:
        """Why this request must not even be tried. NONE: it may be."""
        if size_of(request.columns) > self._limits.max_forward_body_bytes:
            return Fallback.BODY_TOO_LARGE
        if self.in_flight.count >= self._limits.max_in_flight:
            return Fallback.TOO_MANY_IN_FLIGHT
        return Fallback.NONE

    def enter(self, now: float) -> Leave | None:
        """None: the breaker is open. Else `forward` or `leave` hands it back."""
        passed = self.breaker.admit(now)
        if passed is None:
            return None
        self.in_flight.enter()
        return Leave(passed)

    def leave(self, leave: Leave) -> None:
        """Nothing became known about the challenger. Does nothing to one that was handed back."""
        if not leave.handed_back:
            self.breaker.forgive(leave.passed)
            self._hand_back(leave)

    def _hand_back(self, leave: Leave) -> None:
        leave.handed_back = True
        self.in_flight.leave()

    async def forward(
        self, leave: Leave, errand: Errand, request: InferRequest, codec: Codec, seconds: float, *, fair: bool
    ) -> Forwarded:
        """Asks the challenger. Raises ForwardFailed.

        `fair` says that `seconds` are what the challenger may expect; running out of less is not held against it.
        """
        try:
            answer = await self.peer.ask(errand, request, codec, seconds)
        except ForwardFailed as failure:
            if failure.status not in _REFUSES_THE_REQUEST and (failure.reason is not Fallback.TIMEOUT or fair):
                self.breaker.settle(leave.passed, good=False, now=time.monotonic())
                self._hand_back(leave)
            raise
        else:
            self.breaker.settle(leave.passed, good=True, now=time.monotonic())
            self._hand_back(leave)
            return answer
        finally:
            self.leave(leave)  # the client left, or it was the client's fault

    async def close(self) -> None:
        await self.mirror.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.close_seconds):
                await self.in_flight.idle.wait()
        self.peer.close()


class Links:
    """The links of this process by (challenger, host)."""

    def __init__(self, make: Callable[[str, str], Link]) -> None:
        self._make = make
        self._links: dict[tuple[str, str], Link] = {}

    def hold(self, name: str, host: str) -> Link:
        link = self._links.get((name, host))
        if link is None:
            link = self._links[name, host] = self._make(name, host)
        link.users += 1
        return link

    async def close_mirrors(self) -> None:
        await asyncio.gather(*(link.mirror.close() for link in self._links.values()))

    async def release(self, name: str, host: str) -> None:
        link = self._links[name, host]
        link.users -= 1
        if link.users == 0:
            del self._links[name, host]
            await link.close()
