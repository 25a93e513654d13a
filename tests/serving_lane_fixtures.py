"""A real port over real sockets for tests of the lane: a loaded model, a plan, and a responder that only asks the model."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from podium_crds.plan import Commit, DeploymentKey, Plan, PlannedChampion, PlannedVersion, SigningKey
from podium_serving.calls import ForwardedCalls, PublicCalls
from podium_serving.exchange import Answer, InferRequest
from podium_serving.http.app import forward_app, public_app
from podium_serving.http.gate import Gate, Guarded
from podium_serving.http.ports import ForwardPort, PublicPort
from podium_serving.http.server import HttpServer
from podium_serving.inference import Cancel, Done, Tasks
from podium_serving.metrics import Metrics
from podium_serving.model.loaded import LoadedModel
from podium_serving.served import Serving
from podium_serving.settings import HttpSettings, ModelSettings
from podium_serving.state import ServingState
from serving_fixtures import make_package

TOKEN = "the-token"
QUICK = HttpSettings(body_timeout_seconds=60.0, drain_grace_seconds=0.0, drain_limit_seconds=5.0)
"""Quick to end. Bodies have time: a busy machine may stand still between two parts of one."""


@dataclass
class DirectResponder:
    """Asks the model and nobody else. `held`, when given, keeps answers back until it is set."""

    plan: Plan
    model: LoadedModel
    held: asyncio.Event | None = None
    asked: list[InferRequest] = field(default_factory=list)
    after: list[tuple[InferRequest, Answer]] = field(default_factory=list)
    tasks: Tasks = field(default_factory=Tasks)

    def begin(self, request: InferRequest, done: Done) -> Cancel:
        self.asked.append(request)
        return self.tasks.answer(partial(self._answer, request), done)

    async def _answer(self, request: InferRequest) -> Answer:
        if self.held is not None:
            await self.held.wait()
        columns, timing = await self.model.infer(request.columns, request.rows, request.deadline)
        version = self.plan.champion.version
        return Answer(
            version=version.name,
            version_digest=version.digest,
            epoch=self.plan.epoch,
            columns=columns,
            queue_seconds=timing.queue_seconds,
            inference_seconds=timing.inference_seconds,
        )

    def answered(self, request: InferRequest, answer: Answer, admitted: Serving) -> None:
        self.after.append((request, answer))

    async def close(self) -> None: ...


@dataclass
class Site:
    """A public and a forward port of deployment `churn` and what stands behind them."""

    folder: Path
    state: ServingState
    metrics: Metrics
    public: HttpServer
    forward: HttpServer
    models: list[LoadedModel] = field(default_factory=list)

    @property
    def responder(self) -> DirectResponder:
        assert self.state.current is not None
        assert isinstance(self.state.current.responder, DirectResponder)
        return self.state.current.responder

    async def serve(self, version: str, epoch: int = 1, *, timeout_milliseconds: int = 20_000, **package: Any) -> Serving:
        """Loads a version made by `make_package` and flips to it. The answer's version is `churn-<version>`."""
        folder = self.folder / f"{version}-{epoch}"
        digest = make_package(folder, version=version, **package)
        model = await LoadedModel.load(folder, ModelSettings())
        self.models.append(model)
        plan = churn_plan(f"churn-{version}", digest, epoch, timeout_milliseconds)
        commit = SigningKey.generate().sign(Commit(plan=plan))
        serving = Serving(plan, commit, model, model.descriptor, DirectResponder(plan, model))
        self.state.current = serving
        return serving


def churn_plan(version: str, digest: str, epoch: int = 1, timeout_milliseconds: int = 60_000) -> Plan:
    return Plan(
        deployment=DeploymentKey(namespace="retention", name="churn", uid="uid-1"),
        term=1,
        epoch=epoch,
        champion=PlannedChampion(
            version=PlannedVersion(name=version, uri="oci://nowhere/churn:1", digest=digest, image="image@sha256:0"),
            pool="a",
            host="churn-forward",
        ),
        timeout_milliseconds=timeout_milliseconds,
    )


@asynccontextmanager
async def site(
    folder: Path,
    settings: HttpSettings = QUICK,
    *,
    gate: Gate | None = None,
    tls: ssl.SSLContext | None = None,
    **changes: Any,
) -> AsyncIterator[Site]:
    """Both ports on free ports of 127.0.0.1, serving nothing yet."""
    gate = gate or Gate.open_to_all()
    settings = replace(settings, **changes)
    state = ServingState()
    metrics = Metrics("retention", "churn", process=False)
    calls = PublicCalls({"churn": state}, metrics)
    public = HttpServer(
        PublicPort(calls, gate),
        Guarded(public_app(calls, metrics.answer), gate),
        settings,
        tls,
    )
    forward = HttpServer(ForwardPort(ForwardedCalls({"churn": state}, metrics), TOKEN), forward_app(), settings)
    await public.start("127.0.0.1", 0)
    await forward.start("127.0.0.1", 0)
    here = Site(folder, state, metrics, public, forward)
    try:
        yield here
    finally:
        await asyncio.gather(public.stop(2.0), forward.stop(2.0))
        for model in here.models:
            await model.close()


def infer_body(*values: float | None, request_id: str = "", **more: Any) -> bytes:
    """One row for a weighted sum with as many inputs as values."""
    inputs = [{"name": f"x{i}", "datatype": "FP32", "shape": [1, 1], "data": [value]} for i, value in enumerate(values)]
    return json.dumps({"inputs": inputs, **({"id": request_id} if request_id else {}), **more}).encode()


def infer_request(body: bytes, path: str = "/v2/models/churn/infer", **headers: str) -> bytes:
    """Raw HTTP. Header names are written with underscores."""
    lines = [f"POST {path} HTTP/1.1", "host: test", f"content-length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"])

    @property
    def score(self) -> float:
        return float(self.json["outputs"][0]["data"][0])


class Client:
    """A connection that speaks raw HTTP/1.1: what stock clients would not send can be sent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, content: bytes) -> None:
        self.writer.write(content)
        await self.writer.drain()

    async def reply(self) -> Reply:
        """The next response. Raises IncompleteReadError when the server closed before it."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 60)).decode("latin-1")
        status, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await asyncio.wait_for(self.reader.readexactly(int(headers.get("content-length", "0"))), 60)
        return Reply(int(status.split()[1]), headers, body)

    async def ask(self, content: bytes) -> Reply:
        await self.send(content)
        return await self.reply()

    async def closed(self) -> bool:
        """Waits for the server to close; False if it sends something first."""
        return await asyncio.wait_for(self.reader.read(1), 60) == b""


@asynccontextmanager
async def client(server: HttpServer, tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=tls)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def until(condition: Any, seconds: float = 30.0) -> None:
    """Polls a condition that another task makes true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  what it polls is set by code under test, which knows no event
            await asyncio.sleep(0.005)
