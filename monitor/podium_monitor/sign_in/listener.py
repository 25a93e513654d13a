"""The port for the proxy: mutual TLS, in the same process and with the same application as the plain port."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.types import ASGIApp

from podium_monitor.listening import LISTENING
from podium_monitor.sign_in.proxy import NamedPeerProtocol
from podium_monitor.sign_in.settings import Proxy

_LOOK_SECONDS = 30.0


class _Quiet(uvicorn.Server):
    """The process' signals belong to the server of the plain port."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def mutual_tls(app: ASGIApp, settings: Proxy, bind: str) -> AsyncIterator[None]:
    """Serves `app` to the holders of a certificate of the proxy's authority; which of them is the proxy, ProxyReception
    decides. Renewed files count for new connections; an authority that was trusted stays so until the process ends.
    Raises OSError and ssl.SSLError if it cannot begin."""
    config = uvicorn.Config(
        app,
        host=bind,
        port=settings.port,
        lifespan="off",
        **{**LISTENING, "http": NamedPeerProtocol},
        ssl_certfile=str(settings.certificate),
        ssl_keyfile=str(settings.key),
        ssl_ca_certs=str(settings.ca_file),
        ssl_cert_reqs=ssl.CERT_REQUIRED,
    )
    config.load()
    assert config.ssl is not None
    config.ssl.minimum_version = ssl.TLSVersion.TLSv1_2
    server = _Quiet(config)
    serving = asyncio.create_task(server.serve())
    renewing = asyncio.create_task(_renewing(config.ssl, settings))
    try:
        await _started(server, serving)
        yield
    finally:
        renewing.cancel()
        server.should_exit = True
        await serving


async def _started(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    """uvicorn has no event for it. Raises OSError if the port is taken."""
    while not server.started:
        if serving.done():
            await serving
            raise OSError(f"port {server.config.port} cannot be listened on")
        await asyncio.sleep(0.01)


async def _renewing(context: ssl.SSLContext, settings: Proxy) -> None:
    """A Secret's volume changes under our feet when its certificate is renewed."""
    seen = _stamp(settings)
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        with contextlib.suppress(OSError, ssl.SSLError):  # half renewed: the next look finds both
            if (found := _stamp(settings)) != seen:
                context.load_cert_chain(settings.certificate, settings.key)
                context.load_verify_locations(settings.ca_file)
                seen = found


def _stamp(settings: Proxy) -> tuple[int, ...]:
    return tuple(path.stat().st_mtime_ns for path in (settings.certificate, settings.key, settings.ca_file))
