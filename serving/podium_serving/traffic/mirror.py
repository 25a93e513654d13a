"""Shadow requests: sent after the client has its answer, from a bounded queue that sheds what it cannot hold.

A shadow may be late, slow or broken; none of it reaches a client. What it costs the champion's pod is bounded by the queue
and by how many are in flight.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from podium_serving.exchange import Columns, Fallback, InferRequest
from podium_serving.metrics import Values
from podium_serving.oip.codec import Codec
from podium_serving.traffic.forward import Errand, ForwardFailed, Peer
from podium_serving.traffic.limits import TrafficLimits

Report = Callable[[Columns | None, str], None]
"""What came of a shadow: its outputs, or None and why."""


@dataclass(frozen=True, slots=True)
class Shadow:
    """One request to be mirrored. `report` is called once, unless the request is shed."""

    errand: Errand
    request: InferRequest
    codec: Codec
    seconds: float
    report: Report | None


class Mirror:
    """The queue to one challenger's pool."""

    def __init__(self, name: str, peer: Peer, limits: TrafficLimits, outcomes: Values) -> None:
        self._name = name
        self._peer = peer
        self._limits = limits
        self._outcomes = outcomes
        self._waiting: deque[Shadow] = deque()
        self._waiting_bytes = 0
        self._workers: set[asyncio.Task[None]] = set()

    def offer(self, shadow: Shadow) -> None:
        """Queues the shadow or sheds it; returns at once."""
        size = len(shadow.request.body)
        if size > self._limits.max_forward_body_bytes:
            self._count("BodyTooLarge")
            return
        if len(self._waiting) >= self._limits.mirror_queue or self._waiting_bytes + size > self._limits.mirror_queue_bytes:
            self._count("Shed")
            return
        self._waiting.append(shadow)
        self._waiting_bytes += size
        if len(self._workers) < self._limits.mirror_in_flight:
            worker = asyncio.get_running_loop().create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _work(self) -> None:
        while self._waiting:
            shadow = self._waiting.popleft()
            self._waiting_bytes -= len(shadow.request.body)
            await self._send(shadow)

    async def _send(self, shadow: Shadow) -> None:
        try:
            forwarded = await self._peer.ask(shadow.errand, shadow.request, shadow.codec, shadow.seconds)
        except ForwardFailed as failure:
            self._count(failure.reason.value)
            if shadow.report is not None:
                shadow.report(None, f"{failure.reason.value}: {failure}"[:500])
            return
        self._count("Answered")
        if shadow.report is not None:
            shadow.report(forwarded.columns, Fallback.NONE.value)

    def _count(self, outcome: str) -> None:
        self._outcomes.labels(self._name, outcome).inc()

    async def close(self) -> None:
        """Sends what waits as long as the limits allow; sheds the rest."""
        if self._workers:
            await asyncio.wait(self._workers, timeout=self._limits.close_seconds)
        for worker in list(self._workers):
            worker.cancel()
            self._count("Shed")
        await asyncio.gather(*self._workers, return_exceptions=True)
        while self._waiting:
            self._waiting.popleft()
            self._count("Shed")
        self._waiting_bytes = 0
