"""What goes to one client: flow control and order of its streams, one write per turn of the loop."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from podium_serving.rpc.http2.frames import (
    DEFAULT_WINDOW,
    MAX_FRAME_BYTES,
    MAX_WINDOW,
    ConnectionFault,
    ErrorCode,
    Flag,
    Kind,
    Setting,
    StreamFault,
    frame,
)

LEAST_PROGRESS = 65_536
"""Bytes of a waiting answer that a client takes in the time that it has, or the rest of the answer if that is less. Else
a byte now and then would have us keep it for ever."""


@dataclass(slots=True, eq=False)
class Outgoing:
    """One stream's way to the client."""

    stream: int
    window: int
    waiting: deque[tuple[int, bytes | memoryview]] = field(default_factory=deque)
    """(kind, content) of frames that the client has no room for yet: DATA, and what has to follow it."""
    waits_since: float = 0.0
    """Monotonic seconds since when less than LEAST_PROGRESS of what waits could be sent; 0: nothing waits."""
    progress: int = 0
    """Bytes that were sent since."""
    ended: bool = False
    """All that will ever be sent is sent or waits."""


class Sender:
    """Writes frames. Belongs to the loop's thread."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport, drained: Callable[[int], None]
    ) -> None:
        self._loop = loop
        self._transport = transport
        self._drained = drained
        """Told of a stream that had to wait, and for which nothing waits now."""
        self._window = DEFAULT_WINDOW
        self._initial_window = DEFAULT_WINDOW
        self._max_frame = MAX_FRAME_BYTES
        self._parts: list[bytes] = []
        self._paused = False
        self._blocked: dict[int, Outgoing] = {}
        self.blocked_since = 0.0
        """Monotonic seconds since when the client's socket takes nothing; 0: it takes."""

    def opened(self, stream: int) -> Outgoing:
        return Outgoing(stream, self._initial_window)

    @property
    def waiting(self) -> list[Outgoing]:
        """Streams that the client has no room for."""
        return list(self._blocked.values())

    def control(self, content: bytes) -> None:
        """A frame that flow control does not hold back."""
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(content)

    def unary(self, out: Outgoing, head: bytes, message: bytes, trailers: bytes) -> None:
        """A whole answer: header block, one DATA, trailers."""
        out.ended = True
        stream, size = out.stream, len(message)
        if size > out.window or size > self._window or size > self._max_frame or self._paused:
            self.headers(out, head)
            self.data(out, message)
            self.headers(out, trailers, end=True)
            return
        out.window -= size
        self._window -= size
        self.control(
            frame(Kind.HEADERS, Flag.END_HEADERS, stream, head)
            + frame(Kind.DATA, 0, stream, message)
            + frame(Kind.HEADERS, Flag.END_HEADERS | Flag.END_STREAM, stream, trailers)
        )

    def headers(self, out: Outgoing, block: bytes, *, end: bool = False) -> None:
        """A header block of at most one frame, after all DATA that waits."""
        out.ended = out.ended or end
        if out.waiting:
            out.waiting.append((Kind.HEADERS, block))
        else:
            self._send_headers(out, block, end)

    def data(self, out: Outgoing, content: bytes) -> None:
        out.waiting.append((Kind.DATA, memoryview(content)))  # cut without copying
        if len(out.waiting) == 1:
            self._advance(out)

    def forget(self, out: Outgoing) -> None:
        """The stream was reset: nothing more of it is sent."""
        out.waiting.clear()
        out.ended = True
        self._blocked.pop(out.stream, None)

    # What the client says

    def window_grew(self, amount: int, out: Outgoing | None, stream: int) -> None:
        """`out` is None where the connection's window is meant, or a stream that is gone."""
        if stream == 0:
            was_closed = self._window <= 0
            self._window += amount
            if self._window > MAX_WINDOW:
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "the connection's window is larger than 2^31-1")
            if was_closed:  # else nobody waits for it
                self._advance_all()
        elif out is not None:
            out.window += amount
            if out.window > MAX_WINDOW:
                raise StreamFault(ErrorCode.FLOW_CONTROL_ERROR, stream)
            if out.waiting:
                self._advance(out)

    def setting(self, name: int, value: int, open_streams: list[Outgoing]) -> None:
        if name == Setting.MAX_FRAME_SIZE:
            self._max_frame = value
        elif name == Setting.INITIAL_WINDOW_SIZE:
            change, self._initial_window = value - self._initial_window, value
            for out in open_streams:
                out.window += change
                if out.window > MAX_WINDOW:
                    raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "a stream's window is larger than 2^31-1")
            self._advance_all()

    # What the transport says

    def pause(self) -> None:
        self._paused = True
        self.blocked_since = self._loop.time()

    def resume(self) -> None:
        self._paused = False
        self.blocked_since = 0.0
        self._advance_all()

    def flush(self) -> None:
        if self._parts:
            content = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
            self._parts.clear()
            if not self._transport.is_closing():
                self._transport.write(content)

    def _advance_all(self) -> None:
        for out in list(self._blocked.values()):
            if self._window <= 0 or self._paused:
                return
            # To the end of the line: windows that open bit by bit are for all, and no look at each costs more than it gives.
            self._blocked[out.stream] = self._blocked.pop(out.stream)
            self._advance(out)

    def _advance(self, out: Outgoing) -> None:
        """Sends what there is room for."""
        while out.waiting:
            kind, content = out.waiting[0]
            if kind == Kind.HEADERS:
                out.waiting.popleft()
                self._send_headers(out, bytes(content), out.ended and not out.waiting)
                continue
            room = min(out.window, self._window, self._max_frame)
            if (room <= 0 and content) or self._paused:
                self._blocked.setdefault(out.stream, out)
                out.waits_since = out.waits_since or self._loop.time()
                return
            part = content[:room]
            self._progressed(out, len(part))
            out.window -= len(part)
            self._window -= len(part)
            self.control(frame(Kind.DATA, 0, out.stream, bytes(part)))
            if len(part) == len(content):
                out.waiting.popleft()
            else:
                out.waiting[0] = (kind, content[room:])
        out.waits_since, out.progress = 0.0, 0
        if self._blocked.pop(out.stream, None) is not None:
            self._drained(out.stream)

    def _progressed(self, out: Outgoing, size: int) -> None:
        out.progress = out.progress + size if out.waits_since else 0
        if out.progress >= LEAST_PROGRESS:
            out.waits_since, out.progress = self._loop.time(), 0

    def _send_headers(self, out: Outgoing, block: bytes, end: bool) -> None:
        flags = Flag.END_HEADERS | Flag.END_STREAM if end else Flag.END_HEADERS
        self.control(frame(Kind.HEADERS, flags, out.stream, block))
