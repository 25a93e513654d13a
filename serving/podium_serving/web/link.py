"""One connection of the client: writes a request, reads its answer piece by piece."""

import asyncio
import contextlib
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator
from mmap import mmap

import httptools

from podium_serving.web.addresses import Origin

Body = bytes | mmap
"""Of a request. A mapped file is in memory only where it is being sent."""
_MAX_HEAD_BYTES = 64 * 1024
_PIECE_BYTES = 64 * 1024
_READ_BYTES = 256 * 1024
_NEXT_ADDRESS_SECONDS = 0.25
"""Until a name's next address is tried beside those before: RFC 8305. Who has one address is spared that race: asyncio loses
the socket of the winner when the one who waits for it is called off."""


class CannotConnect(ConnectionError):
    """Nobody was reached: the name does not resolve, nothing listens, or no handshake came about."""

    def __init__(self, text: str, *, refused: bool = False) -> None:
        super().__init__(text)
        self.refused = refused
        """The machine is there, and no process listens."""


class BrokenReply(ConnectionError):
    """The connection ended before the answer was whole, or what came over it was no answer."""


class _Incoming:
    """What the parser found so far of one answer."""

    def __init__(self, method: str) -> None:
        self._method = method
        self._parser = httptools.HttpResponseParser(self)
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.parts: deque[bytes] = deque()
        self.begun = self.headed = self.complete = self.keep_alive = False
        self._head_bytes = 0
        self._moved = False

    def feed(self, data: bytes) -> None:
        """Raises BrokenReply."""
        self.begun = True
        self._moved = False
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not (self.complete and self._method in ("HEAD", "CONNECT")):
                raise BrokenReply(f"the answer is no HTTP: {error!r}") from error
        # Before the body, and after it: trailers may be without end as well.
        self._head_bytes = 0 if self._moved else self._head_bytes + len(data)
        if not self.complete and self._head_bytes > _MAX_HEAD_BYTES:
            raise BrokenReply(f"the answer's head has more than {_MAX_HEAD_BYTES} bytes")

    def end(self) -> None:
        """The connection has ended: that ends an answer that says nothing of its length. Raises BrokenReply."""
        framed = any(name in ("content-length", "transfer-encoding") for name, _ in self.headers)
        if not self.complete and (not self.headed or framed):
            raise BrokenReply("the connection ended before the answer was whole")
        self.complete = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.complete:
            self.headers.append((name.decode("latin-1").lower(), value.decode("utf-8", "surrogateescape")))

    def on_headers_complete(self) -> None:
        if self.complete:
            return
        self.status = self._parser.get_status_code()
        if self.status >= 200:
            self.headed = self._moved = True
            self.keep_alive = bool(self._parser.should_keep_alive())
            if self._method == "HEAD" or (self._method == "CONNECT" and self.status == 200):
                self.complete = True

    def on_body(self, body: bytes) -> None:
        self._moved = True
        if not self.complete:
            self.parts.append(body)

    def on_message_complete(self) -> None:
        if self.headed:
            self.complete = True
        else:  # 100 Continue and its like come before the answer
            self.headers.clear()

    def on_message_begin(self) -> None:
        if self.complete:  # what nobody asked for follows: it is passed over, and no other request may take it for its own
            self.keep_alive = False


class Reply:
    """An answer whose head has arrived. The body is read on demand."""

    def __init__(self, link: "Link", incoming: _Incoming, silent_seconds: float) -> None:
        self._link = link
        self._incoming = incoming
        self._silent_seconds = silent_seconds

    @property
    def status(self) -> int:
        return self._incoming.status

    def header(self, name: str) -> str:
        """The first of that name; empty: none."""
        return next(iter(self.headers(name)), "")

    def headers(self, name: str) -> list[str]:
        return [value for known, value in self._incoming.headers if known == name.lower()]

    async def read(self, most: int) -> bytes:
        """The body, or its first `most` bytes. Raises ConnectionError, TimeoutError."""
        content = bytearray()
        async for chunk in self.chunks(_PIECE_BYTES):
            content += chunk
            if len(content) >= most:
                break
        return bytes(content[:most])

    async def chunks(self, size: int) -> AsyncIterator[bytes]:
        """The body in pieces of about `size` bytes. Raises ConnectionError, TimeoutError."""
        incoming = self._incoming
        while not incoming.complete or incoming.parts:
            while not incoming.complete and sum(map(len, incoming.parts)) < size:
                await self._link.more(incoming, self._silent_seconds)
            if incoming.parts:
                chunk = b"".join(incoming.parts)
                incoming.parts.clear()
                yield chunk


