"""A committed plan with all that is needed to answer under it: what every request reads, and is counted in."""

from typing import Protocol

from podium_crds.package import Descriptor
from podium_crds.plan import Envelope, Plan
from podium_serving.exchange import Answer, InferRequest
from podium_serving.inference import Cancel, Done
from podium_serving.metrics import Tally
from podium_serving.model_interface import Model
from podium_serving.oip.codec import Codec


class Responder(Protocol):
    """Answers requests under one plan (podium_serving.traffic.responder): splits, forwards, mirrors, captures."""

    def begin(self, request: InferRequest, done: Done) -> Cancel:
        """Answers. Never fails because of a challenger: an error is the champion's own."""

    def answered(self, request: InferRequest, answer: Answer, admitted: "Serving") -> None:
        """Called after the answer is on the wire: shadows and capture happen here. Returns at once, never raises."""

    async def close(self) -> None: ...


class Serving:
    """Of one plan, from its flip until its last request is answered."""

    def __init__(
        self, plan: Plan, commit: Envelope, model: Model | None, descriptor: Descriptor, responder: Responder
    ) -> None:
        self.plan = plan
        self.commit = commit
        self.model = model
        """None: the champion lives in another pool, and the responder forwards to it."""
        self.descriptor = descriptor
        self.responder = responder
        self.codec = Codec(descriptor)
        """Reads requests and writes answers of this descriptor."""
        self.open_requests = 0
        self.first_admitted: float | None = None
        """Unix seconds just after the first request read this plan. So of two plans, in whatever process each was read, the
        later one's is never before the earlier one's `last_admitted`."""
        self.last_admitted: float | None = None
        """Unix seconds just before the newest request read it."""
        self.tallies: dict[tuple[str, str], Tally] = {}
        """What counts its answers, by version and role. Kept here, for as long as the plan, so that none is looked up
        again."""
