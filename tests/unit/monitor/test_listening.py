"""How the monitor's processes listen: who asks is who connects, whatever headers say."""

import asyncio

import aiohttp
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from podium_monitor.listening import LISTENING
from ports import free_port

pytestmark = pytest.mark.process


async def test_a_header_does_not_change_whose_request_it_is() -> None:
    async def who(request: Request) -> Response:
        assert request.client is not None
        return PlainTextResponse(f"{request.client.host} by {request.url.scheme}")

    config = uvicorn.Config(Starlette(routes=[Route("/", who)]), host="127.0.0.1", port=free_port(), **LISTENING)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    try:
        async with asyncio.timeout(60):
            while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
                await asyncio.sleep(0.01)
        headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{config.port}/", headers=headers) as response,
        ):
            assert await response.text() == "127.0.0.1 by http"
            assert "Server" not in response.headers
    finally:
        server.should_exit = True
        await serving
