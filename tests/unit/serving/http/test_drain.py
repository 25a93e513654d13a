"""The end of a server's life: what is open is answered, what is quiet is closed, and nothing can hold it up."""

import asyncio
import gc
import time
import weakref
from pathlib import Path

import pytest

from serving_lane_fixtures import client, infer_body, infer_request, site, until

pytestmark = pytest.mark.process


async def test_while_draining_new_connections_are_answered_and_told_to_close(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3", weights=[1, 1])
        here.state.draining = True
        async with client(here.public) as connection:
            # Requests that are on the wire already are answered before the connection closes.
            await connection.send(infer_request(infer_body(1, 1)) * 3)
            replies = [await connection.reply() for _ in range(3)]
            assert [reply.score for reply in replies] == [2.0, 2.0, 2.0]
            assert [reply.headers.get("connection") for reply in replies] == [None, None, "close"]
            assert await connection.closed()
        async with client(here.public) as connection:
            reply = await connection.ask(b"GET /v2/health/ready HTTP/1.1\r\nhost: t\r\n\r\n")
            assert (reply.status, reply.headers["connection"]) == (503, "close")
            assert reply.error == "this pod is going away"


async def test_stopping_closes_the_quiet_and_waits_for_the_open(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3", weights=[1, 1])
        here.responder.held = asyncio.Event()
        async with client(here.public) as quiet, client(here.public) as used, client(here.public) as busy:
            await used.ask(b"GET /v2 HTTP/1.1\r\nhost: t\r\n\r\n")
            await busy.send(infer_request(infer_body(1, 1)))
            await until(lambda: here.public.lane.open_requests == 1)
            here.state.draining = True
            stopping = asyncio.create_task(here.public.stop(60))
            assert await quiet.closed()
            assert await used.closed()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", here.public.port)
            assert not stopping.done()
            here.responder.held.set()
            reply = await busy.reply()
            assert (reply.score, reply.headers["connection"]) == (2.0, "close")
            await stopping


async def test_half_sent_and_unread_requests_cannot_hold_it_up(tmp_path: Path) -> None:
    async with site(tmp_path, body_timeout_seconds=3.0) as here:
        await here.serve("3")
        async with client(here.public) as half_head, client(here.public) as half_body:
            await half_head.send(b"POST /v2/models/churn/infer HTTP/1.1\r\nhos")
            await half_body.send(infer_request(infer_body(1, 1))[:-1])
            await until(lambda: here.public.lane.open_requests == 1)
            here.state.draining = True
            started = time.monotonic()
            await here.public.stop(60)
            assert time.monotonic() - started < 30
            assert (await half_body.reply()).status == 408
            assert await half_head.closed()


async def test_what_is_open_at_the_limit_is_cut_off(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with site(tmp_path) as here:
        serving = await here.serve("3")
        here.responder.held = asyncio.Event()
        async with client(here.public) as connection:
            await connection.send(infer_request(infer_body(1, 1)))
            await until(lambda: serving.open_requests == 1)
            started = time.monotonic()
            await here.public.stop(0.2)
            assert 0.15 < time.monotonic() - started < 30
            with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
                await connection.reply()
        assert "1 connections are cut off after 0.2 s of draining" in caplog.text
        await until(lambda: serving.open_requests == 0)


async def test_a_client_that_does_not_read_its_answers_is_cut_off_in_time(tmp_path: Path) -> None:
    async with site(tmp_path, keep_alive_seconds=3.0) as here:
        await here.serve("3")
        async with client(here.public) as connection:
            await connection.ask(b"GET /v2 HTTP/1.1\r\nhost: t\r\n\r\n")
            assert here.public.connections == 1
            connection.writer.transport.pause_reading()  # type: ignore[attr-defined]
            # More than the sockets' buffers hold: 4 MB of pages.
            connection.writer.write(b"GET /docs HTTP/1.1\r\nhost: t\r\n\r\n" * 1000)
            await until(lambda: here.public.connections == 0)


async def test_a_connection_that_cannot_be_swept_is_cut_off_and_the_others_still_are_swept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        site(tmp_path, body_timeout_seconds=1.0) as here,
        client(here.public) as broken,
        client(here.public) as other,
    ):
        await here.serve("3", weights=[1, 1])
        await broken.ask(infer_request(infer_body(1, 1)))
        me = broken.writer.get_extra_info("sockname")
        (connection,) = [one for one in here.public._uvicorn.connections if getattr(one, "client", None) == me]
        connection.quiet_since = None  # type: ignore[union-attr]
        assert await broken.closed()
        await other.send(infer_request(infer_body(1, 1))[:-1])
        assert (await other.reply()).status == 408
    assert "cannot be swept" in caplog.text


async def test_a_silent_connection_keeps_no_model_that_answered_it(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        await here.serve("3", weights=[1, 1])
        async with client(here.public) as silent:
            await silent.send(infer_request(infer_body(1, 1)) * 2)
            assert [(await silent.reply()).score for _ in range(2)] == [2.0, 2.0]
            old = here.models.pop()
            await here.serve("4", epoch=2, weights=[2, 2])
            await old.close()
            kept = weakref.ref(old)
            del old
            gc.collect()
            assert kept() is None
            assert (await silent.ask(infer_request(infer_body(1, 1)))).score == 4.0
