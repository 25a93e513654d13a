"""The evaluator's HTTP face: health, metrics, and the parts that are mounted (evidence, dashboard)."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, generate_latest

from podium_monitor.evaluator.rounds import Rounds
from podium_monitor.sign_in.forwarded import came_through_a_proxy
from podium_monitor.world import World


def application(
    world: World,
    rounds: Rounds,
    registry: CollectorRegistry,
    routers: Sequence[APIRouter],
    running: AbstractAsyncContextManager[None],
) -> FastAPI:
    """`running` holds what runs behind the face while it is served."""
    app = FastAPI(title="Podium monitor", lifespan=lambda _: running, docs_url=None, redoc_url=None, openapi_url=None)

    async def healthy() -> Response:
        if not rounds.is_working():
            return JSONResponse({"error": "the evaluator's work has ended"}, 503)
        return JSONResponse({"healthy": True})

    async def ready(request: Request) -> Response:
        if world.why_not_ready:  # it names namespaces, and what the API server says
            why = "it is not ready" if came_through_a_proxy(request) else world.why_not_ready
            return JSONResponse({"error": why}, 503)
        return JSONResponse({"ready": True})

    page = _Page(registry)

    async def metrics(request: Request) -> Response:
        if came_through_a_proxy(request):
            return JSONResponse({"error": "metrics are for the cluster alone"}, 404)
        return Response(await page.written(), media_type="text/plain; version=0.0.4")

    app.add_api_route("/healthz", healthy, methods=["GET"])
    app.add_api_route("/readyz", ready, methods=["GET"])
    app.add_api_route("/metrics", metrics, methods=["GET"])
    for router in routers:
        app.include_router(router)
    return app


class _Page:
    """The metrics as text, written in a thread, for it is long; once at a time, for nobody who asks is known."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._writing: asyncio.Task[bytes] | None = None

    async def written(self) -> bytes:
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(asyncio.to_thread(generate_latest, self._registry))
        return await asyncio.shield(self._writing)


def face_for_people(routers: Sequence[APIRouter]) -> FastAPI:
    """What a proxy may reach: no metrics, no probes, nothing that names a namespace to whoever asks."""
    app = FastAPI(title="Podium", docs_url=None, redoc_url=None, openapi_url=None)
    for router in routers:
        app.include_router(router)
    return app
