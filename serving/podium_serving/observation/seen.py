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

    @property
    def route(self) -> str:
        """The path with names for what varies, or gRPC's method: what spans are grouped by."""
        return self.method if self.protocol == GRPC else route_of(self.path)


def route_of(path: str) -> str:
    """The path with names in place of what varies: `/v2/models/{model}/versions/{version}/infer`."""
    parts = path.split("/")
    at = parts.index("models") + 1 if "models" in parts[1:3] else len(parts)
    if at < len(parts):
        _, colon, verb = parts[at].partition(":")
        parts[at] = "{model}" + colon + verb
    if parts[at + 1 : at + 2] == ["versions"] and len(parts) > at + 2:
        parts[at + 2] = "{version}"
    return "/".join(parts)
