"""gRPC's messages inside a stream's bytes: a flag byte, a length of four bytes, the message. Pure."""

import zlib
from collections.abc import Iterator
from struct import Struct

from podium_serving.exchange import InvalidRequest, ServingError

_prefix = Struct(">BI")
PREFIX_BYTES = _prefix.size
_WINDOW_BITS = {b"gzip": 31, b"deflate": 15}


MAX_INLINE_BYTES = 4 * 1024 * 1024
"""Of a compressed message of a stream, once undone: that is done in the loop, where others wait."""


class MessageTooLarge(ServingError):
    http_status = 413
    reason = "MessageTooLarge"

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)
        self.size, self.limit = size, limit

    def __str__(self) -> str:
        return f"the message has {self.size} bytes or more, at most {self.limit} are taken; send fewer rows at a time"


def framed(message: bytes) -> bytes:
    return _prefix.pack(0, len(message)) + message


def declared_size(content: bytes) -> int:
    """Bytes of the message that `content` begins with."""
    return int.from_bytes(content[1:PREFIX_BYTES], "big")


def is_compressed(content: bytes) -> bool:
    return content[:1] == b"\x01"


def only_message(content: bytes, encoding: bytes, limit: int) -> bytes:
    """The one message of a call that has one. Raises ServingError."""
    if not content:
        raise InvalidRequest("the call has no message")
    if len(content) < PREFIX_BYTES or len(content) - PREFIX_BYTES < declared_size(content):
        raise InvalidRequest("the call ended within its message")
    if len(content) - PREFIX_BYTES > declared_size(content):
        raise InvalidRequest("the call has more than one message")
    return _plain(content[0], content[PREFIX_BYTES:], encoding, limit)


class Messages:
    """Cuts a stream of any length into messages."""

    def __init__(self, encoding: bytes, limit: int) -> None:
        self._encoding = encoding
        self._limit = limit
        self._content = bytearray()

    def fed(self, content: bytes) -> Iterator[bytes]:
        """Messages that are complete now. Raises ServingError."""
        self._content += content
        while len(self._content) >= PREFIX_BYTES:
            flag, size = _prefix.unpack_from(self._content)
            if size > self._limit:
                raise MessageTooLarge(size, self._limit)
            end = PREFIX_BYTES + size
            if len(self._content) < end:
                return
            message = bytes(self._content[PREFIX_BYTES:end])
            del self._content[:end]
            yield _plain(flag, message, self._encoding, min(self._limit, MAX_INLINE_BYTES))

    @property
    def kept_bytes(self) -> int:
        """Of a message that is not complete."""
        return len(self._content)


def _plain(flag: int, message: bytes, encoding: bytes, limit: int) -> bytes:
    if flag == 0:
        return message
    bits = _WINDOW_BITS.get(encoding)
    if flag != 1 or bits is None:
        raise InvalidRequest(f"a message has the flag {flag}, grpc-encoding is {encoding[:40].decode('latin-1')!r}")
    inflate = zlib.decompressobj(bits)
    try:
        plain = inflate.decompress(message, limit + 1)
    except zlib.error as error:
        raise InvalidRequest(f"a message is not {encoding.decode()}: {error}") from error
    if len(plain) > limit:
        raise MessageTooLarge(len(plain), limit)
    if not inflate.eof or inflate.unused_data:
        raise InvalidRequest(f"a message is not one whole {encoding.decode()} stream")
    return plain
