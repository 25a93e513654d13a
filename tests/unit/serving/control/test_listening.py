"""The control port's sockets: what they bound, and how they close."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from podium_serving.control import listening
from podium_serving.control.listening import MAX_HEAD_BYTES, Listening, serve
from podium_serving.web.client import Client
from podium_serving.web.link import CannotConnect
from ports import free_port

pytestmark = pytest.mark.process

PORT_HOST = "127.0.0.1"


class Door:
    """An application whose `/slow` answers when it is let, and its open port."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.let = asyncio.Event()
        self.port = free_port()
        self.listening: Listening | None = None

    async def open(self) -> None:
        async def quick(request: Request) -> Response:
            return PlainTextResponse(f"{len(await request.body())}")

        async def slow(request: Request) -> Response:
            self.asked.set()
            await self.let.wait()
            return PlainTextResponse("slow")

        application = Starlette(routes=[Route("/", quick, methods=["GET", "POST"]), Route("/slow", slow)])
        self.listening = await serve(application, PORT_HOST, self.port)

    async def close(self) -> None:
        assert self.listening is not None
        await self.listening.close()

    @property
    def url(self) -> str:
        return f"http://{PORT_HOST}:{self.port}"


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    made = Door()
    await made.open()
    yield made
    await made.close()


async def body_of(client: Client, url: str, body: bytes = b"") -> bytes:
    async with client.ask("POST" if body else "GET", url, body=body, silent_seconds=60) as reply:
        assert reply.status == 200
        return await reply.read(100)


async def test_a_connection_answers_one_after_the_other(door: Door) -> None:
    async with Client() as client:
        assert [await body_of(client, door.url, b"x" * size) for size in (1, 200_000, 3)] == [b"1", b"200000", b"3"]


@pytest.mark.parametrize("head", [b"GET /" + b"a" * 2**17, b"GET / HTTP/1.1\r\nA: " + b"a" * 2**17], ids=["path", "header"])
async def test_a_head_without_end_is_cut_off(door: Door, head: bytes) -> None:
    reader, writer = await asyncio.open_connection(PORT_HOST, door.port)
    writer.write(head)
    async with asyncio.timeout(60):
        with contextlib.suppress(ConnectionError):  # or the end of the connection
            assert await reader.read() == b""
    writer.transport.abort()
    async with Client() as client:
        assert await body_of(client, door.url) == b"0"


async def test_many_heads_of_one_connection_are_each_measured_alone(door: Door) -> None:
    padded = {"A": "a" * (MAX_HEAD_BYTES // 3)}
    async with Client() as client:
        for _ in range(6):
            async with client.ask("GET", door.url, padded) as reply:
                assert (reply.status, await reply.read(1)) == (200, b"0")


async def test_what_was_asked_before_the_port_closes_is_answered(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "SHUTDOWN_SECONDS", 60.0)
    async with Client() as client, Client() as late:
        answer = asyncio.create_task(body_of(client, f"{door.url}/slow"))
        await door.asked.wait()
        closing = asyncio.create_task(door.close())
        await asyncio.sleep(0)
        with pytest.raises(CannotConnect):
            await body_of(late, door.url)
        door.let.set()
        assert await answer == b"slow"
        await closing


async def test_what_takes_too_long_is_cut_off_when_the_port_closes(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "SHUTDOWN_SECONDS", 0.1)
    async with Client() as client:
        answer = asyncio.create_task(body_of(client, f"{door.url}/slow"))
        await door.asked.wait()
        began = time.monotonic()
        await door.close()
        assert time.monotonic() - began < 30
        with pytest.raises(ConnectionError):
            await answer


@pytest.mark.parametrize("begins", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nhost: pod\r\n"])
async def test_a_head_that_does_not_come_ends_the_connection(
    door: Door, monkeypatch: pytest.MonkeyPatch, begins: bytes
) -> None:
    monkeypatch.setattr(listening, "HEAD_SECONDS", 0.2)
    reader, writer = await asyncio.open_connection(PORT_HOST, door.port)
    writer.write(begins)
    async with asyncio.timeout(60):
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def test_one_address_has_so_many_connections_and_leaves_room_for_others(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listening, "MAX_CONNECTIONS", 3)

    async def answered(source: str, others: list[asyncio.StreamWriter]) -> bool:
        reader, writer = await asyncio.open_connection(PORT_HOST, door.port, local_addr=(source, 0))
        others.append(writer)
        writer.write(b"GET / HTTP/1.1\r\nhost: pod\r\n\r\n")
        async with asyncio.timeout(60):
            with contextlib.suppress(ConnectionError):
                return (await reader.readline()).startswith(b"HTTP/1.1 200")
        return False

    kept: list[asyncio.StreamWriter] = []
    assert [await answered("127.0.0.90", kept) for _ in range(4)] == [True, True, True, False]
    assert await answered("127.0.0.91", kept)
    for writer in kept:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
    again: list[asyncio.StreamWriter] = []
    async with asyncio.timeout(60):
        while not await answered("127.0.0.90", again):  # noqa: ASYNC110  the port counts them off
            await asyncio.sleep(0.01)
    for writer in again:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
