"""Shadow requests: sent after the client has its answer, joined, from a bounded queue that sheds what it cannot hold.

A shadow may be late, slow or broken; none of it reaches a client. What it costs the champion's pod is bounded by the queue
and by how many exchanges are open. An exchange costs the loop as much as answering three requests, so copies gather for a
moment and go joined, as one request of many rows; its answer is cut up again. A joined exchange that the challenger refuses
is tried once more copy by copy, for the fault may be one row's, but not again and again: once in a while.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

import msgspec
import numpy as np

from podium_serving.exchange import Columns, Fallback, InferRequest
from podium_serving.metrics import Value, Values
from podium_serving.oip.codec import Codec
from podium_serving.traffic.forward import Errand, ForwardFailed, Peer, check_finite, size_of
from podium_serving.traffic.limits import TrafficLimits

logger = logging.getLogger(__name__)


class Shadowed(msgspec.Struct, eq=False):
    """What came of a copy: outputs, or None and why."""

    columns: Columns | None
    error: str = ""


Report = Callable[[Shadowed], None]


class Shadow(msgspec.Struct, eq=False):
    """A copy of one request. `report` is called once, unless the copy is shed."""

    errand: Errand
    request: InferRequest
    codec: Codec
    seconds: float
    report: Report | None
    size: int = 0
    """Bytes of its columns."""
    settled: bool = False


class Mirror:
    """The queue to one challenger's pool."""

    def __init__(self, name: str, peer: Peer, limits: TrafficLimits, outcomes: Values) -> None:
        self._name = name
        self._peer = peer
        self._limits = limits
        self._outcomes = outcomes
        self._counts: dict[str, Value] = {}
        self._waiting: deque[Shadow] = deque()
        self._waiting_bytes = 0
        self._waiting_rows = 0
        self._timer: asyncio.TimerHandle | None = None
        self._workers: dict[asyncio.Task[None], list[Shadow]] = {}
        """And the copies that each has in its hands."""
        self._apart_after = 0.0
        """Monotonic seconds until when no refused exchange is tried copy by copy."""
        self._closed = False

    def offer(self, shadow: Shadow) -> None:
        """Queues the copy or sheds it; returns at once."""
        limits = self._limits
        shadow.size = size = size_of(shadow.request.columns)
        if size > limits.max_forward_body_bytes:
            self._count("BodyTooLarge")
            return
        full = len(self._waiting) >= limits.mirror_queue or self._waiting_bytes + size > limits.mirror_queue_bytes
        if full or self._closed:
            self._count("Shed")
            return
        self._waiting.append(shadow)
        self._waiting_bytes += size
        self._waiting_rows += shadow.request.rows
        self._send_soon()

    def _send_soon(self) -> None:
        if self._waiting_rows >= self._limits.mirror_rows:
            self._start()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._limits.mirror_linger_seconds, self._linger_over)

    def _linger_over(self) -> None:
        self._timer = None
        if self._waiting:
            self._start()

    def _start(self) -> None:
        if len(self._workers) < self._limits.mirror_in_flight:
            copies = self._next()
            worker = asyncio.get_running_loop().create_task(self._work(copies))
            self._workers[worker] = copies
            worker.add_done_callback(self._ended)

    def _ended(self, worker: asyncio.Task[None]) -> None:
        self._workers.pop(worker, None)
        if self._waiting and not self._closed:
            self._send_soon()

    def _next(self) -> list[Shadow]:
        """The oldest copies that may go together: to one version of one model, alike in shape, up to the limits."""
        first = self._waiting[0]
        copies: list[Shadow] = []
        rows = size = 0
        while self._waiting:
            shadow = self._waiting[0]
            rows, size = rows + shadow.request.rows, size + shadow.size
            if copies and (
                rows > self._limits.mirror_rows
                or size > self._limits.max_forward_body_bytes
                or not _goes_with(first, shadow)
            ):
                break
            copies.append(self._waiting.popleft())
            self._waiting_bytes -= shadow.size
            self._waiting_rows -= shadow.request.rows
        return copies

    async def _work(self, copies: list[Shadow]) -> None:
        failure = await self._send(copies)
        if failure is None:
            return
        now = time.monotonic()
        if len(copies) > 1 and _perhaps_one_rows_fault(failure) and now >= self._apart_after:
            self._apart_after = now + self._limits.mirror_apart_seconds
            await self._send_apart(copies)
        else:
            self._failed(copies, failure)

    async def _send_apart(self, copies: list[Shadow]) -> None:
        """One by one, until one is not answered in time: each of the others would take as long, and others wait."""
        for number, shadow in enumerate(copies, start=1):
            failed = await self._send([shadow])
            if failed is None:
                continue
            self._failed([shadow], failed)
            if failed.reason is Fallback.TIMEOUT:
                self._failed(copies[number:], failed)
                return

    async def _send(self, copies: list[Shadow]) -> ForwardFailed | None:
        first = copies[0]
        try:
            forwarded = await self._peer.ask(first.errand, joined(copies), first.codec, first.seconds)
        except ForwardFailed as failure:
            return failure
        start = 0
        for shadow in copies:
            end = start + shadow.request.rows
            self._answered(shadow, {name: column[start:end] for name, column in forwarded.columns.items()})
            start = end
        return None

    def _answered(self, shadow: Shadow, columns: Columns) -> None:
        try:
            check_finite(columns)
        except ForwardFailed as failure:
            self._failed([shadow], failure)
            return
        self._settle(shadow, "Answered", Shadowed(columns))

    def _failed(self, copies: list[Shadow], failure: ForwardFailed) -> None:
        for shadow in copies:
            reason = failure.reason.value
            self._settle(shadow, reason, Shadowed(None, f"{reason}: {failure}"[:500]))

    def _settle(self, shadow: Shadow, outcome: str, shadowed: Shadowed) -> None:
        shadow.settled = True
        self._count(outcome)
        if shadow.report is None:
            return
        try:
            shadow.report(shadowed)
        except Exception:  # the others of its exchange are to be told, too
            logger.exception("what a shadow made of request %.128r was not captured", shadow.request.request_id)

    def _count(self, outcome: str, copies: int = 1) -> None:
        count = self._counts.get(outcome)
        if count is None:
            count = self._counts[outcome] = self._outcomes.labels(self._name, outcome)
        count.value += copies

    async def close(self) -> None:
        """Sends what waits as long as the limits allow; sheds the rest."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        until = loop.time() + self._limits.close_seconds
        while (self._waiting or self._workers) and (left := until - loop.time()) > 0:
            if self._waiting:
                self._start()
            await asyncio.wait(self._workers, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        left_over = [shadow for copies in self._workers.values() for shadow in copies if not shadow.settled]
        for worker in list(self._workers):
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        if left_over or self._waiting:
            self._count("Shed", len(left_over) + len(self._waiting))
        self._waiting.clear()
        self._waiting_bytes = self._waiting_rows = 0


def _perhaps_one_rows_fault(failure: ForwardFailed) -> bool:
    """Or that of their number: an answer that is too large for all of them may not be for each."""
    return failure.status in {400, 413, 422, 500} or failure.reason is Fallback.BAD_ANSWER


def joined(copies: list[Shadow]) -> InferRequest:
    """One request of all their rows, for all outputs, under the first one's id and trace."""
    first = copies[0].request
    if len(copies) == 1 and not first.wanted_outputs:
        return first
    columns = {name: np.concatenate([shadow.request.columns[name] for shadow in copies]) for name in first.columns}
    return InferRequest(
        columns=columns,
        rows=sum(shadow.request.rows for shadow in copies),
        admitted_at=first.admitted_at,
        deadline=first.deadline,
        request_id=first.request_id,
        traceparent=first.traceparent,
        tracestate=first.tracestate,
    )


def _goes_with(first: Shadow, other: Shadow) -> bool:
    if other.errand is not first.errand or other.codec is not first.codec:
        return False
    columns = other.request.columns
    return all(columns[name].shape[1:] == column.shape[1:] for name, column in first.request.columns.items())
