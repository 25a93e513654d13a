"""Canary, shadow and sticky keys of gRPC calls: the same arms as over HTTP."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import grpc
import pytest

from podium_crds.plan import Commit, Plan, PlannedRoute, PlannedSticky, SigningKey
from podium_serving.calls import ForwardedCalls, PublicCalls
from podium_serving.http.app import forward_app, public_app
from podium_serving.http.gate import Gate
from podium_serving.http.ports import ForwardPort, PublicPort
from podium_serving.http.server import HttpServer
from podium_serving.model.loaded import LoadedModel
from podium_serving.rpc import inference_pb2 as wire
from podium_serving.rpc.server import INFERENCE, RpcServer
from podium_serving.served import Serving
from podium_serving.settings import ModelSettings
from podium_serving.state import ServingState
from rpc_fixtures import CHANNEL, raw_request, raw_scores, typed_request
from serving_fixtures import make_package
from serving_lane_fixtures import QUICK
from traffic_fixtures import HOST, TOKEN, Bench, body, plan, route, until

pytestmark = pytest.mark.process


@dataclass
class Pod:
    state: ServingState
    bench: Bench
    model: LoadedModel
    public: HttpServer
    rpc: RpcServer

    def flip(self, to: Plan) -> None:
        commit = SigningKey.generate().sign(Commit(plan=to))
        responder = self.bench.factory(to, self.model, self.model.descriptor)
        self.state.current = Serving(to, commit, self.model, self.model.descriptor, responder)


@asynccontextmanager
async def pod(folder: Path, bench: Bench, host: str, weights: tuple[float, float]) -> AsyncIterator[Pod]:
    make_package(folder, weights=weights)
    model = await LoadedModel.load(folder, ModelSettings())
    state = ServingState()
    calls = PublicCalls({"churn": state}, bench.metrics)
    public = HttpServer(PublicPort(calls, Gate.open_to_all()), public_app(calls, bench.metrics.answer), QUICK)
    forward = HttpServer(ForwardPort(ForwardedCalls({"churn": state}, bench.metrics), TOKEN), forward_app(), QUICK)
    rpc = RpcServer(calls, Gate.open_to_all(), QUICK)
    await public.start("127.0.0.1", 0)
    await forward.start(host, bench.port)
    await rpc.start("127.0.0.1", 0)
    try:
        yield Pod(state, bench, model, public, rpc)
    finally:
        await asyncio.gather(public.stop(2.0), forward.stop(2.0), rpc.stop(2.0))
        if state.current is not None:
            await state.current.responder.close()
        await bench.factory.close()
        await model.close()


def challenger_plan(of: PlannedRoute) -> Plan:
    return plan(epoch=1, champion=of.version.name).model_copy(update={"role": "challenger"})


async def ask(channel: grpc.aio.Channel, request: wire.ModelInferRequest, **metadata: str) -> tuple[dict[str, str], float]:
    """The answer's metadata and score."""
    call = channel.unary_unary(
        f"/{INFERENCE}/ModelInfer", wire.ModelInferRequest.SerializeToString, wire.ModelInferResponse.FromString
    )(request, timeout=60, metadata=[(name.replace("_", "-"), value) for name, value in metadata.items()])
    answer = await call
    said = {str(name): str(value) for name, value in (await call.initial_metadata() or ())}
    assert answer.model_version == said["podium-version"]
    scores = raw_scores(answer) if answer.raw_output_contents else list(answer.outputs[0].contents.fp32_contents)
    return said, scores[0]


async def test_a_canary_answers_its_share_of_calls_raw_and_typed(tmp_path: Path) -> None:
    champions, challengers = Bench(), Bench()
    challengers.port = champions.port
    canary = route("neural-net", HOST, percent=20)
    async with (
        pod(tmp_path / "champion", champions, "127.0.0.4", (1, 1)) as champion,
        pod(tmp_path / "canary", challengers, HOST, (10, 10)) as challenger,
        grpc.aio.insecure_channel(f"127.0.0.1:{champion.rpc.port}", options=CHANNEL) as channel,
    ):
        challenger.flip(challenger_plan(canary))
        champion.flip(plan(canary))
        answers: Counter[tuple[str, str, float]] = Counter()
        for number in range(100):
            request = raw_request([1, 2]) if number % 2 else typed_request([1, 2])
            said, score = await ask(channel, request)
            assert "podium-fallback" not in said
            answers[said["podium-arm"], said["podium-version"], score] += 1
        assert answers == {("champion", "churn-3", 3.0): 80, ("neural-net", "neural-net-1", 30.0): 20}


async def test_a_challenger_that_is_not_there_costs_no_call(tmp_path: Path) -> None:
    bench = Bench()
    async with (
        pod(tmp_path / "champion", bench, "127.0.0.4", (1, 1)) as champion,
        grpc.aio.insecure_channel(f"127.0.0.1:{champion.rpc.port}", options=CHANNEL) as channel,
    ):
        champion.flip(plan(route("neural-net", HOST, percent=100)))
        said, score = await ask(channel, raw_request([1, 2]))
        assert (said["podium-arm"], said["podium-fallback"], score) == ("champion", "Error", 3)


async def test_a_shadow_sees_the_calls(tmp_path: Path) -> None:
    champions, shadows = Bench(), Bench()
    shadows.port = champions.port
    shadow = route("boosting", HOST, mode="Shadow")
    async with (
        pod(tmp_path / "champion", champions, "127.0.0.4", (1, 1)) as champion,
        pod(tmp_path / "shadow", shadows, HOST, (0, 0)) as mirrored,
        grpc.aio.insecure_channel(f"127.0.0.1:{champion.rpc.port}", options=CHANNEL) as channel,
    ):
        mirrored.flip(challenger_plan(shadow))
        champion.flip(plan(shadow))
        for _ in range(20):
            assert (await ask(channel, raw_request([1, 2])))[1] == 3
        await until(lambda: champions.shadows().get(("boosting", "Answered")) == 20)


async def test_a_customer_has_the_same_arm_by_grpc_as_by_http(tmp_path: Path) -> None:
    champions, challengers = Bench(), Bench()
    challengers.port = champions.port
    sticky = PlannedSticky(type="Header", name="x-customer-id")
    canary = route("neural-net", HOST, percent=50)
    async with (
        pod(tmp_path / "champion", champions, "127.0.0.4", (1, 1)) as champion,
        pod(tmp_path / "canary", challengers, HOST, (10, 10)) as challenger,
        grpc.aio.insecure_channel(f"127.0.0.1:{champion.rpc.port}", options=CHANNEL) as channel,
        aiohttp.ClientSession() as session,
    ):
        challenger.flip(challenger_plan(canary))
        champion.flip(plan(canary, sticky=sticky))
        url = f"http://127.0.0.1:{champion.public.port}/v2/models/churn/infer"
        arms = set()
        for number in range(30):
            said, _ = await ask(channel, raw_request([1, 2]), x_customer_id=f"customer-{number}")
            async with session.post(url, data=body((1.0, 2.0)), headers={"X-Customer-Id": f"customer-{number}"}) as response:
                assert response.headers["podium-arm"] == said["podium-arm"]
            arms.add(said["podium-arm"])
        assert arms == {"champion", "neural-net"}
