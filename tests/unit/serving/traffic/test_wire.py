"""The client of forwards: connections are reused when that is safe, and broken when it is not."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable

import pytest

from podium_serving.traffic.wire import AnswerTooLarge, BrokenExchange, Pool
from ports import free_port
from traffic_fixtures import HOST, until

pytestmark = pytest.mark.process

HEAD = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nX-One: 1\r\ncontent-length: 2\r\n\r\nok"
Script = Callable[["Server"], None]


class Server(asyncio.Protocol):
    """Answers each time it got `needs` bytes, with what the test says. Counts connections in `opened`."""

    opened: list["Server"]
    needs = len(HEAD % 1) + 1

    def __init__(self, says: list[bytes], opened: list["Server"]) -> None:
        self.says = says
        self.opened = opened
        self.got = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.lost = False
        self.opened.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True

    def data_received(self, data: bytes) -> None:
        self.got += len(data)
        if self.got >= self.needs:
            self.got = 0
            if self.says:
                self.transport.write(self.says.pop(0))


class Site:
    def __init__(self) -> None:
        self.says: list[bytes] = []
        self.opened: list[Server] = []
        self.port = free_port()
        self.pool = Pool(HOST, self.port)

    async def ask(self, body: bytes = b"x", limit: int = 100, *, fresh: bool = False) -> tuple[int, bytes]:
        async with asyncio.timeout(60):  # the client itself never gives up: its caller's budget does
            response = await self.pool.exchange(HEAD % len(body), body, limit, fresh=fresh)
        return response.status, response.body


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Server(site.says, site.opened), HOST, site.port)
    yield site
    site.pool.close()
    server.close()
    for connection in site.opened:
        connection.transport.abort()


async def test_one_connection_serves_request_after_request(site: Site) -> None:
    site.says += [OK, b"HTTP/1.1 503 Later\r\ntransfer-encoding: chunked\r\n\r\n3\r\nnot\r\n0\r\n\r\n", OK]
    assert [await site.ask() for _ in range(3)] == [(200, b"ok"), (503, b"not"), (200, b"ok")]
    assert len(site.opened) == 1


async def test_requests_at_once_take_a_connection_each(site: Site) -> None:
    site.says += [OK] * 6
    await asyncio.gather(*(site.ask() for _ in range(3)))
    await asyncio.gather(*(site.ask() for _ in range(3)))
    assert len(site.opened) == 3


async def test_a_fresh_request_takes_a_new_connection(site: Site) -> None:
    site.says += [OK] * 2
    await site.ask()
    await site.ask(fresh=True)
    assert len(site.opened) == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(OK.replace(b"X-One: 1", b"connection: close"), id="the-server-says-close"),
        pytest.param(OK.replace(b"1.1", b"1.0"), id="http-1.0"),
    ],
)
async def test_a_connection_that_ends_is_not_reused(site: Site, answer: bytes) -> None:
    site.says += [answer, OK]
    assert await site.ask() == (200, b"ok")
    assert await site.ask() == (200, b"ok")
    assert len(site.opened) == 2


async def test_an_idle_connection_that_the_server_closed_is_not_reused(site: Site) -> None:
    site.says += [OK, OK]
    await site.ask()
    site.opened[0].transport.close()
    await until(lambda: site.opened[0].lost)
    await asyncio.sleep(0)
    assert await site.ask() == (200, b"ok")
    assert len(site.opened) == 2


@pytest.mark.parametrize("stray", [b"HTTP/1.1 200 OK\r\n", OK], ids=["half-an-answer", "a-second-answer"])
async def test_bytes_that_nobody_asked_for_break_the_connection(site: Site, stray: bytes) -> None:
    site.says += [OK, OK]
    await site.ask()
    site.opened[0].transport.write(stray)
    await until(lambda: site.opened[0].lost)
    assert await site.ask() == (200, b"ok")
    assert len(site.opened) == 2


async def test_a_second_answer_behind_the_first_is_never_read_as_another_requests(site: Site) -> None:
    wrong = OK.replace(b"\r\n\r\nok", b"\r\n\r\nno")
    site.says += [OK + wrong, OK]
    assert await site.ask() == (200, b"ok")
    assert await site.ask() == (200, b"ok")
    assert len(site.opened) == 2


async def test_a_request_that_was_given_up_breaks_its_connection(site: Site) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await site.ask()
    await until(lambda: bool(site.opened) and site.opened[0].lost)
    site.says += [OK]
    assert await site.ask() == (200, b"ok")


async def test_an_answer_beyond_the_limit_is_not_kept(site: Site) -> None:
    site.says += [b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n" + b"x" * 20_000]
    with pytest.raises(AnswerTooLarge, match="more than 100 bytes"):
        await site.ask()


async def test_a_header_without_end_is_not_kept(site: Site) -> None:
    site.says += [b"HTTP/1.1 200 OK\r\nx: " + b"x" * 20_000]
    with pytest.raises(AnswerTooLarge):
        await site.ask()


async def test_what_is_no_http_is_named(site: Site) -> None:
    site.says += [b"SSH-2.0-x\r\n"]
    with pytest.raises(BrokenExchange, match="no HTTP"):
        await site.ask()


async def test_a_large_body_arrives_whole_and_the_connection_lives(site: Site) -> None:
    body = b"x" * 5_000_000
    site.says += [OK, OK]
    Server.needs, small = len(HEAD % len(body)) + len(body), Server.needs
    try:
        assert await site.ask(body) == (200, b"ok")
    finally:
        Server.needs = small
    assert await site.ask() == (200, b"ok")
    assert len(site.opened) == 1


async def test_a_large_body_that_is_refused_early_is_not_written_to_its_end(site: Site) -> None:
    site.says += [b"HTTP/1.1 413 Large\r\ncontent-length: 0\r\n\r\n"]
    assert await site.ask(b"x" * 50_000_000) == (413, b"")
    await until(lambda: site.opened[0].lost)  # its end has read what was written; what it says now is for the next
    site.says += [OK]
    assert await site.ask() == (200, b"ok")
    assert len(site.opened) == 2


async def test_nobody_there_is_an_os_error() -> None:
    with pytest.raises(OSError, match="Connect"):
        await Pool(HOST, free_port()).exchange(HEAD % 0, b"", 100)


async def test_who_does_not_take_a_connection_is_given_up_soon() -> None:
    with socket.socket() as listener, contextlib.ExitStack() as others:
        listener.bind((HOST, 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for _ in range(4):  # what the backlog takes, and those that wait for it
            other = others.enter_context(socket.socket())
            other.setblocking(False)
            other.connect_ex((HOST, port))
        started = time.monotonic()
        with pytest.raises(BrokenExchange, match="no connection within"):
            await Pool(HOST, port).exchange(HEAD % 0, b"", 100)
        assert time.monotonic() - started < 30  # the kernel gives up after two minutes


async def test_a_connection_whose_other_machine_vanished_is_noticed_by_what_it_does_not_acknowledge(site: Site) -> None:
    site.says += [OK]
    await site.ask()
    (kept,) = site.pool._idle
    assert kept._transport is not None
    taken = kept._transport.get_extra_info("socket")
    assert 0 < taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) < 1000


async def test_a_closed_pool_keeps_nothing(site: Site) -> None:
    site.says += [OK]
    await site.ask()
    site.pool.close()
    await until(lambda: site.opened[0].lost)
