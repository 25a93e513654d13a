"""A committed plan with all that is needed to answer under it, and what such a thing is made of."""

from collections.abc import Awaitable
from typing import NamedTuple, Protocol

from podium_crds.package import Descriptor, GoldenRow
from podium_crds.plan import Envelope, Plan
from podium_serving.exchange import Answer, Columns, InferRequest
from podium_serving.inference import Cancel, Done, Inference
from podium_serving.metrics import Tally
from podium_serving.oip.codec import Codec


class Timing(NamedTuple):
    """Seconds that one request waited and ran."""

    queue_seconds: float = 0.0
    inference_seconds: float = 0.0


class Model(Protocol):
    """A loaded version (podium_serving.model.loaded.LoadedModel): ONNX session, batcher, hooks."""

    descriptor: Descriptor
    digest: str
    """The package's digest (sha256:...)."""
    loaded_bytes: int

    def submit(self, entry: Inference) -> None:
        """Runs its rows (joined with whatever else waits in this turn of the loop) and finishes it. Raises Overloaded or
        NotServing."""

    def infer(self, columns: Columns, rows: int, deadline: float) -> Awaitable[tuple[Columns, Timing]]:
        """The same for coroutines. Raises ServingError."""

    @property
    def golden(self) -> tuple[GoldenRow, ...]:
        """The package's own, which predictions are explained against."""

    async def run_aside(self, columns: Columns, rows: int, deadline: float) -> Columns:
        """Answers rows beside the batches: for work that may wait. Keep runs short. Raises ServingError."""

    async def close(self) -> None:
        """Waits for what runs, then drops the session off the hot path."""


class Responder(Protocol):
    """Answers requests under one plan (podium_serving.traffic.responder): splits, forwards, mirrors, captures."""

    def begin(self, request: InferRequest, done: Done) -> Cancel:
        """Answers. Never fails because of a challenger: an error is the champion's own."""

    def answered(self, request: InferRequest, answer: Answer, admitted: "Serving") -> None:
        """Called after the answer is on the wire: shadows and capture happen here. Returns at once, never raises."""

    async def close(self) -> None: ...


class Serving:
    """A committed plan with all that is needed to answer under it. Read by every request, and counted in."""

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
