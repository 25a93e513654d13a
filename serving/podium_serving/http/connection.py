"""A connection's life apart from its requests: when it is quiet, when it is closed, and what is read no more.

uvicorn arms a timer per response and closes at once; here the server sweeps its connections once a second, and a
connection with unread bytes is not closed, for they may be a request.
"""

import asyncio
import select
import time
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from podium_serving.http.lane_state import LINGER_SECONDS, Lane


class Connection(HttpToolsProtocol):
    cycle: Any
    """The newest request, an Exchange or uvicorn's RequestResponseCycle."""

    def __init__(self, lane: Lane, config: Config, server_state: ServerState, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config, server_state, {}, loop)
        self.lane = lane
        self.quiet_since = time.monotonic()
        """Monotonic seconds since when no request is open."""
        self.unread_since: float | None = None
        """Monotonic seconds since when the client leaves too much of its answers unread."""
        self.lingering = False
        """Nothing more is read as a request: it is thrown away."""

    @property
    def quiet(self) -> bool:
        """No request is open. A half-sent head is none: nothing of it was promised."""
        return self.cycle is None or bool(self.cycle.response_complete)

    def sweep(self, now: float) -> None:
        """Closes what was quiet for too long and cuts off who does not read."""
        patience = self.lane.settings.keep_alive_seconds
        if self.unread_since is not None and now - self.unread_since > patience:
            self.transport.abort()  # close() would wait until what was written is read
        elif now - self.quiet_since > patience:
            self._close_if_quiet()

    def shutdown(self) -> None:
        """Closes now, or after the response that is due."""
        if self.quiet:
            self._close_if_quiet()
        else:
            self.cycle.keep_alive = False

    def _close_if_quiet(self) -> None:
        if self.quiet and not self._has_unread_bytes():
            self.transport.close()

    def _has_unread_bytes(self) -> bool:
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def linger(self) -> None:
        """Closes the way out; the way in stays open for a while, so that the client reads its refusal and no reset."""
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.unread_since = time.monotonic()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.unread_since = None
        if not self.pipeline:
            self.flow.resume_reading()

    def on_response_complete(self) -> None:
        self.quiet_since = time.monotonic()
        if self.transport.is_closing():
            return
        if self.flow.write_paused:
            self.flow.pause_reading()  # who does not read gets no more answers made
        elif self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            # In a turn of its own: a long row of refused requests would nest too deep.
            self.loop.call_soon(self._start_asgi_task, *self.pipeline.pop())
