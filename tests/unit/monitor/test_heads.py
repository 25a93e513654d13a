"""Whoever sends a head without end is cut off, whoever they are; bodies that are refused early are read to their end."""

import socket
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from monitor_fixtures import CollectorProcess, headers, running

pytestmark = pytest.mark.process

_PIECE = b"a" * 100_000


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    yield from running(tmp_path)


@pytest.mark.parametrize(
    ("begin", "line"),
    [
        (b"POST /v1/events HTTP/1.1\r\nHost: x\r\n", b"X: " + _PIECE + b"\r\n"),
        (b"POST /v1/events HTTP/1.1\r\nX: ", _PIECE),
        (b"GET /", _PIECE),
        (b"POST /v1/events HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", b"X: " + _PIECE + b"\r\n"),
    ],
)
async def test_a_head_or_a_trailer_without_end_is_cut_off(collector: CollectorProcess, begin: bytes, line: bytes) -> None:
    await collector.ready()
    with socket.create_connection(("127.0.0.1", collector.port), timeout=60) as connection:
        connection.sendall(begin)
        with pytest.raises(ConnectionError):
            connection.sendall(line * 1000)


async def test_who_is_refused_before_a_large_body_is_told_so_on_a_connection_that_stays(collector: CollectorProcess) -> None:
    await collector.ready()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        for _ in range(3):
            unknown = headers(Authorization="Bearer nobody")
            async with session.post(f"{collector.url}/v1/events", data=b"a" * 1_000_000, headers=unknown) as response:
                assert response.status == 401
