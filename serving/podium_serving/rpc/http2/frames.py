"""Frames of HTTP/2 (RFC 9113, sections 4, 6 and 7): their numbers, and the bytes of those that a server sends. Pure."""

from collections.abc import Iterator
from enum import IntEnum, IntFlag
from struct import Struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9
MAX_FRAME_BYTES = 16_384
"""The protocol's default, which is also its least. Clients send no larger frames."""
MAX_WINDOW = 2**31 - 1
DEFAULT_WINDOW = 65_535
LAST_STREAM = 2**31 - 1

_head = Struct(">HBBBI")
parse_head = _head.unpack_from
"""Length's upper 16 bits and lower 8, kind, flags, stream (the highest bit is reserved)."""
_word = Struct(">I").pack
_setting = Struct(">HI")


class Kind(IntEnum):
    DATA = 0
    HEADERS = 1
    PRIORITY = 2
    RST_STREAM = 3
    SETTINGS = 4
    PUSH_PROMISE = 5
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


class Flag(IntFlag):
    """ACK has the value of END_STREAM: it is SETTINGS' and PING's."""

    END_STREAM = 0x1
    END_HEADERS = 0x4
    PADDED = 0x8
    PRIORITY = 0x20


ACK = 0x1


class Setting(IntEnum):
    HEADER_TABLE_SIZE = 1
    ENABLE_PUSH = 2
    MAX_CONCURRENT_STREAMS = 3
    INITIAL_WINDOW_SIZE = 4
    MAX_FRAME_SIZE = 5
    MAX_HEADER_LIST_SIZE = 6


class ErrorCode(IntEnum):
    NO_ERROR = 0
    PROTOCOL_ERROR = 1
    INTERNAL_ERROR = 2
    FLOW_CONTROL_ERROR = 3
    SETTINGS_TIMEOUT = 4
    STREAM_CLOSED = 5
    FRAME_SIZE_ERROR = 6
    REFUSED_STREAM = 7
    CANCEL = 8
    COMPRESSION_ERROR = 9
    CONNECT_ERROR = 10
    ENHANCE_YOUR_CALM = 11
    INADEQUATE_SECURITY = 12
    HTTP_1_1_REQUIRED = 13


class ConnectionFault(Exception):
    """The client broke the protocol in a way that ends the connection. The text is for GOAWAY's debug data."""

    def __init__(self, code: ErrorCode, text: str) -> None:
        super().__init__(code, text)
        self.code, self.text = code, text


class StreamFault(Exception):
    """The client broke the protocol in a way that ends one stream."""

    def __init__(self, code: ErrorCode, stream: int) -> None:
        super().__init__(code, stream)
        self.code, self.stream = code, stream


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    size = len(payload)
    return _head.pack(size >> 8, size & 0xFF, kind, flags, stream) + payload


def reset(stream: int, code: ErrorCode) -> bytes:
    return frame(Kind.RST_STREAM, 0, stream, _word(code))


def window_update(stream: int, amount: int) -> bytes:
    return frame(Kind.WINDOW_UPDATE, 0, stream, _word(amount))


def goaway(last_stream: int, code: ErrorCode, text: str = "") -> bytes:
    return frame(Kind.GOAWAY, 0, 0, _word(last_stream) + _word(code) + text.encode())


def settings(values: dict[Setting, int]) -> bytes:
    return frame(Kind.SETTINGS, 0, 0, b"".join(_setting.pack(*item) for item in values.items()))


SETTINGS_ACK = frame(Kind.SETTINGS, ACK, 0)


def read_settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """Raises ConnectionFault for a value that the protocol rules out. Unknown settings are passed on, to be ignored."""
    if len(payload) % _setting.size:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS is no list of six-byte entries")
    for name, value in _setting.iter_unpack(payload):
        if name == Setting.ENABLE_PUSH and value > 1:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "ENABLE_PUSH is 0 or 1")
        if name == Setting.INITIAL_WINDOW_SIZE and value > MAX_WINDOW:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE is too large")
        if name == Setting.MAX_FRAME_SIZE and not MAX_FRAME_BYTES <= value < 2**24:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "MAX_FRAME_SIZE is out of range")
        yield name, value


def unpadded(flags: int, payload: bytes) -> bytes:
    """What a HEADERS or DATA frame holds besides padding. Raises ConnectionFault when the padding is all, or more."""
    if not flags & Flag.PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "the padding is longer than its frame")
    return payload[1 : len(payload) - payload[0]]


def word(payload: bytes, at: int = 0) -> int:
    """31 bits."""
    return int.from_bytes(payload[at : at + 4], "big") & MAX_WINDOW
