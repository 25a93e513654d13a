"""Packed bodies: taken whole or refused, and never more than the bound in memory."""

import gzip
import zlib

import pytest

from podium_monitor.events import InvalidBatch, TooLarge
from podium_monitor.unpacking import unpacked

LINES = b"".join(b'{"join_key": "c-%d", "label": 1}\n' % number for number in range(20_000))
PACKED = gzip.compress(LINES)
"""More than one step of unpacking."""


def test_a_body_is_unpacked_up_to_the_limit() -> None:
    assert unpacked(LINES, "", len(LINES)) == LINES
    for encoding in ("gzip", "x-gzip"):
        assert unpacked(PACKED, encoding, len(LINES)) == LINES
        with pytest.raises(TooLarge, match=f"more than {len(LINES) - 1} bytes"):
            unpacked(PACKED, encoding, len(LINES) - 1)
    with pytest.raises(TooLarge):
        unpacked(LINES, "", len(LINES) - 1)
    with pytest.raises(TooLarge, match="more than 1000 bytes"):
        unpacked(gzip.compress(b" " * 100_000_000), "gzip", 1000)


def test_members_that_follow_each_other_are_one_body() -> None:
    """As of `cat`, of pigz and of bgzip."""
    parts = [gzip.compress(LINES), gzip.compress(b""), gzip.compress(b"last"), b"\0" * 100]
    assert unpacked(b"".join(parts), "gzip", 10**7) == LINES + b"last"
    with pytest.raises(TooLarge):
        unpacked(b"".join(parts), "gzip", len(LINES) + 3)


@pytest.mark.parametrize("sent", [0, 5, 30, len(PACKED) // 2, len(PACKED) - 8, len(PACKED) - 1])
def test_what_was_cut_off_is_refused_wherever_it_was_cut(sent: int) -> None:
    with pytest.raises(InvalidBatch, match="ends too early"):
        unpacked(PACKED[:sent], "gzip", 10**7)


@pytest.mark.parametrize(
    ("body", "encoding", "says"),
    [
        (b"[]", "gzip", "the body is not gzip: "),
        (PACKED + b"garbage", "gzip", f"not gzip from byte {len(PACKED)} on: "),
        (PACKED[:-8] + b"\0" * 8, "gzip", "incorrect data check"),
        (b"[]", "br", "must be gzip"),
        (zlib.compress(b"[]"), "deflate", "'deflate', must be gzip"),
        (gzip.compress(b"") * 10_001, "gzip", "more than 10000 members"),
    ],
)
def test_what_is_no_gzip_is_refused(body: bytes, encoding: str, says: str) -> None:
    with pytest.raises(InvalidBatch, match=says):
        unpacked(body, encoding, 10**7)
