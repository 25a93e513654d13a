"""`grpc.health.v1.Health`: what load balancers and the kubelet's gRPC probes ask (grpc/grpc, doc/health-checking.md)."""

from collections.abc import Callable
from typing import TypeAlias

from grpc_health.v1 import health_pb2 as wire

from podium_serving.exchange import InvalidRequest, NotFound
from podium_serving.rpc.call import Load, Method
from podium_serving.rpc.http2.stream import Receiver, Stream
from podium_serving.rpc.metadata import CallHead
from podium_serving.rpc.models import answered_at_once, parsed
from podium_serving.rpc.streaming import StreamingCall

HEALTH = "grpc.health.v1.Health"

Status: TypeAlias = int
"""A HealthCheckResponse.ServingStatus."""


class Health:
    """`ready` says whether the port's services serve; `services` are their names, besides the empty one for all."""

    def __init__(self, ready: Callable[[], bool], services: tuple[str, ...], load: Load) -> None:
        self._ready = ready
        self._services = frozenset(("", *services))
        self._load = load

    def methods(self) -> dict[str, Method]:
        return {
            "Check": Method(answered_at_once(wire.HealthCheckRequest, self.check), open_to_all=True),
            "Watch": Method(streaming=self.watch, open_to_all=True),
        }

    def check(self, request: wire.HealthCheckRequest) -> wire.HealthCheckResponse:
        """Raises NotFound for a service that is not here."""
        if request.service not in self._services:
            raise NotFound(f"no service '{request.service[:80]}' here")
        return wire.HealthCheckResponse(status=self.status(request.service))

    def watch(self, head: CallHead, stream: Stream) -> Receiver:
        return _Watch(head, stream, self._load, self.status)

    def status(self, service: str) -> Status:
        if service not in self._services:
            return wire.HealthCheckResponse.SERVICE_UNKNOWN
        return wire.HealthCheckResponse.SERVING if self._ready() else wire.HealthCheckResponse.NOT_SERVING


class _Watch(StreamingCall):
    """Tells a service's status, and each change of it within a second."""

    def __init__(self, head: CallHead, stream: Stream, load: Load, status: Callable[[str], Status]) -> None:
        super().__init__(head, stream, load)
        self._status = status
        self._service: str | None = None
        self._told: Status | None = None

    def on_message(self, message: bytes) -> None:
        if self._service is None:
            self._service = parsed(wire.HealthCheckRequest, message).service
            self._tell()

    def on_end(self) -> None:
        """The client says no more than one message; it is told until it leaves."""
        if self._service is None:
            self.fail(InvalidRequest("the call has no message"))

    def sweep(self, now: float) -> None:
        super().sweep(now)
        self._tell()

    def _tell(self) -> None:
        if self._service is not None and (status := self._status(self._service)) != self._told:
            self._told = status
            self.send(wire.HealthCheckResponse(status=status).SerializeToString())
