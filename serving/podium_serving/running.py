"""The serving process, wired: state, traffic, ports; and its end, in the order in which nothing is lost."""

import asyncio
import gc
import logging
import time
from collections.abc import Sequence
from typing import Protocol

from podium_serving import build
from podium_serving.calls import ForwardedCalls, PublicCalls
from podium_serving.control.running import HotSwap
from podium_serving.http.app import forward_app, public_app
from podium_serving.http.endpoint import Access
from podium_serving.http.gate import Guarded
from podium_serving.http.ports import ForwardPort, PublicPort
from podium_serving.http.server import HttpServer
from podium_serving.metrics import Exposition, Metrics
from podium_serving.rpc.running import rpc_server
from podium_serving.security.entrance import Entrance
from podium_serving.settings import Settings
from podium_serving.state import ServingState
from podium_serving.traffic.factory import make_responder_factory

logger = logging.getLogger(__name__)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Serves as a pod of a deployment until `stop`. Raises OSError when a port is taken."""
    state = ServingState()
    metrics = Metrics(settings.namespace, settings.deployment)
    ports = Ports(settings, state, metrics, metrics.answer)
    # The ports first: liveness answers while a large model is fetched and loaded.
    await ports.start()
    swap = await HotSwap.start(settings, state, metrics, ports.traffic)
    quiet_collector()
    try:
        await stop.wait()
    finally:
        await ports.close()
        await swap.close()


class Ports:
    """What clients and other pods reach in one process of a pod, and what stands behind it."""

    def __init__(self, settings: Settings, state: ServingState, metrics: Metrics, exposition: Exposition) -> None:
        """`exposition` gives the metrics' text of the pod."""
        self._settings = settings
        self._state = state
        self.traffic = make_responder_factory(settings, metrics)
        self._entrance = Entrance.of(settings, [state], metrics)
        calls = PublicCalls({settings.deployment: state}, metrics)
        self._public = _public(settings, state, calls, self._entrance, exposition)
        self._rpc = rpc_server(settings, calls, self._entrance) if settings.grpc_port is not None else None
        forwarded = ForwardedCalls({settings.deployment: state}, metrics)
        forward_port = ForwardPort(forwarded, settings.secrets.token)
        forward_port.observer = self._entrance.forward_observer
        self._forward = HttpServer(forward_port, forward_app(), settings.http)

    async def start(self, *, shared: bool = False) -> None:
        """Listens. `shared`: beside other processes on the same ports. Raises OSError when a port is taken."""
        settings = self._settings
        self._entrance.start()
        await self._public.start(settings.bind, settings.http_port, shared=shared)
        await self._forward.start(settings.bind, settings.forward_port, shared=shared)
        if self._rpc is not None and settings.grpc_port is not None:
            await self._rpc.start(settings.bind, settings.grpc_port, shared=shared)
        said = (settings.namespace, settings.deployment, self._public.port, build.words())
        logger.info("serving %s/%s on port %d (%s)", *said)

    async def close(self) -> None:
        """Drains, so that no client loses a request."""
        servers: list[Server] = [self._public, self._forward, *([self._rpc] if self._rpc else [])]
        await drain(self._settings, [self._state], servers)
        await self._entrance.close()
        await self.traffic.close()


def quiet_collector() -> None:
    """Keeps the garbage collector from walking all that was imported, again and again, while requests wait.

    A full collection of the 86,000 objects there are after the imports took 88 ms of CPU time, 0.001 ms once they are
    frozen. Requests make few cycles, so looking for them can wait, too.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


class Server(Protocol):
    async def stop(self, limit_seconds: float) -> None: ...


async def drain(settings: Settings, states: Sequence[ServingState], servers: Sequence[Server]) -> None:
    """New connections are taken until endpoints had time to update; what is open then gets the rest of the time."""
    started = time.monotonic()
    for state in states:
        state.draining = True
    logger.info("draining: accepting for %g s more", settings.http.drain_grace_seconds)
    await asyncio.sleep(settings.http.drain_grace_seconds)
    left = settings.http.drain_limit_seconds - (time.monotonic() - started)
    await asyncio.gather(*(server.stop(max(left, 0.0)) for server in servers))
    logger.info("drained in %.1f s", time.monotonic() - started)


def _public(
    settings: Settings, state: ServingState, calls: PublicCalls, entrance: Entrance, exposition: Exposition
) -> HttpServer:
    gate, certificate = entrance.gate, entrance.certificate
    app = entrance.watched(Guarded(public_app(calls, exposition, access=Access.of(settings)), gate))
    port = PublicPort(calls, gate, settings.outside_training)
    port.observer = entrance.public_observer
    return HttpServer(port, app, settings.http, certificate.context("http/1.1") if certificate else None)
