"""What this process answers with. One attribute, replaced in one assignment: that assignment is the flip.

The HTTP lane reads `current` once per request, at admission, and keeps what it read until the request is answered. So a
request is answered by the plan that admitted it, and nothing in between. Written by `swap` only.
"""

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Protocol

from podium_crds.package import Descriptor, GoldenRow
from podium_crds.plan import Envelope, Plan
from podium_serving.exchange import Answer, Columns, InferRequest
from podium_serving.inference import Cancel, Done, Inference
from podium_serving.metrics import Tally
from podium_serving.oip.codec import Codec


@dataclass(slots=True)
class Timing:
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


@dataclass(slots=True)
class Serving:
    """A committed plan with all that is needed to answer under it."""

    plan: Plan
    commit: Envelope
    model: Model | None
    """None: the champion lives in another pool, and the responder forwards to it."""
    descriptor: Descriptor
    responder: Responder
    open_requests: int = 0
    last_admitted: float | None = None
    """Unix seconds of the newest admission under this plan; first_admitted likewise of the oldest."""
    first_admitted: float | None = None
    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    """What counts its answers, by version and role. Kept here, for as long as the plan, so that none is looked up again."""
    codec: Codec = field(init=False)
    """Reads requests and writes answers of this descriptor."""

    def __post_init__(self) -> None:
        self.codec = Codec(self.descriptor)


@dataclass(slots=True)
class ServingState:
    current: Serving | None = None
    draining: bool = False
    """SIGTERM came: keep accepting while endpoints update, answer `Connection: close`."""
    behind: bool = False
    """A higher committed epoch is known than `current` holds. The pod leaves the Service (not ready); what still arrives is
    a late answer, which `swap` bounds: after a grace it sets `current` to None."""
    locked: bool = False
    """The gate knows nobody yet, so that every request would be refused: not ready."""
    late_admissions: int = 0
    """Requests admitted while `behind`, counted by the HTTP lane; `swap` hands the number to the metrics and begins anew."""
    retired: list[Serving] = field(default_factory=list)
    """Flipped away from but with open requests; `swap` drops them when they are done."""

    @property
    def ready(self) -> bool:
        return self.current is not None and not self.draining and not self.behind and not self.locked
