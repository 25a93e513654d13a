"""What is packed is unpacked, up to a limit; what is no such stream is refused."""

import gzip
import random
import tracemalloc
import zlib

import pytest

from podium_serving.exchange import InvalidRequest
from podium_serving.http.bodies import add_part, unpacked
from podium_serving.http.responses import BodyTooLarge

BODY = b'{"inputs": []}' * 50
_raw = zlib.compressobj(wbits=-15)
RAW_DEFLATE = _raw.compress(BODY) + _raw.flush()


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        pytest.param(gzip.compress(BODY), b"gzip", id="gzip"),
        pytest.param(zlib.compress(BODY), b"deflate", id="deflate"),
        pytest.param(zlib.compress(BODY, 9), b"deflate", id="deflate-at-another-level"),
        pytest.param(RAW_DEFLATE, b"deflate", id="deflate-without-zlibs-frame"),
    ],
)
def test_a_packed_body_is_unpacked(packed: bytes, encoding: bytes) -> None:
    assert unpacked(packed, encoding, len(BODY)) == BODY
    with pytest.raises(BodyTooLarge, match=f"has {len(BODY)} bytes or more, at most {len(BODY) - 1} are taken"):
        unpacked(packed, encoding, len(BODY) - 1)


def test_a_body_in_tiny_parts_takes_no_more_memory_than_its_bytes() -> None:
    parts: list[bytes] = []
    content = random.Random(7).randbytes(200_000)
    tracemalloc.start()
    for start in range(0, len(content), 2):
        add_part(parts, content[start : start + 2])
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert b"".join(parts) == content
    assert kept < 1.2 * len(content)


@pytest.mark.parametrize(
    ("packed", "encoding", "text"),
    [
        pytest.param(BODY, b"gzip", "the body is not gzip, as content-encoding says", id="plain"),
        pytest.param(b"", b"gzip", "ends in the middle of its gzip stream", id="empty"),
        pytest.param(b"", b"deflate", "ends in the middle of its deflate stream", id="empty-deflate"),
        pytest.param(gzip.compress(BODY)[:-1], b"gzip", "ends in the middle of its gzip stream", id="cut"),
        pytest.param(gzip.compress(BODY) + b"x", b"gzip", "1 bytes follow the gzip stream", id="trailing"),
        pytest.param(gzip.compress(BODY) * 2, b"gzip", "bytes follow the gzip stream", id="two-streams"),
        pytest.param(zlib.compress(BODY), b"gzip", "the body is not gzip", id="zlib-for-gzip"),
    ],
)
def test_what_is_no_stream_is_refused(packed: bytes, encoding: bytes, text: str) -> None:
    with pytest.raises(InvalidRequest, match=text):
        unpacked(packed, encoding, 10_000)


def test_a_small_body_that_unpacks_to_a_gigabyte_takes_no_more_memory_than_the_limit() -> None:
    packer = zlib.compressobj(9)
    bomb = b"".join([packer.compress(bytes(1 << 20)) for _ in range(256)]) + packer.flush()
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            unpacked(bomb, b"deflate", 1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_any_bytes_are_unpacked_or_refused() -> None:
    dice = random.Random(7)
    packed = bytearray(gzip.compress(BODY))
    for _ in range(2000):
        mutated = bytearray(packed)
        for _ in range(dice.randint(1, 4)):
            mutated[dice.randrange(len(mutated))] = dice.randrange(256)
        for encoding in (b"gzip", b"deflate"):
            try:
                unpacked(bytes(mutated), encoding, 1000)
            except (InvalidRequest, BodyTooLarge):
                continue
