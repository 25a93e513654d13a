"""Bodies without their compression: whole, or refused. Pure.

What `cat a.gz b.gz` makes is gzip, too, and so is what parallel packers write: several members that follow each other. One
that was cut off may end where a line ends, so an end that is not there is never passed over.
"""

import zlib

from podium_monitor.events import InvalidBatch, TooLarge

_GZIP_WINDOW = 31
_STEP = 64 * 1024
"""Bytes that are unpacked at a time: zlib copies what follows a member."""
_MOST_MEMBERS = 10_000
"""Each costs some µs, and may hold nothing."""


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its compression. Raises InvalidBatch or TooLarge, before more than `limit` bytes are made."""
    if encoding in ("", "identity"):
        content = body
    elif encoding in ("gzip", "x-gzip"):
        content = _of_gzip(body, limit)
    else:
        raise InvalidBatch(f"Content-Encoding is {encoding!r}, must be gzip or absent")
    if len(content) > limit:
        raise _too_large(limit)
    return content


def _of_gzip(body: bytes, limit: int) -> bytes:
    """Of all members."""
    view, at, room = memoryview(body), 0, limit + 1
    parts: list[bytes] = []
    members = 0
    while at < len(body) or not members:
        if body[at : at + 1] == b"\0" and not body[at:].strip(b"\0"):
            break  # padding, which gzip passes over, too
        members += 1
        if members > _MOST_MEMBERS:
            raise InvalidBatch(f"the body is gzip of more than {_MOST_MEMBERS} members, pack it at once")
        member = zlib.decompressobj(_GZIP_WINDOW)
        while not member.eof:
            piece = view[at : at + _STEP]
            if not piece:
                raise InvalidBatch("the body is gzip that ends too early: its last bytes were not sent")
            try:
                parts.append(member.decompress(piece, room))
            except zlib.error as error:
                where = f"from byte {at} on" if members > 1 else ""
                raise InvalidBatch(f"the body is not gzip{where and ' '}{where}: {error}") from error
            room -= len(parts[-1])
            if room <= 0:
                raise _too_large(limit)
            at += len(piece) - len(member.unused_data)
    return b"".join(parts)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the body unpacks to more than {limit} bytes, send smaller ones")
