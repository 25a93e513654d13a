"""Header blocks: what a client's says is read as it was written, however its table changes; ours are read by others."""

import pytest
from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as st

from podium_serving.rpc.http2.frames import ConnectionFault, ErrorCode
from podium_serving.rpc.http2.headers import HeaderReader, RawHeaders, literal

names = st.sampled_from(["x-a", "x-b", "grpc-timeout", "x-request-id", ":path", "te"])
values = st.text("abc0", max_size=4) | st.text("x", min_size=500, max_size=1500)
blocks = st.lists(st.lists(st.tuples(names, values, st.booleans()), min_size=1, max_size=5), max_size=30)


@given(blocks)
def test_every_block_says_what_was_written_whether_it_is_known_or_not(written: list[list[tuple[str, str, bool]]]) -> None:
    encoder = Encoder()
    reader: HeaderReader[RawHeaders] = HeaderReader(lambda fields: fields)
    for fields in written:
        for _ in range(2):  # the second time the table has it
            block = encoder.encode([(name, value, sensitive) for name, value, sensitive in fields])
            assert reader.read(block) == [(name.encode(), value.encode()) for name, value, _ in fields]


@given(st.lists(st.integers(0, 3), max_size=20))
def test_a_table_whose_size_changes_forgets_what_was_read(sizes: list[int]) -> None:
    encoder = Encoder()
    reader: HeaderReader[RawHeaders] = HeaderReader(lambda fields: fields)
    for index, size in enumerate(sizes):
        encoder.header_table_size = (0, 40, 100, 4096)[size]
        fields = [("x-a", str(index % 2)), ("x-b", "1")]
        assert reader.read(encoder.encode(fields)) == [(name.encode(), value.encode()) for name, value in fields]


def test_equal_blocks_are_interpreted_once_until_the_table_changes() -> None:
    read: list[RawHeaders] = []
    encoder = Encoder()

    def interpret(fields: RawHeaders) -> RawHeaders:
        read.append(fields)
        return fields

    reader = HeaderReader(interpret)
    same = [("x-a", "1"), ("x-b", "2")]
    for _ in range(5):
        reader.read(encoder.encode(same))
    assert len(read) == 2  # once with its entries, once with their indices
    reader.read(encoder.encode([("x-c", "3")]))
    reader.read(encoder.encode(same))
    assert len(read) == 4


@pytest.mark.parametrize("block", [b"\x80", b"\xff", b"\xff\xff\xff\xff\xff\xff", b"\x40", b"\x00\x05ab", b"\x3f\xe2\x1f"])
def test_a_block_that_cannot_be_read_is_the_connections_fault(block: bytes) -> None:
    with pytest.raises(ConnectionFault) as fault:
        HeaderReader(lambda fields: fields).read(block)
    assert fault.value.code == ErrorCode.COMPRESSION_ERROR


@given(st.binary(max_size=60))
def test_no_block_does_more_than_be_refused(block: bytes) -> None:
    try:
        HeaderReader(lambda fields: fields).read(block)
    except ConnectionFault as fault:
        assert fault.code == ErrorCode.COMPRESSION_ERROR  # noqa: PT017 - it may be good, too


@pytest.mark.parametrize("size", [0, 1, 126, 127, 128, 254, 255, 300, 16_511])
def test_our_literals_are_read_by_any_decoder(size: int) -> None:
    decoder = Decoder(100_000)
    ((name, value),) = decoder.decode(literal("grpc-message", "v" * size), raw=True)
    assert (name, value) == (b"grpc-message", b"v" * size)
    assert len(decoder.header_table.dynamic_entries) == 0
