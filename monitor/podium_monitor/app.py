"""The collector's HTTP face: who may send, how much, and what they are told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import chain

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import generate_latest

from podium_crds import rows as rows_as_blocks
from podium_crds.capture import CONTENT_TYPE
from podium_monitor.answers import body_of, media_type, or_error, tell_what_there_is
from podium_monitor.collector import Collector
from podium_monitor.committer import Full
from podium_monitor.compact import rows_of_blocks
from podium_monitor.credentials import Refused, Source, authenticated_source
from podium_monitor.doors import Door, announced_bytes
from podium_monitor.erasure_routes import ErasureRoutes
from podium_monitor.events import Clock, rows_of
from podium_monitor.labels.routes import LabelRoutes
from podium_monitor.reference_routes import ReferenceRoutes
from podium_monitor.refusals import refusal
from podium_monitor.settings import Settings
from podium_monitor.unpacking import unpacked

_STUCK_SECONDS = 60.0


def application(settings: Settings, collector: Collector) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with collector.running():
            yield

    app = FastAPI(
        title="Podium collector",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # a client that does not follow would take the redirection for an acknowledgement
    )
    routes = Routes(settings, collector)
    app.add_api_route("/v1/events", routes.events, methods=["POST"])
    app.add_api_route("/v1/count", routes.count, methods=["GET"])
    app.add_api_route("/healthz", routes.healthy, methods=["GET"])
    app.add_api_route("/readyz", routes.ready, methods=["GET"])
    app.add_api_route("/metrics", routes.metrics, methods=["GET"])
    parts = [part(settings.collector_key, collector).router for part in (LabelRoutes, ReferenceRoutes, ErasureRoutes)]
    for part in parts:
        app.include_router(part)
    tell_what_there_is(app, chain(app.routes, *(part.routes for part in parts)))
    return app


class Routes:
    def __init__(self, settings: Settings, collector: Collector) -> None:
        self._settings = settings
        self._limits = settings.limits
        self._collector = collector
        self._door = Door("Batches", settings.limits.max_receiving_bytes, collector.metrics)

    async def events(self, request: Request) -> Response:
        response = await or_error(lambda: self._take(request))
        self._collector.metrics.requests.labels(str(response.status_code)).inc()
        return response

    async def _take(self, request: Request) -> Response:
        source = self._source(request)
        media = media_type(request)
        if media not in (CONTENT_TYPE, rows_as_blocks.CONTENT_TYPE):
            return refusal(415, f"Content-Type is {media!r}, must be {CONTENT_TYPE} or {rows_as_blocks.CONTENT_TYPE}")
        if not self._collector.is_ready():
            return refusal(503, "the lake is not open yet")
        limits = self._limits
        announced = announced_bytes(request, limits.max_body_bytes)
        if not self._collector.committer.has_room((source.namespace, source.name), announced):
            raise Full
        with self._door.let_in(source, announced):
            content = await self._content(request)
            if media == rows_as_blocks.CONTENT_TYPE:
                rows = rows_of_blocks(content, source, self._clock(), limits.max_batch_events, limits.max_batch_bytes)
            else:
                rows = rows_of(content, source, self._clock(), limits.max_batch_events)
        committed = await self._collector.committer.commit(rows, sum(part.size for part in rows))
        return JSONResponse({"accepted": committed.accepted, "duplicates": committed.duplicates})

    async def _content(self, request: Request) -> bytes:
        body = await body_of(request, self._limits.max_body_bytes, self._limits.body_seconds)
        encoding = request.headers.get("content-encoding", "").strip().lower()
        return unpacked(body, encoding, self._limits.max_batch_bytes)

    def _clock(self) -> Clock:
        limits = self._limits
        return Clock(datetime.now(UTC), timedelta(seconds=limits.late_seconds), timedelta(seconds=limits.early_seconds))

    def _source(self, request: Request) -> Source:
        headers = request.headers
        return authenticated_source(
            self._settings.collector_key, headers.get("authorization", ""), headers.get("podium-source", "")
        )

    async def count(self, request: Request, namespace: str, deployment: str) -> Response:
        """Rows of one deployment in the lake; for whoever holds that deployment's capture token."""

        async def counted() -> Response:
            source = self._source(request)
            if (source.namespace, source.name) != (namespace, deployment):
                raise Refused(f"the credential is of {source.namespace}/{source.name}, not of {namespace}/{deployment}")
            return JSONResponse(await self._collector.counts(source))

        return await or_error(counted)

    async def healthy(self) -> Response:
        if not self._collector.is_working():
            return refusal(503, "the collector's work has ended")
        if self._collector.committer.is_stuck(_STUCK_SECONDS):
            return refusal(503, f"a commit takes longer than {_STUCK_SECONDS:.0f} s")
        return JSONResponse({"healthy": True})

    async def ready(self) -> Response:
        if not self._collector.is_ready():
            return refusal(503, "the lake is not open yet, the collector's log says why")
        kafka = self._collector.kafka
        return JSONResponse({"ready": True} | ({"kafka": kafka.state()} if kafka is not None else {}))

    async def metrics(self) -> Response:
        return Response(generate_latest(self._collector.metrics.registry), media_type="text/plain; version=0.0.4")
