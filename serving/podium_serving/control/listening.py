"""The control port's sockets: uvicorn's HTTP protocol without its server, for that installs signal handlers of its own.

Apart from the public port's server because the supervisor of several workers listens here, too, and imports no lane.
"""

import asyncio
import time
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

KEEP_ALIVE_SECONDS = 75
MAX_HEAD_BYTES = 64 * 1024
SHUTDOWN_SECONDS = 2.0
"""What is being answered when the port closes gets so long."""
_BACKLOG = 128
_POLL_SECONDS = 0.02


class _Connection(HttpToolsProtocol):
    """With a bound on what is kept of a head: uvicorn has none."""

    cycle: Any
    _head_bytes = 0

    def data_received(self, data: bytes) -> None:
        between = self._between
        super().data_received(data)
        self._head_bytes = self._head_bytes + len(data) if between and self._between else 0
        if self._head_bytes > MAX_HEAD_BYTES:
            self.transport.abort()

    @property
    def _between(self) -> bool:
        return self.cycle is None or bool(self.cycle.response_complete)


class Listening:
    """An open port. Made by `serve`."""

    def __init__(self, application: Any) -> None:
        self._config = Config(
            application,
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._config.load()
        self._state = ServerState()
        self._server: asyncio.Server | None = None

    async def open(self, bind: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Connection(self._config, self._state, {}, loop), bind, port, backlog=_BACKLOG
        )

    async def close(self) -> None:
        """Takes no more connections, answers what was asked, and cuts off the rest."""
        if self._server is not None:
            self._server.close()
        end = time.monotonic() + SHUTDOWN_SECONDS
        while self._state.connections and time.monotonic() < end:
            for connection in list(self._state.connections):
                connection.shutdown()
            await asyncio.sleep(_POLL_SECONDS)
        for connection in list(self._state.connections):
            connection.transport.abort()
        tasks = list(self._state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def serve(application: Any, bind: str, port: int) -> Listening:
    """Listens until `close`. Raises OSError when the port is taken."""
    listening = Listening(application)
    await listening.open(bind, port)
    return listening
