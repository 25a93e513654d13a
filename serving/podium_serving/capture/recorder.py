"""Takes what was answered and hands it to the sender, or drops and counts it: never blocks, never raises.

Rows are counted, not requests: `podium_capture_events_total` by outcome adds up to the rows of all sampled requests once
the buffer is empty. Accepted (durable at the collector), Dropped (the buffer was full), Refused (the collector will never
take it), Abandoned (the pod had to go).
"""

import secrets
import time

from podium_crds.plan import Plan, PlannedRoute
from podium_serving.capture.events import CapturedPrediction, CapturedShadow
from podium_serving.capture.limits import CaptureLimits
from podium_serving.capture.sender import Sender
from podium_serving.capture.texts import PlanText
from podium_serving.exchange import Answer, InferRequest
from podium_serving.metrics import Metrics
from podium_serving.settings import Settings
from podium_serving.traffic.mirror import Shadowed
from podium_serving.traffic.splitter import Blocks

_SAMPLED = "sampled"


class Recorder:
    """One per process. Must be used from the event loop that it was made in."""

    def __init__(self, settings: Settings, metrics: Metrics, limits: CaptureLimits | None = None) -> None:
        self._process = secrets.token_hex(8).encode()
        self._predictions = 0
        self._plan: Plan | None = None
        self._sample: tuple[int, Blocks] = (0, Blocks(b"", {}))
        self._text: PlanText
        self._sender = Sender(settings, limits or CaptureLimits(), metrics.capture_events)

    def predicted(self, plan: Plan, request: InferRequest, answer: Answer) -> bytes | None:
        """The stem of the event ids that the request's rows got; None when it is not captured."""
        if not plan.capture.url or not self._sampled(plan.capture.percent):
            return None
        self._predictions += 1
        event = b"%b-%x" % (self._process, self._predictions)
        latency = time.monotonic() - request.admitted_at
        captured = CapturedPrediction(event, time.time(), self._text_of(plan), request, answer, latency)
        return event if self._sender.take(captured) else None

    def shadowed(self, plan: Plan, route: PlannedRoute, event: bytes, rows: int, shadowed: Shadowed) -> None:
        """What a shadow made of the prediction whose stem is `event`."""
        self._sender.take(CapturedShadow(event, time.time(), self._text_of(plan), route, rows, shadowed))

    def _text_of(self, plan: Plan) -> PlanText:
        if plan is not self._plan:
            self._plan, self._text = plan, PlanText(plan)
        return self._text

    def _sampled(self, percent: int) -> bool:
        """By permuted blocks, as arms are: the share is off by less than 100 requests, and no pattern of arrival aligns."""
        if percent >= 100:
            return True
        if self._sample[0] != percent:
            self._sample = percent, Blocks(secrets.token_bytes(32), {_SAMPLED: percent})
        return self._sample[1].next_arm() is not None

    async def close(self) -> None:
        """Sends what is left, for as long as the limits allow; the rest is counted as Abandoned."""
        await self._sender.close()
