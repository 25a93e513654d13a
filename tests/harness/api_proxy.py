"""Between the operator and the API server: a test sees each write of the operator and stops the world before or after it.

Plain HTTP towards the operator (its kubeconfig names the proxy), the real client certificate towards the API server.
"""

import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web

from harness.api import target_of


@dataclass(frozen=True)
class Write:
    """One changing request: method, path without query, body."""

    method: str
    path: str
    body: bytes
    user_agent: str = ""

    @property
    def is_lease(self) -> bool:
        return "/leases" in self.path

    @property
    def is_event(self) -> bool:
        return self.path.endswith("/events")


Hook = Callable[[Write], Awaitable[None]]


async def _nothing(write: Write) -> None:
    return None


class ApiProxy:
    """`before` runs before a write is passed on, `after` when the API server has answered but the operator has not heard."""

    def __init__(self, kubeconfig: Path) -> None:
        self._target = target_of(kubeconfig)
        self.writes: list[Write] = []
        self.before: Hook = _nothing
        self.after: Hook = _nothing
        self._session: aiohttp.ClientSession | None = None
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def start(self) -> None:
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=None), auto_decompress=False, connector=aiohttp.TCPConnector(limit=0)
        )
        app = web.Application(client_max_size=2**25)
        app.router.add_route("*", "/{path:.*}", self._pass)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    def kubeconfig(self, path: Path) -> Path:
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "proxy",
                    "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "proxy"}}],
                    "clusters": [{"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
                    "users": [{"name": "proxy", "user": {}}],
                }
            )
        )
        return path

    async def _pass(self, request: web.Request) -> web.StreamResponse:
        assert self._session is not None
        body = await request.read()
        write = Write(request.method, request.path, body, request.headers.get("User-Agent", ""))
        changes = request.method not in ("GET", "HEAD", "OPTIONS")
        if changes:
            self.writes.append(write)
            await self.before(write)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in ("host", "content-length")}
        tls = self._target.tls if self._target.tls is not None else True
        url = f"{self._target.server}{request.raw_path}"
        async with self._session.request(
            request.method, url, data=body or None, headers=headers, ssl=tls, skip_auto_headers=("Content-Type",)
        ) as answer:
            return await self._relay(request, answer, write if changes else None)

    async def _relay(self, request: web.Request, answer: aiohttp.ClientResponse, write: Write | None) -> web.StreamResponse:
        if write is not None:
            content = await answer.read()
            await self.after(write)
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_HEADERS}
            return web.Response(status=answer.status, body=content, headers=kept)
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_HEADERS}
        response = web.StreamResponse(status=answer.status, headers=headers)
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
        return response


_HOP_HEADERS = {"content-length", "transfer-encoding", "connection"}
