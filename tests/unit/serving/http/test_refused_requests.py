"""Requests that are refused before they are read, or while: bodies and heads beyond their bounds, and what is no HTTP."""

import asyncio
import gzip
from pathlib import Path

import pytest

from serving_lane_fixtures import client, infer_body, infer_request, site, until

pytestmark = pytest.mark.process


async def test_a_body_that_does_not_come_is_refused_and_lets_go_of_the_plan(tmp_path: Path) -> None:
    async with site(tmp_path, body_timeout_seconds=0.2) as here:
        serving = await here.serve("3")
        async with client(here.public) as connection:
            await connection.send(infer_request(infer_body(1, 1))[:-5])
            reply = await connection.reply()
            assert (reply.status, reply.headers["connection"]) == (408, "close")
            assert reply.error.startswith("the body did not arrive within")
            assert serving.open_requests == 0
            assert await connection.closed()


async def test_bodies_for_the_other_paths_are_bounded_in_time_and_size(tmp_path: Path) -> None:
    async with site(tmp_path, body_timeout_seconds=3.0) as here:
        await here.serve("3")
        async with client(here.public) as half_sent, client(here.public) as large:
            await half_sent.send(infer_request(b"{}", "/v2/repository/index")[:-1])
            reply = await large.ask(infer_request(b" " * 100_000, "/v2/repository/index"))
            assert reply.status == 413
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await half_sent.reply()


@pytest.mark.parametrize("announced", [True, False])
async def test_a_body_beyond_the_limit_is_refused_before_it_is_whole(announced: bool, tmp_path: Path) -> None:
    async with site(tmp_path, max_body_bytes=1000) as here:
        await here.serve("3")
        async with client(here.public) as connection:
            if announced:
                await connection.send(infer_request(b"x" * 2000)[:-1900])
            else:
                head = b"POST /v2/models/churn/infer HTTP/1.1\r\nhost: t\r\ntransfer-encoding: chunked\r\n\r\n"
                await connection.send(head + (b"190\r\n" + b"x" * 400 + b"\r\n") * 3)
            reply = await connection.reply()
            assert reply.status == 413
            assert "at most 1000 are taken; send fewer rows at a time" in reply.error
            assert await connection.closed()
        assert here.public.lane.buffered_bytes == 0


async def test_many_large_bodies_together_are_refused_as_overload(tmp_path: Path) -> None:
    async with site(tmp_path, max_buffered_bytes=1500) as here:
        await here.serve("3")
        async with client(here.public) as first, client(here.public) as second:
            await first.send(infer_request(b"x" * 1000)[:-1])
            await until(lambda: here.public.lane.buffered_bytes == 999)
            reply = await second.ask(infer_request(b"x" * 1000)[:-1])
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
            await first.send(b"x")
            assert (await first.reply()).status == 400


async def test_what_a_packed_body_becomes_is_of_the_ports_buffer(tmp_path: Path) -> None:
    packed = gzip.compress(b" " * 100_000)
    async with site(tmp_path, max_buffered_bytes=50_000) as here:
        await here.serve("3")
        async with client(here.public) as connection:
            reply = await connection.ask(infer_request(packed, content_encoding="gzip"))
            assert (reply.status, reply.headers["retry-after"]) == (503, "1")
        await until(lambda: here.public.lane.open_requests == 0)
        assert here.public.lane.buffered_bytes == 0


async def test_a_client_that_asks_before_it_sends_is_told_to_go_on_or_refused(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3", weights=[1, 1])
        body = infer_body(1, 1)
        async with client(here.public) as connection:
            await connection.send(infer_request(body, expect="100-continue")[: -len(body)])
            assert await connection.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await connection.send(body)
            assert (await connection.reply()).score == 2.0
            refused = infer_request(body, "/v2/models/other/infer", expect="100-continue")[: -len(body)]
            assert (await connection.ask(refused)).status == 404


@pytest.mark.parametrize(
    ("headers", "status", "error"),
    [
        pytest.param(
            {"content_encoding": "br"},
            415,
            "content-encoding 'br' is not taken; gzip, deflate and identity are, once",
            id="brotli",
        ),
        pytest.param(
            {"content_encoding": "gzip, gzip"},
            415,
            "content-encoding 'gzip, gzip' is not taken; gzip, deflate and identity are, once",
            id="twice",
        ),
        pytest.param(
            {"inference_header_content_length": "-1"},
            400,
            "Inference-Header-Content-Length is '-1', must be there once, "
            "and say how many bytes of JSON the body begins with",
            id="negative-length",
        ),
    ],
)
async def test_encodings_that_are_not_taken_are_named(
    headers: dict[str, str], status: int, error: str, tmp_path: Path
) -> None:
    async with site(tmp_path) as here:
        await here.serve("3")
        async with client(here.public) as connection:
            reply = await connection.ask(infer_request(infer_body(1, 1), **headers))
        assert (reply.status, reply.error) == (status, error)


async def test_what_is_no_http_is_refused_after_the_answers_that_are_due(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3", weights=[1, 1])
        async with client(here.public) as connection:
            await connection.send(infer_request(infer_body(1, 1)) + b"BLAH BLAH\r\n\r\n")
            assert (await connection.reply()).score == 2.0
            assert await connection.closed()
        async with client(here.public) as connection:
            reply = await connection.ask(b"BLAH BLAH\r\n\r\n")
            assert reply.status == 400
            assert reply.error.startswith("this is not HTTP/1.1: ")


async def test_a_head_without_end_is_refused(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3", timeout_milliseconds=60_000)
        async with client(here.public) as connection:
            # Large bodies and many requests are no large heads.
            assert (await connection.ask(infer_request(b"x" * 100_000))).status == 400
            await connection.send(infer_request(infer_body(1, 1)) * 300)
            assert {(await connection.reply()).status for _ in range(300)} == {200}
            await connection.send(b"POST /v2/models/churn/infer HTTP/1.1\r\nx-long: " + b"x" * 70_000)
            reply = await connection.reply()
            assert (reply.status, reply.error) == (431, "the request's head has more than 65536 bytes")
            assert await connection.closed()


async def test_a_large_body_that_is_refused_is_no_large_head(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3", weights=[1, 1])
        async with client(here.public) as connection:
            refused, good = infer_request(b"x" * 1_000_000), infer_request(infer_body(1, 1))
            for cut in (0, 20, len(good) - 20):
                await connection.send(refused + good[:cut])
                assert (await connection.reply()).status == 400
                await connection.send(good[cut:])
                assert (await connection.reply()).score == 2.0
