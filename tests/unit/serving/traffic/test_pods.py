"""Real pods: the lane, the responder and the model as they run, one pod per loopback address, asked over sockets."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from podium_crds.plan import Commit, Plan, PlannedRoute, PlannedSticky, SigningKey
from podium_serving.calls import ForwardedCalls, PublicCalls
from podium_serving.http.app import forward_app, public_app
from podium_serving.http.gate import Gate
from podium_serving.http.ports import ForwardPort, PublicPort
from podium_serving.http.server import HttpServer
from podium_serving.metrics import Metrics
from podium_serving.model.loaded import LoadedModel
from podium_serving.served import Serving
from podium_serving.settings import HttpSettings, ModelSettings
from podium_serving.state import ServingState
from podium_serving.traffic.factory import ResponderFactory
from ports import free_port
from serving_fixtures import make_package
from traffic_fixtures import CHAMPION_HOST, HOST, TOKEN, body, metrics, plan, route, settings, until

pytestmark = pytest.mark.process

QUICK = HttpSettings(drain_grace_seconds=0.0, drain_limit_seconds=5.0)


@dataclass
class Pod:
    state: ServingState
    metrics: Metrics
    factory: ResponderFactory
    public: HttpServer
    model: LoadedModel

    async def flip(self, to: Plan, *, holds_the_champion: bool = True) -> None:
        """As `swap` does: one assignment; the old responder is closed when nothing is open."""
        model = self.model if holds_the_champion else None
        responder = self.factory(to, model, self.model.descriptor)
        commit = SigningKey.generate().sign(Commit(plan=to))
        old, self.state.current = self.state.current, Serving(to, commit, model, self.model.descriptor, responder)
        if old is not None:
            await until(lambda: old.open_requests == 0)
            await old.responder.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.public.port}/v2/models/churn/infer"


@asynccontextmanager
async def pod(folder: Path, host: str, port: int, weights: tuple[float, float]) -> AsyncIterator[Pod]:
    """A pod whose model answers the weighted sum; the forward port listens on `host`."""
    make_package(folder, weights=weights)
    model = await LoadedModel.load(folder, ModelSettings())
    state, counts = ServingState(), metrics()
    factory = ResponderFactory(settings(port), counts)
    calls = PublicCalls({"churn": state}, counts)
    public = HttpServer(PublicPort(calls, Gate.open_to_all()), public_app(calls, counts.answer), QUICK)
    forward = HttpServer(ForwardPort(ForwardedCalls({"churn": state}, counts), TOKEN), forward_app(), QUICK)
    await public.start("127.0.0.1", 0)
    await forward.start(host, port)
    try:
        yield Pod(state, counts, factory, public, model)
    finally:
        await asyncio.gather(public.stop(2.0), forward.stop(2.0))
        if state.current is not None:
            await state.current.responder.close()
        await factory.close()
        await model.close()


async def ask(session: aiohttp.ClientSession, url: str, **headers: str) -> tuple[int, dict[str, str], Any]:
    async with session.post(url, data=body((1.0, 2.0)), headers=headers) as response:
        return response.status, dict(response.headers), await response.json()


def challenger_plan(of: PlannedRoute) -> Plan:
    own = plan(epoch=1, champion=of.version.name)
    return own.model_copy(update={"role": "challenger"})


async def test_a_canary_answers_its_share_and_its_shadow_sees_everything(tmp_path: Path) -> None:
    port = free_port()
    canary, shadow = route("neural-net", HOST, percent=20), route("boosting", CHAMPION_HOST, mode="Shadow")
    async with (
        pod(tmp_path / "champion", "127.0.0.4", port, (1, 1)) as champion,
        pod(tmp_path / "canary", HOST, port, (10, 10)) as challenger,
        pod(tmp_path / "shadow", CHAMPION_HOST, port, (0, 0)) as mirrored,
        aiohttp.ClientSession() as session,
    ):
        await challenger.flip(challenger_plan(canary))
        await mirrored.flip(challenger_plan(shadow))
        await champion.flip(plan(canary, shadow))
        answers: Counter[tuple[str, str, float]] = Counter()
        for _ in range(200):
            status, headers, answer = await ask(session, champion.url)
            assert (status, headers.get("podium-fallback")) == (200, None)
            version = headers["podium-version"]
            assert answer["model_version"] == version
            answers[headers["podium-arm"], version, answer["outputs"][0]["data"][0]] += 1
        assert answers == {("champion", "churn-3", 3.0): 160, ("neural-net", "neural-net-1", 30.0): 40}
        outcomes = champion.metrics.shadow_requests.children
        await until(lambda: sum(value.value for value in outcomes.values()) == 200)
        assert outcomes[("boosting", "Answered")].value == 200
        assert 0 < mirrored.metrics.forwarded_requests.children[("boosting-1", "200")].value <= 200
        assert challenger.metrics.forwarded_requests.children[("neural-net-1", "200")].value == 40


async def test_named_columns_are_answered_by_the_canary_too_and_reasons_by_the_champion(tmp_path: Path) -> None:
    port = free_port()
    canary = route("neural-net", HOST, percent=100)
    async with (
        pod(tmp_path / "champion", "127.0.0.4", port, (1, 1)) as champion,
        pod(tmp_path / "canary", HOST, port, (10, 10)) as challenger,
        aiohttp.ClientSession() as session,
    ):
        await challenger.flip(challenger_plan(canary))
        await champion.flip(plan(canary))
        base = champion.url.partition("/v2")[0]
        answers = []
        for path in ("/score", "/explain"):
            async with session.post(base + path, data=b'{"x0": 1, "x1": 2}') as response:
                assert (response.status, response.headers.get("podium-fallback")) == (200, None)
                answers.append(await response.json())
        assert [(answer["version"], answer["prediction"]) for answer in answers] == [("neural-net-1", 30), ("churn-3", 3)]
        assert answers[1]["explanation"]["prediction"] == 3


async def test_a_customer_keeps_the_arm_on_every_pod_and_in_header_and_body(tmp_path: Path) -> None:
    port = free_port()
    sticky = PlannedSticky(type="Header", name="x-customer-id")
    canary = route("neural-net", HOST, percent=50)
    async with (
        pod(tmp_path / "one", "127.0.0.4", port, (1, 1)) as one,
        pod(tmp_path / "two", "127.0.0.5", port, (1, 1)) as two,
        pod(tmp_path / "canary", HOST, port, (10, 10)) as challenger,
        aiohttp.ClientSession() as session,
    ):
        await challenger.flip(challenger_plan(canary))
        arms: dict[str, set[str]] = {f"customer-é-{number}": set() for number in range(40)}
        for current in (one, two):
            await current.flip(plan(canary, sticky=sticky))
            for customer, seen in arms.items():
                seen.add((await ask(session, current.url, **{"X-Customer-Id": customer}))[1]["podium-arm"])
        assert all(len(seen) == 1 for seen in arms.values())
        assert {arm for seen in arms.values() for arm in seen} == {"champion", "neural-net"}


@pytest.mark.parametrize("warm", [True, False], ids=["with-pooled-connections", "with-new-connections"])
async def test_a_move_to_another_pool_under_load_loses_no_request(tmp_path: Path, warm: bool) -> None:
    """The old pool flips first and forwards; the new pool flips 50 ms later; both were asked all the time."""
    port = free_port()
    old_plan = plan(pool="blue")
    new_plan = plan(pool="green", champion="churn-4", champion_host=CHAMPION_HOST, epoch=2)
    async with (
        pod(tmp_path / "old", HOST, port, (1, 1)) as old,
        pod(tmp_path / "new", CHAMPION_HOST, port, (2, 2)) as new,
        aiohttp.ClientSession() as session,
    ):
        await old.flip(old_plan)
        if warm:
            await new.flip(plan(pool="green", champion="churn-3", champion_host=CHAMPION_HOST))
        seen: list[tuple[int, str]] = []
        done = asyncio.Event()

        async def client() -> None:
            while not done.is_set():
                status, headers, answer = await ask(session, old.url)
                seen.append((status, headers.get("podium-version", str(answer))))

        clients = [asyncio.ensure_future(client()) for _ in range(4)]
        await until(lambda: len(seen) > 20)
        await old.flip(new_plan, holds_the_champion=False)
        await asyncio.sleep(0.05)  # the width of a flip over the pods
        await new.flip(new_plan)
        flipped = len(seen)
        await until(lambda: len(seen) > flipped + 40)
        done.set()
        await asyncio.gather(*clients)
    assert set(seen) == {(200, "churn-3"), (200, "churn-4")}
    assert [version for _, version in seen[-20:]] == ["churn-4"] * 20


async def test_a_challenger_pod_that_drains_costs_no_request(tmp_path: Path) -> None:
    port = free_port()
    canary = route("neural-net", HOST)
    async with (
        pod(tmp_path / "champion", "127.0.0.4", port, (1, 1)) as champion,
        aiohttp.ClientSession() as session,
    ):
        await champion.flip(plan(canary))
        for _ in range(2):
            async with pod(tmp_path / "canary", HOST, port, (10, 10)) as challenger:
                await challenger.flip(challenger_plan(canary))
                answers = [await ask(session, champion.url) for _ in range(5)]
                assert {status for status, _, _ in answers} == {200}
                assert answers[-1][1]["podium-arm"] == "neural-net"
            status, headers, answer = await ask(session, champion.url)
            assert (status, headers["podium-arm"], headers["podium-fallback"]) == (200, "champion", "Error")
            assert answer["outputs"][0]["data"] == [3.0]
