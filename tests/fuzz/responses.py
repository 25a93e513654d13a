"""Reads whatever a server says on a connection until it ends: every response, or that it is no HTTP."""

import socket
from contextlib import suppress
from dataclasses import dataclass, field

import httptools


class NoHttp(AssertionError):
    """The server wrote bytes that are no HTTP response."""


@dataclass
class Said:
    statuses: list[int] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


class _Reader:
    def __init__(self) -> None:
        self.said = Said()
        self._body = b""
        self.parser = httptools.HttpResponseParser(self)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.said.statuses.append(self.parser.get_status_code())
        self.said.bodies.append(self._body)
        self._body = b""


def everything(connection: socket.socket, due: int) -> Said:
    """Until the server closes. After `due` responses nothing more is sent to it: it takes that for a client that is gone.

    Raises NoHttp, or TimeoutError when it neither answers nor closes in time.
    """
    reader = _Reader()
    ended = False
    while True:
        if len(reader.said.statuses) >= due and not ended:
            ended = True
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
        try:
            part = connection.recv(65536)
        except ConnectionResetError:
            return reader.said
        if not part:
            return reader.said
        _feed(reader, part)


def first(connection: socket.socket) -> Said:
    """One response."""
    reader = _Reader()
    while not reader.said.statuses:
        part = connection.recv(65536)
        if not part:
            raise NoHttp("the connection ended before its answer")
        _feed(reader, part)
    return reader.said


class _Counter:
    def __init__(self) -> None:
        self.whole = 0

    def on_message_complete(self) -> None:
        self.whole += 1


def due_responses(message: bytes) -> int:
    """How many whole requests `message` holds; one that cannot be read is answered, too."""
    counter = _Counter()
    try:
        httptools.HttpRequestParser(counter).feed_data(message)
    except httptools.HttpParserUpgrade:
        return max(1, counter.whole)
    except httptools.HttpParserError:
        return counter.whole + 1
    return counter.whole


def _feed(reader: _Reader, part: bytes) -> None:
    try:
        reader.parser.feed_data(part)
    except httptools.HttpParserError as error:
        raise NoHttp(f"{error!r} in {part[:200]!r}") from error
