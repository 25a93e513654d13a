"""A collector that takes OpenTelemetry spans over HTTP, and pods that send theirs there, for tests of what is observed."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from podium_crds.plan import Commit, Plan, SigningKey
from podium_serving.calls import ForwardedCalls, PublicCalls
from podium_serving.http.app import forward_app, public_app
from podium_serving.http.gate import Gate, Guarded
from podium_serving.http.ports import ForwardPort, PublicPort
from podium_serving.http.server import HttpServer
from podium_serving.metrics import Metrics
from podium_serving.model.loaded import LoadedModel
from podium_serving.observation.http import HttpObserver, Watched
from podium_serving.observation.observer import Observation
from podium_serving.served import Serving
from podium_serving.settings import ModelSettings, ObservationSettings
from podium_serving.state import ServingState
from podium_serving.traffic.factory import ResponderFactory
from serving_fixtures import make_package
from serving_lane_fixtures import QUICK
from traffic_fixtures import TOKEN, metrics, settings


@dataclass
class FakeCollector:
    """Takes spans as `POST /v1/traces`. `status` is what it answers."""

    url: str = ""
    status: int = 200
    requests: int = 0
    spans: list[Span] = field(default_factory=list)
    resources: list[dict[str, Any]] = field(default_factory=list)
    held: asyncio.Event | None = None
    """When given, it answers when this is set."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FakeCollector"]:
        application = web.Application()
        application.router.add_post("/v1/traces", self._take)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{host}:{port}"
            yield self
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        self.requests += 1
        if self.held is not None:
            await self.held.wait()
        if self.status == 200:
            message = ExportTraceServiceRequest.FromString(await request.read())
            for resource in message.resource_spans:
                self.resources.append(values(resource.resource.attributes))
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return web.Response(status=self.status)

    def named(self, name: str) -> Span:
        [span] = [span for span in self.spans if span.name == name]
        return span


def values(attributes: Any) -> dict[str, Any]:
    """Attributes of a span or resource as a dict."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


class Pipe:
    """A pipe in place of standard output."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        os.set_blocking(self.reading, False)
        self._read = b""

    def lines(self) -> list[dict[str, Any]]:
        """All whole lines that were written so far."""
        with suppress(BlockingIOError):
            while part := os.read(self.reading, 65_536):
                self._read += part
        return [json.loads(line) for line in self._read.splitlines(keepends=True) if line.endswith(b"\n")]

    def close(self) -> None:
        for descriptor in (self.reading, self.writing):
            with suppress(OSError):
                os.close(descriptor)


@dataclass
class ObservedPod:
    """A pod of real ports whose requests are observed as in `running`."""

    state: ServingState
    metrics: Metrics
    factory: ResponderFactory
    public: HttpServer
    model: LoadedModel

    async def commit(self, plan: Plan) -> None:
        responder = self.factory(plan, self.model, self.model.descriptor)
        envelope = SigningKey.generate().sign(Commit(plan=plan))
        self.state.current = Serving(plan, envelope, self.model, self.model.descriptor, responder)


@asynccontextmanager
async def observed_pod(
    folder: Path,
    observed: ObservationSettings,
    *,
    host: str = "127.0.0.1",
    forward_port: int = 0,
    gate: Gate | None = None,
    descriptor: int = 1,
    **package: Any,
) -> AsyncIterator[ObservedPod]:
    """`forward_port` is where pods of this test listen for forwards, on their own hosts."""
    make_package(folder, **package)
    model = await LoadedModel.load(folder, ModelSettings())
    gate = gate or Gate.open_to_all()
    state, counts = ServingState(), metrics()
    chosen = replace(settings(forward_port), observation=observed)
    observation = Observation(chosen, counts, descriptor)
    factory = ResponderFactory(chosen, counts)
    calls = PublicCalls({"churn": state}, counts)
    public_port = PublicPort(calls, gate)
    public_port.observer = HttpObserver(observation.public, gate, "http")
    forward = ForwardPort(ForwardedCalls({"churn": state}, counts), TOKEN)
    forward.observer = HttpObserver(observation.forwarded, Gate.open_to_all(), "http")
    app = Watched(Guarded(public_app(calls, counts.answer), gate), observation.public, gate)
    public = HttpServer(public_port, app, QUICK)
    servers = [public, HttpServer(forward, forward_app(), QUICK)]
    observation.start()
    await public.start("127.0.0.1", 0)
    await servers[1].start(host, forward_port)
    try:
        yield ObservedPod(state, counts, factory, public, model)
    finally:
        await asyncio.gather(*(server.stop(2.0) for server in servers))
        if state.current is not None:
            await state.current.responder.close()
        await factory.close()
        await observation.close()
        await model.close()
