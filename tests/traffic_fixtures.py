"""Pods for tests of traffic: real servers on loopback addresses that behave, hang, drip, crash or talk nonsense.

All listen on one port of different addresses, as pods do, because a plan names hosts only.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from aiohttp import web

from podium_crds.package import Descriptor, GoldenRow
from podium_crds.plan import (
    DeploymentKey,
    Envelope,
    Plan,
    PlannedCapture,
    PlannedChampion,
    PlannedRoute,
    PlannedSticky,
    PlannedVersion,
)
from podium_crds.slots import allocate
from podium_serving.exchange import Answer, Columns, DeadlineExceeded, InferRequest, ServingError
from podium_serving.inference import Inference, Tasks, awaited
from podium_serving.metrics import Metrics
from podium_serving.model_interface import Timing
from podium_serving.oip.codec import Codec
from podium_serving.served import Responder, Serving
from podium_serving.settings import Secrets, Settings
from podium_serving.traffic.factory import ResponderFactory
from podium_serving.traffic.limits import TrafficLimits
from ports import free_port
from serving_fixtures import weighted_sum_descriptor

DEPLOYMENT = DeploymentKey(namespace="shop", name="churn", uid="uid-1")
TOKEN = "forward-token"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HOST = "127.0.0.2"
"""Of challengers."""
CHAMPION_HOST = "127.0.0.3"
"""Of the champion's pool when it is another one."""
LIMITS = TrafficLimits(close_seconds=0.3, max_answer_bytes=256 * 1024)


def settings(port: int = 1, **changes: Any) -> Settings:
    return Settings(
        namespace=DEPLOYMENT.namespace,
        deployment=DEPLOYMENT.name,
        deployment_uid=DEPLOYMENT.uid,
        pool="blue",
        forward_port=port,
        secrets=Secrets(salt=b"s" * 32, token=TOKEN, capture_token="capture-token"),
        **changes,
    )


def metrics() -> Metrics:
    return Metrics(DEPLOYMENT.namespace, DEPLOYMENT.name, process=False)


class Bench:
    """A factory with its metrics, on a port where challengers may listen."""

    def __init__(self, limits: TrafficLimits = LIMITS) -> None:
        self.port = free_port()
        self.metrics: Metrics = metrics()
        self.factory = ResponderFactory(settings(self.port), self.metrics, limits)

    def fallbacks(self) -> dict[tuple[str, ...], float]:
        return {labels: value.value for labels, value in self.metrics.fallbacks.children.items()}

    def shadows(self) -> dict[tuple[str, ...], float]:
        return {labels: value.value for labels, value in self.metrics.shadow_requests.children.items()}


def the_champion_needs(seconds: float, bench: Bench, of: Plan) -> None:
    """As if the champion's answers had taken so long lately. Challengers get what one and a half times of it leave."""
    recent = bench.factory._recent_of(of)
    for _ in range(20):
        recent.observe(seconds, time.monotonic())


def version(name: str) -> PlannedVersion:
    return PlannedVersion(name=name, uri=f"oci://registry/{name}", digest=f"sha256:{name:0>64}", image="image")


def route(
    name: str,
    host: str,
    *,
    mode: Literal["Shadow", "Canary"] = "Canary",
    percent: int = 100,
    timeout_milliseconds: int = 20_000,
) -> PlannedRoute:
    """Its time is up only where a test says so: a busy machine may stand still for as long as a challenger is waited for."""
    return PlannedRoute(
        name=name,
        version=version(f"{name}-1"),
        mode=mode,
        percent=percent if mode == "Canary" else 0,
        timeout_milliseconds=timeout_milliseconds,
        host=host,
        slots=allocate({}, {name: percent})[name] if mode == "Canary" else [],
    )


def plan(
    *routes: PlannedRoute,
    epoch: int = 1,
    timeout_milliseconds: int = 60_000,
    sticky: PlannedSticky | None = None,
    capture: PlannedCapture | None = None,
    champion: str = "churn-3",
    pool: str = "blue",
    champion_host: str = "127.0.0.9",
) -> Plan:
    return Plan(
        deployment=DEPLOYMENT,
        term=1,
        epoch=epoch,
        champion=PlannedChampion(version=version(champion), pool=pool, host=champion_host),
        routes=list(routes),
        sticky=sticky or PlannedSticky(),
        timeout_milliseconds=timeout_milliseconds,
        capture=capture or PlannedCapture(),
    )


def descriptor() -> Descriptor:
    return weighted_sum_descriptor()


