"""What the operator's tests share: a clock that is turned by hand, settings, and a scripted API server on a real socket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from aiohttp import web

from podium_operator.cluster import Cluster
from podium_operator.runtime.metrics import Metrics
from podium_operator.settings import Settings

SCORING_IMAGE = "registry.example/scoring@sha256:" + "a" * 64
START = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


@dataclass
class FakeClock:
    """Monotonic seconds and a wall clock that move together, when told."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds - 1000.0)

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds


def settings(**changes: object) -> Settings:
    known = {"namespace": "podium", "scoring_image": SCORING_IMAGE, "operator_image": "registry.example/operator:1"}
    return Settings.model_validate({**known, **changes})


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class ScriptedApi:
    """Answers every request by `answer`, and keeps what was asked."""

    answer: Answer
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append((request.method, request.path_qs))
        return await self.answer(request)


async def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Looks until it holds. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.005)


@asynccontextmanager
async def scripted_cluster(
    folder: Path, answer: Answer, fence: Callable[[], None] = lambda: None, timeout_seconds: float = 60.0
) -> AsyncIterator[tuple[Cluster, ScriptedApi, Metrics]]:
    """A Cluster that speaks to a server which answers as scripted."""
    api, metrics = ScriptedApi(answer), Metrics()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", api.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(_kubeconfig(runner.addresses[0][1])))
    try:
        async with await Cluster.connect(
            fence=fence, metrics=metrics, timeout_seconds=timeout_seconds, kubeconfig=str(kubeconfig)
        ) as cluster:
            yield cluster, api, metrics
    finally:
        await runner.cleanup()


def _kubeconfig(port: int) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {}}],
    }
