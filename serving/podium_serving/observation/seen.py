"""One request as its observers see it, whatever protocol it came by. Data only."""

from dataclasses import dataclass

from podium_serving.exchange import Answer, InferRequest
from podium_serving.observation.trace_context import Trace

HTTP = "HTTP"
GRPC = "gRPC"


@dataclass(slots=True)
class Seen:
    """Made once the response is on the wire, and only of requests that are logged or traced."""

    protocol: str
    """HTTP or GRPC."""
    method: str
    """POST; for gRPC the full method, inference.GRPCInferenceService/ModelInfer."""
    path: str
    """Without its query, which may hold what is nobody's business. Empty for gRPC."""
    route: str
    """The path with names for what varies, or the method: what spans are grouped by."""
    status: int
    """HTTP's, also for gRPC."""
    admitted_at: float
    """Monotonic seconds."""
    ended_at: float
    scheme: str = "http"
    request_id: str = ""
    model: str = ""
    caller: str = ""
    bytes_in: int = 0
    bytes_out: int = 0
    reason: str = ""
    """One word for why it failed. Not the sentence, which may repeat values of the request."""
    request: InferRequest | None = None
    answer: Answer | None = None
    trace: Trace | None = None
    """None: it is logged only."""

    @property
    def failed(self) -> bool:
        return self.status >= 400
