"""The gRPC port from this process's settings."""

from podium_serving.calls import Calls
from podium_serving.repository import IN_A_CLUSTER, Repository
from podium_serving.rpc.observing import RpcObserver
from podium_serving.rpc.server import RpcServer
from podium_serving.security.entrance import Entrance
from podium_serving.settings import Settings


def rpc_server(settings: Settings, calls: Calls, entrance: Entrance, repository: Repository = IN_A_CLUSTER) -> RpcServer:
    """Behind the same gate, certificate and observation as the public port. It does not listen yet."""
    context = entrance.certificate.context("h2") if entrance.certificate is not None else None
    observer = RpcObserver(entrance.observation.public, entrance.gate, "https" if context is not None else "http")
    return RpcServer(
        calls,
        entrance.gate,
        settings.http,
        tls=context,
        repository=repository,
        observer=observer if entrance.observation.public.active else None,
    )
