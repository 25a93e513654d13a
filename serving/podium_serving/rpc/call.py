"""Calls: what a method is, and how the bytes of a stream become messages for it."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from podium_serving.exchange import DeadlineExceeded, Overloaded, ServingError
from podium_serving.http.bodies import add_part
from podium_serving.inference import Cancel
from podium_serving.reading import Reading
from podium_serving.rpc.framing import PREFIX_BYTES, MessageTooLarge, declared_size, framed, is_compressed, only_message
from podium_serving.rpc.http2.stream import Receiver, Stream
from podium_serving.rpc.metadata import CallHead
from podium_serving.rpc.status import HEAD, OK, trailers

logger = logging.getLogger(__name__)

_INLINE_COMPRESSED_BYTES = 4096
"""A larger compressed message is undone in a thread: deflate grows a thousandfold, and 64 MB take a tenth of a second."""
LEAVING = "this pod is going away; ask again"


class Reply(Protocol):
    """Where the answer to one message goes: a call's end, or a place in a stream."""

    open: bool
    """Somebody still waits for it."""

    def begun(self, work: Cancel) -> None:
        """What to call off when nobody waits any more."""

    def answer(self, message: bytes, head: bytes = HEAD) -> None:
        """`head` is the header block of the response, where each message has a response of its own."""

    def fail(self, error: ServingError, request_id: str = "") -> None: ...


Unary = Callable[[CallHead, bytes, Reply, float], None]
"""Answers one message, now or later. Gets headers, message, and the monotonic time when the head was read."""
Streaming = Callable[[CallHead, Stream], Receiver]


@dataclass(frozen=True, slots=True)
class Method:
    """One of `unary` and `streaming` is set."""

    unary: Unary | None = None
    streaming: Streaming | None = None
    open_to_all: bool = False
    """Health: asked by those who have no key."""


@dataclass(slots=True)
class Load:
    """What all calls of a port hold together, and how much of it there may be."""

    max_message_bytes: int
    max_buffered_bytes: int
    message_seconds: float
    """From a call's head to the end of its message."""
    max_calls: int = 4096
    buffered_bytes: int = 0
    calls: int = 0
    reading: Reading = field(init=False)

    def __post_init__(self) -> None:
        self.reading = Reading(self)


class UnaryCall:
    """One message, one answer: a Receiver for the connection, a Reply for the method."""

    __slots__ = ("_chunks", "_head", "_load", "_method", "_size", "_started_at", "_stream", "_unread", "_work", "open")

    def __init__(self, head: CallHead, stream: Stream, method: Unary, load: Load, now: float) -> None:
        self._head = head
        self._stream = stream
        self._method = method
        self._load = load
        self._started_at = now
        self._chunks: list[bytes] = []
        self._size = 0
        self._unread = 0
        """Bytes of the answer that the client has no room for yet."""
        self._work: Cancel | None = None
        self.open = True
        load.calls += 1

    # Receiver

    def received(self, content: bytes) -> None:
        if not self.open:
            return
        add_part(self._chunks, content)
        self._size += len(content)
        load = self._load
        load.buffered_bytes += len(content)
        if self._size > load.max_message_bytes + PREFIX_BYTES:
            self.fail(MessageTooLarge(self._size, load.max_message_bytes))
        elif load.buffered_bytes > load.max_buffered_bytes:
            self.fail(Overloaded("too many large requests are being received; try again"))
        elif len(self._chunks) == 1 and self._size >= PREFIX_BYTES:
            declared = declared_size(self._chunks[0])
            if declared > load.max_message_bytes:
                self.fail(MessageTooLarge(declared, load.max_message_bytes))

    def ended(self) -> None:
        if not self.open:
            return
        content = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks = []
        if is_compressed(content) and len(content) > _INLINE_COMPRESSED_BYTES:
            self._work = asyncio.get_running_loop().create_task(self._inflate(content))
            return
        try:
            self._ask(only_message(content, self._head.encoding, self._load.max_message_bytes))
        except Exception as error:
            self._fail(error)

    async def _inflate(self, content: bytes) -> None:
        load = self._load
        work = partial(only_message, content, self._head.encoding, load.max_message_bytes)
        try:
            message = await load.reading.read(work, len(content))
            self._work = None
            self._ask(message)
        except Exception as error:
            self._fail(error)

    def _ask(self, message: bytes) -> None:
        self._count_inflated(len(message))
        self._method(self._head, message, self, self._started_at)

    def _count_inflated(self, size: int) -> None:
        """Raises Overloaded. What a compressed message became is of the port's buffer until the call is over."""
        grown = max(0, size + PREFIX_BYTES - self._size)
        load = self._load
        if grown and load.buffered_bytes + grown > load.max_buffered_bytes:
            raise Overloaded("too many large requests are being received; try again")
        self._size += grown
        load.buffered_bytes += grown

    def _fail(self, error: Exception) -> None:
        if isinstance(error, ServingError):
            self.fail(error)
        else:
            logger.error("a call of %s failed", self._head.path.decode("latin-1"), exc_info=error)
            self.fail(ServingError("this server failed; its log says more"))

    def gone(self) -> None:
        self.drained()
        if self.open:
            work = self._work
            self._close()
            if work is not None:
                work.cancel()

    def sweep(self, now: float) -> None:
        waited = now - self._started_at
        if not self._stream.half_closed and waited > self._load.message_seconds:
            self.fail(DeadlineExceeded(f"the message did not arrive within {waited:.0f} s of its head"))

    def drained(self) -> None:
        self._load.buffered_bytes -= self._unread
        self._unread = 0

    def leave(self) -> None: ...

    # Reply

    def begun(self, work: Cancel) -> None:
        self._work = work

    def answer(self, message: bytes, head: bytes = HEAD) -> None:
        if self.open:
            self._close()
            self._stream.unary(head, framed(message), OK)
            if self._stream.waiting:  # it is kept until the client makes room for it
                self._unread = len(message)
                self._load.buffered_bytes += self._unread

    def fail(self, error: ServingError, request_id: str = "") -> None:
        if self.open:
            self._close()
            self._stream.headers(HEAD + trailers(error, request_id), end=True)

    def _close(self) -> None:
        self.open = False
        self._chunks = []
        self._work = None  # it holds the request and knows this: only the garbage collector would free the two
        self._load.calls -= 1
        self._load.buffered_bytes -= self._size


class Refused:
    """A call that is answered by its head alone."""

    def __init__(self, stream: Stream, block: bytes) -> None:
        stream.headers(block, end=True)

    def received(self, content: bytes) -> None: ...

    def ended(self) -> None: ...

    def gone(self) -> None: ...

    def drained(self) -> None: ...

    def sweep(self, now: float) -> None: ...

    def leave(self) -> None: ...
