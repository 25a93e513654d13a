"""A port's life: bind, serve, drain, stop. Where uvicorn's own server closes its listener first, this one closes it last."""

import asyncio
import contextlib
import logging
import ssl
import time
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from podium_serving.http.lane import LaneProtocol
from podium_serving.http.lane_state import Lane
from podium_serving.http.ports import Port
from podium_serving.security.tls import HANDSHAKE_SECONDS, SHUTDOWN_SECONDS
from podium_serving.settings import HttpSettings

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 1.0
_POLL_SECONDS = 0.02
_BACKLOG = 2048


class HttpServer:
    """One listening port whose connections speak through the lane."""

    def __init__(self, port: Port, app: Any, settings: HttpSettings, tls: ssl.SSLContext | None = None) -> None:
        self.lane = Lane(port, settings)
        self._config = Config(
            app,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
        )
        self._config.load()
        self._tls = tls
        self._uvicorn = ServerState()
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self.port = 0
        """The bound port, once started."""

    @property
    def connections(self) -> int:
        return len(self._uvicorn.connections)

    async def start(self, bind: str, port: int, *, shared: bool = False) -> None:
        """`shared`: other processes listen on it too, and the kernel spreads connections (SO_REUSEPORT).

        Raises OSError when the port is taken.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: LaneProtocol(self.lane, self._config, self._uvicorn, loop),
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
        """Stops accepting, closes connections that are quiet, waits for the others, then cuts off what is left.

        Call it after the grace in which endpoints update. Returns within `limit_seconds`.
        """
        deadline = time.monotonic() + limit_seconds
        self.lane.hurried = True
        if self._server is not None:
            self._server.close()
        while self.connections and time.monotonic() < deadline:
            for connection in list(self._uvicorn.connections):
                if isinstance(connection, LaneProtocol):
                    connection.shutdown()
            await asyncio.sleep(_POLL_SECONDS)
        if self._uvicorn.connections:
            logger.warning(
                "%d connections are cut off after %g s of draining", len(self._uvicorn.connections), limit_seconds
            )
        await self._cut_off()

    async def _cut_off(self) -> None:
        for connection in list(self._uvicorn.connections):
            connection.transport.abort()
        tasks = [*self.lane.tasks, *self._uvicorn.tasks, *([self._sweeper] if self._sweeper else [])]
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            now = time.monotonic()
            for connection in list(self._uvicorn.connections):
                if isinstance(connection, LaneProtocol):
                    try:
                        connection.sweep(now)
                    except Exception:  # of one connection; the others still have to be looked after
                        logger.exception("a connection is cut off, for it cannot be swept")
                        connection.transport.abort()
