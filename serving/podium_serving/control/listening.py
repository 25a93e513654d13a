"""The control port's sockets: uvicorn's HTTP protocol without its server, for that installs signal handlers of its own.

Apart from the public port's server because the supervisor of several workers listens here, too, and imports no lane.
"""

import asyncio
import time
from collections import Counter
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

KEEP_ALIVE_SECONDS = 75
MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 10.0
"""From a connection's beginning, or a request's first byte, to the end of the head."""
MAX_CONNECTIONS = 128
"""Of one address. A peer keeps eight."""
SHUTDOWN_SECONDS = 2.0
"""What is being answered when the port closes gets so long."""
_BACKLOG = 128
_POLL_SECONDS = 0.02


class _Connection(HttpToolsProtocol):
    """With bounds on what is kept of a head, on its time, and on the connections of one address: uvicorn has none."""

    cycle: Any
    _head_bytes = 0
    _address = ""
    _waiting: asyncio.TimerHandle | None = None

    def __init__(self, config: Config, state: ServerState, of_address: Counter[str]) -> None:
        super().__init__(config, state, {})
        self._of_address = of_address

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self._of_address[self._address] += 1
        if self._of_address[self._address] > MAX_CONNECTIONS:
            transport.abort()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait_no_more()
        self._of_address[self._address] -= 1
        if not self._of_address[self._address]:
            del self._of_address[self._address]
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._wait()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._wait_no_more()
        super().on_headers_complete()

    def _wait(self) -> None:
        self._wait_no_more()
        self._waiting = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _wait_no_more(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

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
        of_address: Counter[str] = Counter()
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self._config, self._state, of_address), bind, port, backlog=_BACKLOG
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
