"""An API server that does what a test says: lists, streams, breaks off, forgets, hangs. Real sockets, no cluster."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from podium_monitor.cluster import Cluster
from ports import free_port

Manifest = dict[str, Any]
_KINDS = {"modeldeployments": "ModelDeployment", "modelversions": "ModelVersion"}


@dataclass
class ScriptedApiServer:
    """Keeps objects of the two kinds. `deny` maps a path to the status that it answers."""

    port: int = field(default_factory=free_port)
    objects: dict[tuple[str, str, str], Manifest] = field(default_factory=dict)
    events: list[tuple[int, str, Manifest]] = field(default_factory=list)
    version: int = 100
    deny: dict[str, int] = field(default_factory=dict)
    forgotten: int = 0
    """A stream from before this version gets 410."""
    requests: Counter[str] = field(default_factory=Counter)
    answers: dict[str, Manifest] = field(default_factory=dict)
    """Status of the reviews by kind."""
    asked: list[Manifest] = field(default_factory=list)
    _changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _streams: set[asyncio.Task[Any]] = field(default_factory=set)

    async def put(self, manifest: Manifest, what: str = "MODIFIED") -> None:
        async with self._changed:
            self.version += 1
            metadata = {**manifest["metadata"], "resourceVersion": str(self.version)}
            manifest = {**manifest, "metadata": metadata}
            key = (manifest["kind"], metadata["namespace"], metadata["name"])
            if what == "DELETED":
                self.objects.pop(key)
            else:
                self.objects[key] = manifest
            self.events.append((self.version, what, manifest))
            self._changed.notify_all()

    async def remove(self, manifest: Manifest) -> None:
        await self.put(manifest, "DELETED")

    @property
    def streams(self) -> int:
        """That are open."""
        return len(self._streams)

    def break_streams(self) -> None:
        for task in self._streams:
            task.cancel()

    def forget(self) -> None:
        """What happened until now can no longer be streamed."""
        self.events.clear()
        self.version += 1
        self.forgotten = self.version

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.requests[f"{'watch' if 'watch' in request.query else request.method} {request.path}"] += 1
        if (status := self.deny.get(request.path)) is not None:
            return web.json_response({"kind": "Status", "message": "as the test says"}, status=status)
        if request.method == "POST":
            asked = await request.json()
            self.asked.append(asked)
            return web.json_response({**asked, "status": self.answers[asked["kind"]]}, status=201)
        parts = request.path.strip("/").split("/")
        kind, namespace = _KINDS[parts[-1]], parts[-2] if "namespaces" in parts else None
        if "watch" in request.query:
            return await self._stream(request, kind, namespace)
        return self._page(request, kind, namespace)

    def _page(self, request: web.Request, kind: str, namespace: str | None) -> web.Response:
        found = [one for key, one in sorted(self.objects.items()) if key[0] == kind and namespace in (None, key[1])]
        start, limit = int(request.query.get("continue", 0)), int(request.query["limit"])
        metadata = {"resourceVersion": str(self.version)}
        if start + limit < len(found):
            metadata["continue"] = str(start + limit)
        bare = [{key: value for key, value in one.items() if key not in ("kind", "apiVersion")} for one in found]
        return web.json_response({"metadata": metadata, "items": bare[start : start + limit]})

    async def _stream(self, request: web.Request, kind: str, namespace: str | None) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        seen = int(request.query["resourceVersion"])
        if seen < self.forgotten:
            gone = {"kind": "Status", "code": 410, "message": "too old resource version"}
            await response.write(json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
            return response
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            while True:
                for version, what, manifest in [event for event in self.events if event[0] > seen]:
                    seen = version
                    if manifest["kind"] == kind and namespace in (None, manifest["metadata"]["namespace"]):
                        await response.write(json.dumps({"type": what, "object": manifest}).encode() + b"\n")
                async with self._changed:
                    await self._changed.wait_for(lambda: any(event[0] > seen for event in self.events))  # noqa: B023
        except asyncio.CancelledError:
            if request.transport is not None:
                request.transport.abort()  # as a connection breaks: nothing says goodbye
            return response
        finally:
            self._streams.discard(task)


@asynccontextmanager
async def api_server() -> AsyncIterator[ScriptedApiServer]:
    server = ScriptedApiServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server._serve)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", server.port).start()
    try:
        yield server
    finally:
        server.break_streams()
        await runner.cleanup()


async def connected(folder: Path, port: int) -> Cluster:
    """By a kubeconfig file, as on a laptop."""
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(
        yaml.safe_dump(
            {
                "current-context": "test",
                "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
                "clusters": [{"name": "test", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "users": [{"name": "test", "user": {"token": "secret"}}],
            }
        )
    )
    return await Cluster.connect(kubeconfig=str(kubeconfig))
