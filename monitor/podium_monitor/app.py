"""The collector's HTTP face: who may send, how much, and what they are told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import generate_latest
from starlette.requests import ClientDisconnect

from podium_crds.capture import CONTENT_TYPE
from podium_monitor.collector import Collector
from podium_monitor.committer import Full
from podium_monitor.credentials import Refused, Source, authenticated_source
from podium_monitor.events import Clock, InvalidBatch, TooLarge, rows_of, unpacked
from podium_monitor.settings import Settings

_BUSY_SECONDS = 1
_BROKEN_SECONDS = 5
_STUCK_SECONDS = 60.0


def application(settings: Settings, collector: Collector) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with collector.running():
            yield

    app = FastAPI(title="Podium collector", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    routes = Routes(settings, collector)
    app.add_api_route("/v1/events", routes.events, methods=["POST"])
    app.add_api_route("/v1/count", routes.count, methods=["GET"])
    app.add_api_route("/healthz", routes.healthy, methods=["GET"])
    app.add_api_route("/readyz", routes.ready, methods=["GET"])
    app.add_api_route("/metrics", routes.metrics, methods=["GET"])
    return app


class Routes:
    def __init__(self, settings: Settings, collector: Collector) -> None:
        self._settings = settings
        self._limits = settings.limits
        self._collector = collector
        self._receiving = 0

    async def events(self, request: Request) -> Response:
        response = await _or_error(lambda: self._take(request))
        self._collector.metrics.requests.labels(str(response.status_code)).inc()
        return response

    async def _take(self, request: Request) -> Response:
        source = self._source(request)
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != CONTENT_TYPE:
            return _error(415, f"Content-Type must be {CONTENT_TYPE}")
        if not self._collector.is_ready():
            return _error(503, "the lake is not open yet", _BROKEN_SECONDS)
        if self._receiving >= self._limits.max_receiving:
            return _error(429, "many batches are being received", _BUSY_SECONDS)
        self._receiving += 1
        try:
            content = await self._content(request)
            rows = rows_of(content, source, self._clock(), self._limits.max_batch_events)
        finally:
            self._receiving -= 1
        committed = await self._collector.committer.commit(rows, len(content))
        return JSONResponse({"accepted": committed.accepted, "duplicates": committed.duplicates})

    async def _content(self, request: Request) -> bytes:
        body = bytearray()
        async with asyncio.timeout(self._limits.body_seconds):
            async for part in request.stream():
                body += part
                if len(body) > self._limits.max_body_bytes:
                    raise TooLarge(f"the body has more than {self._limits.max_body_bytes} bytes, send smaller batches")
        encoding = request.headers.get("content-encoding", "").strip().lower()
        return unpacked(bytes(body), encoding, self._limits.max_batch_bytes)

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
            return JSONResponse(await self._collector.counts(namespace, deployment))

        return await _or_error(counted)

    async def healthy(self) -> Response:
        if not self._collector.is_working():
            return _error(503, "the collector's work has ended")
        if self._collector.committer.is_stuck(_STUCK_SECONDS):
            return _error(503, f"a commit takes longer than {_STUCK_SECONDS:.0f} s")
        return JSONResponse({"healthy": True})

    async def ready(self) -> Response:
        if not self._collector.is_ready():
            return _error(503, self._collector.why_not_ready)
        return JSONResponse({"ready": True})

    async def metrics(self) -> Response:
        return Response(generate_latest(self._collector.metrics.registry), media_type="text/plain; version=0.0.4")


async def _or_error(respond: Callable[[], Awaitable[Response]]) -> Response:
    """The response, or the status that its failure means to a sender."""
    try:
        return await respond()
    except Refused as error:
        return _error(401, str(error))
    except InvalidBatch as error:
        return _error(400, str(error))
    except TooLarge as error:
        return _error(413, str(error))
    except ClientDisconnect:
        return _error(400, "the body ended early")  # for the metrics: nobody reads it
    except TimeoutError:
        return _error(408, "the body came too slowly")
    except Full:
        return _error(429, "too much waits to become durable", _BUSY_SECONDS)
    except OSError as error:
        return _error(503, f"the lake cannot be written: {error.strerror or error}", _BROKEN_SECONDS)


def _error(status: int, text: str, retry_after_seconds: int | None = None) -> Response:
    headers = {} if retry_after_seconds is None else {"Retry-After": str(retry_after_seconds)}
    return JSONResponse({"error": text}, status, headers)
