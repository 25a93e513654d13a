"""Header blocks of HTTP/2 (RFC 7541): the client's are read with the hpack library, ours are written without any state.

A client repeats its headers call after call, so their block is mostly the same few indices: what a block says is kept until
the block changes the client's table. Ours are literals that enter no table: a piece of a block can be made once and joined.
"""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from hpack import Decoder, HPACKError

from podium_serving.rpc.http2.frames import ConnectionFault, ErrorCode

RawHeaders = list[tuple[bytes, bytes]]
Read = TypeVar("Read")

MAX_LIST_BYTES = 16_384
"""Names and values of one request's headers, with 32 bytes for each, as the protocol counts them: as much as grpcio takes.
A byte may stand for a whole field, so a larger list would make small blocks dear to read."""
_MAX_KEPT = 64
_MAX_KEPT_BYTES = 2048

STATUS_200 = b"\x88"
"""`:status: 200`: entry 8 of the static table."""


class HeaderReader(Generic[Read]):
    """Header blocks of one connection. `interpret` makes what the connection wants to know of a list of headers; pure."""

    def __init__(self, interpret: Callable[[RawHeaders], Read]) -> None:
        self._interpret = interpret
        self._decoder = Decoder(MAX_LIST_BYTES)
        self._kept: dict[bytes, Read] = {}

    def read(self, block: bytes) -> Read:
        """Raises ConnectionFault when the block cannot be read: then neither can any that follows."""
        kept = self._kept.get(block)
        if kept is not None:
            return kept
        table = self._decoder.header_table
        size, length, front = table.maxsize, len(table.dynamic_entries), _front(table.dynamic_entries)
        try:
            fields = [(bytes(name), bytes(value)) for name, value in self._decoder.decode(block, raw=True)]
        except (HPACKError, IndexError, TypeError, UnicodeDecodeError) as error:  # it raises all of these for bad input
            raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, f"a header block cannot be read: {error}") from error
        read = self._interpret(fields)
        entries = table.dynamic_entries
        # A new entry is a new object in front: equal ones are told apart, too.
        if table.maxsize != size or len(entries) != length or _front(entries) is not front:
            self._kept.clear()
        elif len(block) <= _MAX_KEPT_BYTES:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            self._kept[block] = read
        return read


def _front(entries: Sequence[object]) -> object:
    return entries[0] if entries else None


def status_block(status: str) -> bytes:
    """The header block of a response that says nothing but its HTTP status."""
    return literal(":status", status)


def literal(name: str, value: str) -> bytes:
    """A field that enters no table. Both are ASCII; the caller sees to it that `value` is printable."""
    return b"\x00" + _text(name) + _text(value)


def _text(text: str) -> bytes:
    raw = text.encode("ascii")
    return _length(len(raw)) + raw


def _length(size: int) -> bytes:
    """An integer with a prefix of seven bits (RFC 7541, section 5.1), not Huffman-coded."""
    if size < 127:
        return bytes([size])
    parts = [127]
    size -= 127
    while size >= 128:
        parts.append(size % 128 + 128)
        size //= 128
    return bytes([*parts, size])
