"""Who stops waiting for a connection leaves none open, at whichever turn of the loop that is."""

import asyncio
import contextlib
import gc

import pytest

from podium_serving.web.addresses import Origin
from podium_serving.web.link import Link

pytestmark = pytest.mark.process

TURNS = 12
"""Of the loop: a connection on one machine is there after fewer."""


async def test_who_stops_waiting_for_a_connection_leaves_none_open() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    origin = Origin("http", "127.0.0.1", server.sockets[0].getsockname()[1])
    async with server:
        for turns in range(TURNS):
            opening = asyncio.create_task(Link.open(origin, None, 60.0))
            for _ in range(turns):
                await asyncio.sleep(0)
            opening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                (await opening).abort()
            del opening
            gc.collect()  # a socket that is left is an error here