def body(*rows: tuple[float, float]) -> bytes:
    tensors = [
        {"name": f"x{index}", "datatype": "FP32", "shape": [len(rows), 1], "data": [row[index] for row in rows]}
        for index in range(2)
    ]
    return json.dumps({"inputs": tensors}).encode()


def request(
    *rows: tuple[float, float],
    seconds: float = 60.0,
    headers: dict[str, str] | None = None,
    request_id: str = "request-1",
) -> InferRequest:
    rows = rows or ((1.0, 2.0),)
    now = time.monotonic()
    columns = {f"x{index}": np.array([[row[index]] for row in rows], dtype=np.float32) for index in range(2)}
    return InferRequest(
        columns=columns,
        rows=len(rows),
        admitted_at=now,
        deadline=now + seconds,
        request_id=request_id,
        headers=headers or {},
    )


class SumModel:
    """A model_interface.Model in this process, `seconds` slow. It answers plain sums, challengers ten times that."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.descriptor = descriptor()
        self.digest = version("churn-3").digest
        self.loaded_bytes = 0
        self.seconds = seconds
        self.calls = 0
        self._tasks = Tasks()

    def submit(self, entry: Inference) -> None:
        entry.work = self._tasks.start(self._finish(entry))

    async def _finish(self, entry: Inference) -> None:
        try:
            entry.own_outputs, timing = await self.infer(entry.columns, entry.rows, entry.deadline)
            entry.inference_seconds = timing.inference_seconds
        except ServingError as error:
            entry.error = error
        entry.work = None
        entry.finish()

    async def infer(self, columns: Columns, rows: int, deadline: float) -> tuple[Columns, Timing]:
        self.calls += 1
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if time.monotonic() > deadline:
            raise DeadlineExceeded("the champion came too late")
        return {"score": columns["x0"] + columns["x1"]}, Timing(0.0, self.seconds)

    @property
    def golden(self) -> tuple[GoldenRow, ...]:
        return ()

    async def run_aside(self, columns: Columns, rows: int, deadline: float) -> Columns:
        return (await self.infer(columns, rows, deadline))[0]

    async def close(self) -> None:
        pass


async def answer_of(responder: Responder, asked: InferRequest, admitted: Serving) -> Answer:
    """What the responder answers. Raises ServingError."""
    return await awaited(lambda done: responder.begin(asked, done))


def serving(of: Plan, responder: Responder, model: SumModel | None) -> Serving:
    return Serving(of, Envelope(body="", signature="", key_id=""), model, descriptor(), responder)


@dataclass
class Challenger:
    """What a challenger pod saw, and how it answers; `answer` may be replaced."""

    factor: float = 10.0
    seen: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    seconds: float = 0.0
    change: Callable[[npt.NDArray[Any]], None] = lambda scores: None
    status: int = 200
    codec: Codec = field(default_factory=lambda: Codec(descriptor()))

    async def infer(self, asked: web.Request) -> web.Response:
        self.seen.append(asked)
        content = await asked.read()
        self.bodies.append(content)
        if self.seconds:
            await asyncio.sleep(self.seconds)
        if self.status != 200:
            return web.json_response({"error": "not now"}, status=self.status)
        version_name = asked.match_info["version"]
        columns = self.codec.decode(content, int(asked.headers["Inference-Header-Content-Length"])).columns
        scores = self.factor * (columns["x0"] + columns["x1"])
        self.change(scores)
        framed = self.codec.encode_binary({"score": scores}, asked.match_info["model"], version_name, "")
        headers = {
            "Podium-Version": version_name,
            "Podium-Queue-Microseconds": "1500",
            "Podium-Inference-Microseconds": "2500",
            "Inference-Header-Content-Length": str(framed.header_length),
        }
        return web.Response(body=framed.body, headers=headers)


@asynccontextmanager
async def challenger_pod(host: str, port: int, challenger: Challenger | None = None) -> AsyncIterator[Challenger]:
    challenger = challenger or Challenger()
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_post("/v2/models/{model}/versions/{version}/infer", challenger.infer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, port, reuse_address=True).start()
    try:
        yield challenger
    finally:
        await runner.cleanup()


@asynccontextmanager
async def raw_pod(host: str, port: int, talk: Talk) -> AsyncIterator[list[int]]:
    """A server that speaks by `talk` after it has read a request's head; yields how many connections it took, as a list."""
    connections: list[int] = []
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, host, port)
    try:
        yield connections
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Polls until `condition` holds. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.005)
