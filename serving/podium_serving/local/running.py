"""The local server, wired: models, entrance, HTTP and gRPC; and its end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from podium_serving.http.app import public_app
from podium_serving.http.endpoint import Access
from podium_serving.http.gate import Guarded
from podium_serving.http.ports import PublicPort
from podium_serving.http.server import HttpServer
from podium_serving.local.counting import Figures, LocalCalls
from podium_serving.local.models import LocalModels, repository_of
from podium_serving.metrics import Exposition
from podium_serving.rpc.running import rpc_server
from podium_serving.running import Server, drain, quiet_collector
from podium_serving.security.entrance import Entrance
from podium_serving.settings import Settings


@dataclass(frozen=True, slots=True)
class LocalPorts:
    """Those that are bound."""

    http: int
    grpc: int | None


@asynccontextmanager
async def local(
    models: LocalModels, settings: Settings, figures: Figures, exposition: Exposition, *, changeable: bool, shared: bool
) -> AsyncIterator[LocalPorts]:
    """Serves what `models` have in memory until the end of the block. Raises OSError when a port is taken.

    `exposition` is what /metrics says, `figures` count what reached no model; `shared`: beside others on the same ports.
    """
    others = figures.others
    calls = LocalCalls(models.states, models.metrics, others)
    repository = repository_of(models, changeable=changeable)
    entrance = Entrance.of(settings, list(models.states.values()), others)
    app = public_app(calls, exposition, repository, Access.of(settings))
    port = PublicPort(calls, entrance.gate, settings.outside_training)
    port.observer = entrance.public_observer
    context = entrance.certificate.context("http/1.1") if entrance.certificate else None
    public = HttpServer(port, entrance.watched(Guarded(app, entrance.gate)), settings.http, context)
    servers: list[Server] = [public]
    entrance.start()
    await public.start(settings.bind, settings.http_port, shared=shared)
    rpc_port = None
    if settings.grpc_port is not None:
        rpc = rpc_server(settings, calls, entrance, repository)
        await rpc.start(settings.bind, settings.grpc_port, shared=shared)
        servers.append(rpc)
        rpc_port = rpc.port
    quiet_collector()
    try:
        yield LocalPorts(public.port, rpc_port)
    finally:
        await drain(settings, list(models.states.values()), servers)
        await entrance.close()
