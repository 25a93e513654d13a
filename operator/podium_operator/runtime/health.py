"""The operator's HTTP port: /healthz (the heartbeat), /readyz (connected), /metrics. Served by the loop that it judges."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from podium_operator.runtime.heartbeat import Heartbeat
from podium_operator.runtime.metrics import Metrics


class HealthServer:
    def __init__(self, heartbeat: Heartbeat, metrics: Metrics, is_ready: Callable[[], bool]) -> None:
        self._heartbeat = heartbeat
        self._metrics = metrics
        self._is_ready = is_ready
        application = web.Application()
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._metrics_page)
        self._runner = web.AppRunner(application, access_log=None)

    async def start(self, host: str, port: int) -> int:
        """The port that is served: another one than asked for when that was 0."""
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        fault = self._heartbeat.fault()
        return web.Response(text=fault or "ok", status=503 if fault else 200)

    async def _readyz(self, _: web.Request) -> web.Response:
        ready = self._is_ready()
        return web.Response(text="ok" if ready else "not connected to the API server yet", status=200 if ready else 503)

    async def _metrics_page(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
