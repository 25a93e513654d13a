"""The evaluator's HTTP face: health, metrics, and the parts that are mounted (evidence, dashboard)."""

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

    def metrics(request: Request) -> Response:  # in a thread: it writes many lines
        if came_through_a_proxy(request):
            return JSONResponse({"error": "metrics are for the cluster alone"}, 404)
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4")

    app.add_api_route("/healthz", healthy, methods=["GET"])
    app.add_api_route("/readyz", ready, methods=["GET"])
    app.add_api_route("/metrics", metrics, methods=["GET"])
    for router in routers:
        app.include_router(router)
    return app


def face_for_people(routers: Sequence[APIRouter]) -> FastAPI:
    """What a proxy may reach: no metrics, no probes, nothing that names a namespace to whoever asks."""
    app = FastAPI(title="Podium", docs_url=None, redoc_url=None, openapi_url=None)
    for router in routers:
        app.include_router(router)
    return app
