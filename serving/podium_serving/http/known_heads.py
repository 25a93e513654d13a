"""Heads that were read before: a client that keeps its connection sends the same bytes again and again.

Reading a head byte by byte costs a quarter of a one-row request. What the same bytes mean does not change, so they are
looked up. Only what the parser itself took is kept: a head is learned when it comes again soon, and after a parser of its
own has said that these bytes are one whole head, no more and no less.
"""

from dataclasses import dataclass

import httptools

from podium_serving.http.requests import Head, RawHeaders, read_head
from podium_serving.http.routes import Target, target_of

MAX_HEADS = 1024
MAX_HEAD_BYTES = 2048
_MOST_MET = 128
"""Heads that came once. Bodies of a few hundred lengths make as many heads; those with an id of their own never come again,
and make room by and by."""
END = b"\r\n\r\n"

_NOT_KEPT = frozenset({b"transfer-encoding", b"expect", b"upgrade", b"http2-settings", b"trailer", b"te"})
"""What changes how a connection or a body is read. They are rare, and the parser knows them best."""


@dataclass(frozen=True, slots=True)
class KnownHead:
    """A head of a request that the lane answers itself, on a connection that stays. Shared: nobody changes it."""

    target: Target
    headers: RawHeaders
    head: Head
    body_at: int
    """Where the body begins, counted from the head's first byte."""
    end: int
    """Where it ends."""


class KnownHeads:
    """Of one port. When it is full the oldest is forgotten."""

    def __init__(self, *, forwarded: bool, max_body_bytes: int) -> None:
        self._forwarded = forwarded
        self._max_body_bytes = max_body_bytes
        self.heads: dict[bytes, KnownHead] = {}
        self._met: dict[bytes, None] = {}

    def meet(self, content: bytes) -> None:
        """A head that is not known: it is learned when it comes for the second time."""
        if len(content) > MAX_HEAD_BYTES:
            return
        if content in self._met:
            del self._met[content]
            self.learn(content)
            return
        if len(self._met) >= _MOST_MET:
            del self._met[next(iter(self._met))]
        self._met[content] = None

    def learn(self, content: bytes) -> None:
        """Keeps the head whose bytes are `content`, up to its empty line, if it is of the plain kind."""
        known = _read(content, self._forwarded) if len(content) <= MAX_HEAD_BYTES else None
        if known is None or known.head.content_length > self._max_body_bytes:
            return
        if len(self.heads) >= MAX_HEADS:
            del self.heads[next(iter(self.heads))]
        self.heads[content] = known


def _read(content: bytes, forwarded: bool) -> KnownHead | None:
    reader = _Reader()
    parser = httptools.HttpRequestParser(reader)
    try:
        parser.feed_data(content[:-1])
        early = reader.complete
        parser.feed_data(content[-1:])
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    if early or not reader.complete or parser.get_method() != b"POST" or not _is_plain(parser, reader.headers):
        return None
    target = target_of(reader.url)
    head = read_head(reader.headers, forwarded=forwarded)
    lengths = [value for name, value in reader.headers if name == b"content-length"]
    if target is None or head.refusal is not None or lengths != [b"%d" % head.content_length] or lengths == [b"0"]:
        return None
    return KnownHead(target, reader.headers, head, len(content), len(content) + head.content_length)


def _is_plain(parser: httptools.HttpRequestParser, headers: RawHeaders) -> bool:
    stays = parser.get_http_version() == "1.1" and parser.should_keep_alive() and not parser.should_upgrade()
    asked = [value.lower() for name, value in headers if name == b"connection"]
    return stays and asked in ([], [b"keep-alive"]) and _NOT_KEPT.isdisjoint(name for name, _ in headers)


class _Reader:
    """What a parser says of one head."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: RawHeaders = []
        self.complete = False

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.complete = True
