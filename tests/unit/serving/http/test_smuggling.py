"""Requests whose end two servers could see at different places: one of them must not be taken for two, or two for one."""

from pathlib import Path

import pytest

from serving_lane_fixtures import client, infer_body, infer_request, site

pytestmark = pytest.mark.process

BODY = infer_body(1, 2)
SECOND = infer_request(infer_body(3, 4))


def with_headers(*lines: bytes, body: bytes = BODY) -> bytes:
    return b"\r\n".join([b"POST /v2/models/churn/infer HTTP/1.1", b"host: test", *lines]) + b"\r\n\r\n" + body


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


LENGTH = b"content-length: %d" % len(BODY)


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(with_headers(LENGTH, b"transfer-encoding: chunked", body=chunked(BODY)), id="length-and-chunked"),
        pytest.param(with_headers(b"transfer-encoding: chunked", LENGTH, body=chunked(BODY)), id="chunked-and-length"),
        pytest.param(with_headers(LENGTH, b"content-length: 5"), id="two-lengths"),
        pytest.param(with_headers(LENGTH, LENGTH), id="the-same-length-twice"),
        pytest.param(with_headers(b"content-length: %d, %d" % (len(BODY), len(BODY))), id="lengths-in-a-list"),
        pytest.param(with_headers(b"content-length: +%d" % len(BODY)), id="length-with-a-sign"),
        pytest.param(with_headers(b"content-length: -1"), id="negative-length"),
        pytest.param(with_headers(b"content-length: 0x10"), id="hexadecimal-length"),
        pytest.param(with_headers(b"content-length: 99999999999999999999999"), id="length-overflows"),
        pytest.param(with_headers(b"content-length : %d" % len(BODY)), id="space-before-the-colon"),
        pytest.param(with_headers(b"x: 1", b" folded", LENGTH), id="folded-line"),
        pytest.param(with_headers(b"x: a\x00b", LENGTH), id="nul-in-a-value"),
        pytest.param(with_headers(b"x\x01: a", LENGTH), id="control-byte-in-a-name"),
        pytest.param(with_headers(b"x: a\rcontent-length: 5", LENGTH), id="bare-carriage-return"),
        pytest.param(with_headers(b"transfer-encoding: chunked, identity", body=chunked(BODY)), id="chunked-is-not-last"),
        pytest.param(with_headers(b"transfer-encoding: xchunked", body=chunked(BODY)), id="unknown-encoding"),
        pytest.param(with_headers(b"transfer-encoding: chunked", body=b"zz\r\n" + BODY), id="chunk-size-no-number"),
        pytest.param(
            with_headers(b"transfer-encoding: chunked", body=b"ffffffffffffffffff\r\n" + BODY), id="chunk-size-overflows"
        ),
        pytest.param(with_headers(b"transfer-encoding: chunked", body=b"-1\r\n" + BODY), id="chunk-size-negative"),
    ],
)
async def test_an_unclear_end_is_refused_and_the_connection_closed(tmp_path: Path, request_bytes: bytes) -> None:
    async with site(tmp_path) as here:
        await here.serve("3")
        async with client(here.public) as connection:
            await connection.send(request_bytes + SECOND)
            reply = await connection.reply()
            assert reply.status == 400
            assert await connection.closed()
        assert here.responder.asked == []


async def test_both_lengths_are_refused_on_the_forward_port_too(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3")
        async with client(here.forward) as connection:
            await connection.send(with_headers(LENGTH, b"transfer-encoding: chunked", body=chunked(BODY)) + SECOND)
            assert (await connection.reply()).status == 400
            assert await connection.closed()


async def test_a_header_flood_is_refused(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3")
        async with client(here.public) as connection:
            await connection.send(with_headers(*[b"x-%d: y" % number for number in range(10_000)], LENGTH))
            assert (await connection.reply()).status == 431
            assert await connection.closed()


async def test_two_requests_in_one_write_are_two(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3")
        async with client(here.public) as connection:
            await connection.send(with_headers(LENGTH) + SECOND)
            assert [(await connection.reply()).score for _ in range(2)] == [3.0, 7.0]


async def test_thousands_that_offer_another_protocol_in_one_write_are_answered_one_after_the_other(tmp_path: Path) -> None:
    many = 3000  # read one inside the other they would be deeper than Python goes
    offer = with_headers(b"connection: upgrade", b"upgrade: h2c", b"content-length: 2", body=b"{}")
    async with site(tmp_path) as here:
        await here.serve("3")
        async with client(here.public) as connection:
            await connection.send(offer * many + SECOND)
            assert {(await connection.reply()).status for _ in range(many)} == {400}
            assert (await connection.reply()).score == 7.0