class Link:
    """One request at a time. After an exchange that failed it is of no use."""

    def __init__(self, origin: Origin, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.origin = origin
        self.used = False
        """It was kept after an answer."""
        self.exchanges = 0
        self._reader = reader
        self._writer = writer
        self._incoming: _Incoming | None = None
        self._writing: asyncio.Task[None] | None = None
        self._moved_at = 0.0

    @classmethod
    async def open(cls, origin: Origin, context: ssl.SSLContext | None, connect_seconds: float) -> "Link":
        """Raises CannotConnect, TimeoutError."""
        try:
            async with asyncio.timeout(connect_seconds):
                reader, writer = await asyncio.open_connection(
                    origin.host,
                    origin.port,
                    ssl=context,
                    limit=_READ_BYTES,
                    happy_eyeballs_delay=None if origin.is_numeric else _NEXT_ADDRESS_SECONDS,
                )
        except TimeoutError:
            raise TimeoutError(f"no connection within {connect_seconds:g} s") from None
        except (OSError, UnicodeError) as error:  # a host name may have parts that no name has
            text = f"cannot connect to {origin.authority} ({_reason(error)})"
            raise CannotConnect(text, refused=isinstance(error, ConnectionRefusedError)) from error
        return cls(origin, reader, writer)

    async def secure(self, context: ssl.SSLContext, host: str, seconds: float) -> None:
        """Speaks TLS from here on. Raises CannotConnect, TimeoutError."""
        try:
            async with asyncio.timeout(seconds):
                await self._writer.start_tls(context, server_hostname=host)
        except TimeoutError:
            raise TimeoutError(f"no handshake within {seconds:g} s") from None
        except OSError as error:
            raise CannotConnect(f"cannot connect to {host} ({_reason(error)})") from error

    async def exchange(self, method: str, head: bytes, body: Body, silent_seconds: float) -> Reply:
        """Writes the request and reads the answer's head. Raises ConnectionError, TimeoutError."""
        self.exchanges += 1
        incoming = self._incoming = _Incoming(method)
        self._moved_at = time.monotonic()
        self._writing = asyncio.create_task(self._write(head, body))
        while not incoming.headed:
            await self.more(incoming, silent_seconds)
        return Reply(self, incoming, silent_seconds)

    async def _write(self, head: bytes, body: Body) -> None:
        # Whoever is not let in may be told so, and cut off, before all is written: then the answer says why.
        with contextlib.suppress(OSError):
            self._writer.write(head if len(body) > _PIECE_BYTES else head + body[:])
            if len(body) > _PIECE_BYTES:
                view = memoryview(body)
                for start in range(0, len(body), _PIECE_BYTES):
                    self._writer.write(view[start : start + _PIECE_BYTES])
                    await self._writer.drain()
                    self._moved_at = time.monotonic()

    async def more(self, incoming: _Incoming, silent_seconds: float) -> None:
        """Reads once. Silent is who neither sends nor takes anything for that long."""
        while True:
            try:
                async with asyncio.timeout(silent_seconds):
                    data = await self._reader.read(_READ_BYTES)
                break
            except TimeoutError:
                writes = self._writing is not None and not self._writing.done()
                if not writes or time.monotonic() - self._moved_at > silent_seconds:
                    raise TimeoutError(f"no answer within {silent_seconds:g} s") from None
            except OSError as error:
                raise BrokenReply(f"the connection broke: {_reason(error)}") from error
        if data:
            incoming.feed(data)
        else:
            incoming.end()

    @property
    def untouched(self) -> bool:
        """Nothing of an answer has arrived."""
        return self._incoming is None or not self._incoming.begun

    @property
    def reusable(self) -> bool:
        """Its exchange is over, and it can take another."""
        over = self._incoming is None or (self._incoming.complete and self._incoming.keep_alive)
        written = self._writing is None or self._writing.done()
        return over and written and not self._writer.is_closing() and not self._reader.at_eof() and not self._unasked

    @property
    def _unasked(self) -> bool:
        """Something came after the answer: some servers say 408 before they close. It would be read as the next answer."""
        return bool(self._reader._buffer)  # type: ignore[attr-defined]  # no public attribute tells

    def abort(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
        self._writer.transport.abort()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
