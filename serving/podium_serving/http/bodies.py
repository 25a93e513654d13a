"""Bodies in parts, and those that are packed by gzip or deflate (Content-Encoding). Pure, and bounded: a kilobyte can unpack
to a gigabyte."""

import zlib

from podium_serving.exchange import InvalidRequest
from podium_serving.http.responses import BodyTooLarge

_GZIP = 16 + zlib.MAX_WBITS
_ZLIB = zlib.MAX_WBITS
_RAW_DEFLATE = -zlib.MAX_WBITS
_LEAST_PART = 4096


def add_part(parts: list[bytes], part: bytes) -> None:
    """Keeps the next part of a body. Small ones are joined: as an object of its own a part of two bytes takes fifty, and a
    client could have us keep many times what it is counted for."""
    if parts and len(parts[-1]) < _LEAST_PART:
        parts[-1] += part
    else:
        parts.append(part)


def unpacked(body: bytes, encoding: bytes, limit: int) -> bytes:
    """The body that was packed. `encoding` is gzip or deflate; `limit` bounds the bytes that come out.

    Raises InvalidRequest for what is not packed so, is cut short, or has something behind it; BodyTooLarge beyond `limit`,
    before more than that is unpacked. Deflate is zlib's format (RFC 9110, section 8.4.1.2); the bare one that some clients
    send instead is taken, too.
    """
    if encoding == b"gzip":
        return _unpacked(body, _GZIP, "gzip", limit)
    is_zlib = len(body) > 1 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
    return _unpacked(body, _ZLIB if is_zlib else _RAW_DEFLATE, "deflate", limit)


def _unpacked(body: bytes, window: int, name: str, limit: int) -> bytes:
    unpacker = zlib.decompressobj(window)
    try:
        content = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise InvalidRequest(f"the body is not {name}, as content-encoding says: {error}") from error
    if len(content) > limit:
        raise BodyTooLarge(len(content), limit)
    if not unpacker.eof:
        raise InvalidRequest(f"the body ends in the middle of its {name} stream")
    if unpacker.unused_data:
        raise InvalidRequest(f"{len(unpacker.unused_data)} bytes follow the {name} stream of the body; one stream is taken")
    return content
