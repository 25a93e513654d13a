"""The gRPC port's life: which calls it has, whom it lets in, bind, serve, drain, stop."""

import asyncio
import logging
import ssl

from podium_serving.calls import Calls
from podium_serving.exchange import Overloaded, ServingError
from podium_serving.http.gate import Gate
from podium_serving.repository import IN_A_CLUSTER, Repository
from podium_serving.rpc.call import Load, Method, Refused, UnaryCall
from podium_serving.rpc.health import HEALTH, Health
from podium_serving.rpc.http2.connection import Connection
from podium_serving.rpc.http2.frames import ErrorCode, StreamFault
from podium_serving.rpc.http2.headers import RawHeaders, status_block
from podium_serving.rpc.http2.stream import Limits, Link, Receiver, Stream
from podium_serving.rpc.infer import Inferences
from podium_serving.rpc.metadata import CallHead, read_head
from podium_serving.rpc.models import Models
from podium_serving.rpc.observing import RpcObserver
from podium_serving.rpc.reflection import REFLECTION, REFLECTION_V1, Reflection
from podium_serving.rpc.status import HEAD, Unimplemented, trailers
from podium_serving.rpc.streaming import InferStream
from podium_serving.security.tls import HANDSHAKE_SECONDS, SHUTDOWN_SECONDS
from podium_serving.settings import HttpSettings

logger = logging.getLogger(__name__)

INFERENCE = "inference.GRPCInferenceService"
SWEEP_SECONDS = 1.0
_POLL_SECONDS = 0.02
_OPEN_MESSAGE_BYTES = 65_536
_OPEN_BUFFERED_BYTES = 4 * 1024 * 1024
_OPEN_CALLS = 1024
_BACKLOG = 2048


class RpcServer:
    """One listening port that speaks gRPC. A Listener for its connections."""

    def __init__(
        self,
        calls: Calls,
        gate: Gate,
        settings: HttpSettings,
        tls: ssl.SSLContext | None = None,
        repository: Repository = IN_A_CLUSTER,
        observer: RpcObserver | None = None,
    ) -> None:
        self.limits = Limits(idle_seconds=settings.keep_alive_seconds)
        self._calls = calls
        self._gate = gate
        self._tls = tls
        self.load = Load(settings.max_body_bytes, settings.max_buffered_bytes, settings.body_timeout_seconds)
        self._inferences = Inferences(calls, observer, self.load.reading)
        # Whoever has no key must not use up what those who have one may hold.
        self.open_load = Load(_OPEN_MESSAGE_BYTES, _OPEN_BUFFERED_BYTES, settings.body_timeout_seconds, _OPEN_CALLS)
        self._methods = self._all_methods(Models(calls, repository))
        self.links: set[Link] = set()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop
        self.port = 0
        """The bound port, once started."""

    @property
    def connections(self) -> int:
        return len(self.links)

    async def start(self, bind: str, port: int, *, shared: bool = False) -> None:
        """`shared`: other processes listen on it too, and the kernel spreads connections (SO_REUSEPORT).

        Raises OSError when the port is taken.
        """
        self._loop = loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self, loop),
            bind,
            port,
            backlog=_BACKLOG,
            reuse_port=shared or None,
            ssl=self._tls,
            ssl_handshake_timeout=HANDSHAKE_SECONDS if self._tls else None,
            ssl_shutdown_timeout=SHUTDOWN_SECONDS if self._tls else None,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self, limit_seconds: float) -> None:
        """Stops accepting, asks clients to go elsewhere, waits for their calls, then cuts off what is left.

        Call it after the grace in which endpoints update. Returns within `limit_seconds`.
        """
        deadline = self._loop.time() + limit_seconds
        if self._server is not None:
            self._server.close()
        while self.links and self._loop.time() < deadline:
            for link in list(self.links):
                link.shutdown()
            await asyncio.sleep(_POLL_SECONDS)
        if self.links:
            logger.warning("%d gRPC connections are cut off after %g s of draining", len(self.links), limit_seconds)
        for link in list(self.links):
            link.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)

    # Listener

    def opened(self, connection: Link) -> None:
        self.links.add(connection)

    def closed(self, connection: Link) -> None:
        self.links.discard(connection)

    def interpret(self, headers: RawHeaders) -> CallHead:
        return read_head(headers)

    def call(self, head: CallHead, stream: Stream) -> Receiver:
        if head.malformed:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR, stream.number)
        if head.http_refusal:
            return Refused(stream, status_block(head.http_refusal))
        method = self._methods.get(head.path)
        if method is None:
            path = head.path[:200].decode("latin-1")
            return self._refused(stream, Unimplemented(f"nothing is called {path} here"))
        refusal = None if method.open_to_all else self._gate.refusal(head.authorization, head.api_key)
        refusal = refusal or head.refusal or self._too_many(method)
        if refusal is not None:
            self._inferences.refused(head, "", self._loop.time(), refusal)
            return self._refused(stream, refusal)
        if method.unary is not None:
            load = self.open_load if method.open_to_all else self.load
            return UnaryCall(head, stream, method.unary, load, self._loop.time())
        assert method.streaming is not None, "one of the two"
        return method.streaming(head, stream)

    def _too_many(self, method: Method) -> ServingError | None:
        """Health is asked and answered whatever the load is."""
        load = self.open_load if method.open_to_all else self.load
        if load.calls < load.max_calls or (method.open_to_all and method.unary is not None):
            return None
        return Overloaded(f"{load.max_calls} calls are open; try again")

    def _refused(self, stream: Stream, error: ServingError) -> Receiver:
        return Refused(stream, HEAD + trailers(error))

    def _all_methods(self, models: Models) -> dict[bytes, Method]:
        inferences = self._inferences

        def infer_stream(head: CallHead, stream: Stream) -> Receiver:
            return InferStream(head, stream, self.load, inferences.infer, self._loop.time)

        inference = {
            **models.methods(),
            "ModelInfer": Method(inferences.infer),
            "ModelStreamInfer": Method(streaming=infer_stream),
        }
        health = Health(self._ready, (INFERENCE, HEALTH), self.open_load)
        reflection = Reflection((INFERENCE, HEALTH, REFLECTION), self.load).methods()
        services = {INFERENCE: inference, HEALTH: health.methods(), REFLECTION: reflection, REFLECTION_V1: reflection}
        return {f"/{service}/{name}".encode(): method for service in services for name, method in services[service].items()}

    def _ready(self) -> bool:
        return all(state.ready for state in self._calls.states.values())

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = self._loop.time()
            for link in list(self.links):
                try:
                    link.sweep(now)
                except Exception:  # of one connection; the others still have to be looked after
                    logger.exception("a connection is cut off, for it cannot be swept")
                    link.abort()
