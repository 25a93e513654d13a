"""Takes what was answered and hands it to the sender, or drops and counts it: never blocks, never raises.

Rows are counted, not requests: `podium_capture_events_total` by outcome adds up to the rows of all sampled requests once
the buffer is empty. Accepted (durable at the collector), Dropped (the buffer was full), Refused (the collector will never
take it), Abandoned (the pod had to go).
"""

import asyncio
import secrets
import time

from podium_crds.capture import hash_key
from podium_crds.plan import Plan, PlannedRoute
from podium_serving.capture.events import CapturedRequest, CapturedRuns, CapturedShadow, Taken
from podium_serving.capture.limits import CaptureLimits
from podium_serving.capture.planned import PlanCapture
from podium_serving.capture.sender import Sender
from podium_serving.exchange import Answer, InferRequest
from podium_serving.metrics import Metrics
from podium_serving.settings import Settings
from podium_serving.traffic.mirror import Shadowed
from podium_serving.traffic.splitter import Blocks

_SAMPLED = "sampled"
_ASKS = "podium-capture"
"""The header by which clients ask, where the plan lets them."""
_LONGEST_OPEN_SECONDS = 0.05
_MOST_OPEN_ROWS = 128
"""Runs gather until they have so many rows, or so long: what they become costs as much for few rows as for many."""
_MOST_OPEN_KINDS = 16
"""Rows of answers that differ in who answered, and in whose place, gather apart."""


class Recorder:
    """One per process. Must be used from the event loop that it was made in."""

    def __init__(self, settings: Settings, metrics: Metrics, limits: CaptureLimits | None = None) -> None:
        self.stem = secrets.token_hex(8).encode()
        """Row r of request n has the event id `<stem>-<n in hexadecimal>-<r>`."""
        self._requests = 0
        token = settings.secrets.capture_token
        self._hash_key = hash_key(token) if token else b""
        self._planned: PlanCapture | None = None
        self._sample: tuple[int, Blocks] = (0, Blocks(b"", {}))
        self._sender = Sender(settings, limits or CaptureLimits(), metrics.capture_events)
        self._open: dict[bytes, CapturedRuns] = {}
        """By what their answers have in common."""
        self._closes: asyncio.TimerHandle | None = None

    def predicted(self, plan: Plan, request: InferRequest, answer: Answer) -> int | None:
        """The request's number, from which its rows' event ids follow; None when it is not captured.

        The buffer is asked once for rows that are written together: then all of them are kept or all dropped.
        """
        planned = self._planned_of(plan)
        if not planned.url:
            return None
        sampled = planned.percent >= 100 or self._sampled(planned.percent)
        if not sampled and not _always(planned, request, answer):
            return None
        members = planned.members(answer, sampled=sampled, pinned=request.pinned_version != "")
        if answer.texts is None or request.rows != 1:
            return self._take_request(planned, members, request, answer)
        runs = self._open.get(members)
        if runs is None or runs.planned is not planned or runs.rows >= _MOST_OPEN_ROWS:
            runs = self._new_runs(planned, members)
        number = runs.first + runs.rows
        runs.taken.append(Taken(request, answer.texts, answer.row, time.monotonic()))
        return number

    def shadowed(self, plan: Plan, route: PlannedRoute, number: int, rows: int, shadowed: Shadowed) -> None:
        """What a shadow made of the request that was captured under `number`."""
        self._sender.take(CapturedShadow(self.stem, number, self._planned_of(plan), route, rows, shadowed, time.time()))

    def _take_request(self, planned: PlanCapture, members: bytes, request: InferRequest, answer: Answer) -> int | None:
        self._requests = number = self._requests + 1
        latency = time.monotonic() - request.admitted_at
        captured = CapturedRequest(self.stem, number, planned, members, request, answer, time.time(), latency)
        return number if self._sender.take(captured) else None

    def _new_runs(self, planned: PlanCapture, members: bytes) -> CapturedRuns:
        if members not in self._open and len(self._open) >= _MOST_OPEN_KINDS:
            self._close_runs()
        if (full := self._open.pop(members, None)) is not None:
            self._sender.take(full)
        offset = time.time() - time.monotonic()
        runs = self._open[members] = CapturedRuns(self.stem, self._requests + 1, planned, members, offset)
        self._requests += _MOST_OPEN_ROWS  # the numbers of a block's requests have no gaps; those of blocks may
        if self._closes is None:
            self._closes = asyncio.get_running_loop().call_later(_LONGEST_OPEN_SECONDS, self._close_in_time)
        return runs

    def _close_runs(self) -> None:
        closed, self._open = self._open, {}
        for runs in closed.values():
            self._sender.take(runs)

    def _close_in_time(self) -> None:
        self._closes = None
        self._close_runs()

    def _planned_of(self, plan: Plan) -> PlanCapture:
        if self._planned is None or self._planned.plan is not plan:
            self._planned = PlanCapture(plan, self._hash_key)
        return self._planned

    def _sampled(self, percent: int) -> bool:
        """By permuted blocks, as arms are: the share is off by less than 100 requests, and no pattern of arrival aligns."""
        if self._sample[0] != percent:
            self._sample = percent, Blocks(secrets.token_bytes(32), {_SAMPLED: percent})
        return self._sample[1].next_arm() is not None

    async def close(self) -> None:
        """Sends what is left, for as long as the limits allow; the rest is counted as Abandoned."""
        if self._closes is not None:
            self._closes.cancel()
        self._close_runs()
        await self._sender.close()


def _always(planned: PlanCapture, request: InferRequest, answer: Answer) -> bool:
    """Whether a rule keeps what the sample leaves out."""
    if planned.keeps_fallbacks and answer.fallback and answer.arm_assigned != answer.arm_answered:
        return True
    return planned.keeps_asked_for and request.headers.get(_ASKS, "").strip().lower() == "always"
