"""Shadows: after the answer, bounded, counted, never waited for."""

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from aiohttp import web

from podium_serving.exchange import Fallback
from podium_serving.oip.codec import Codec
from podium_serving.traffic.forward import Errand, Peer
from podium_serving.traffic.limits import TrafficLimits
from podium_serving.traffic.mirror import Mirror, Shadow, Shadowed
from traffic_fixtures import (
    HOST,
    LIMITS,
    TOKEN,
    Bench,
    Challenger,
    SumModel,
    Talk,
    answer_of,
    challenger_pod,
    descriptor,
    plan,
    raw_pod,
    request,
    route,
    serving,
    until,
)
from trouble_fixtures import TROUBLE, hang

pytestmark = pytest.mark.process


async def test_shadows_see_every_request_after_the_answer(bench: Bench) -> None:
    model = SumModel()
    of = plan(route("boosting", HOST, mode="Shadow"))
    responder = bench.factory(of, model, descriptor())
    admitted = serving(of, responder, model)
    async with challenger_pod(HOST, bench.port) as pod:
        for _ in range(5):
            asked = request()
            answer = await answer_of(responder, asked, admitted)
            assert answer.version == "churn-3"
            responder.answered(asked, answer, admitted)
        await until(lambda: bench.shadows() == {("boosting", "Answered"): 5})
        assert pod.seen[0].headers["Podium-Mirror"] == "1"
        await responder.close()


async def test_a_hanging_shadow_is_shed_and_never_waited_for() -> None:
    limits = TrafficLimits(mirror_queue=10, mirror_in_flight=2, mirror_linger_seconds=0, close_seconds=0.05)
    bench = Bench(limits)
    model = SumModel()
    of = plan(route("boosting", HOST, mode="Shadow", timeout_milliseconds=60_000))
    responder = bench.factory(of, model, descriptor())
    admitted = serving(of, responder, model)
    async with raw_pod(HOST, bench.port, hang):
        for _ in range(100):
            asked = request()
            answer = await answer_of(responder, asked, admitted)
            responder.answered(asked, answer, admitted)
            await asyncio.sleep(0)
        assert list(bench.shadows()) == [("boosting", "Shed")]
        assert 70 < bench.shadows()["boosting", "Shed"] <= 90
        async with asyncio.timeout(20):
            await responder.close()
    assert bench.shadows() == {("boosting", "Shed"): 100}


@pytest.mark.parametrize(("talk", "reason"), TROUBLE)
async def test_a_shadow_that_misbehaves_is_counted(bench: Bench, talk: Talk, reason: Fallback) -> None:
    model = SumModel()
    milliseconds = 200 if reason is Fallback.TIMEOUT else 20_000
    shadow = route("boosting", HOST, mode="Shadow", timeout_milliseconds=milliseconds)
    of = plan(shadow.model_copy(update={"version": route("neural-net", HOST).version}))
    responder = bench.factory(of, model, descriptor())
    admitted = serving(of, responder, model)
    async with raw_pod(HOST, bench.port, talk):
        asked = request()
        responder.answered(asked, await answer_of(responder, asked, admitted), admitted)
        await until(lambda: bool(bench.shadows()))
        await responder.close()
    assert bench.shadows() == {("boosting", reason.value): 1}


class Mirrored:
    """A mirror to a real pod, and what came of each copy by its number."""

    def __init__(self, bench: Bench, seconds: float = 30.0, **limits: Any) -> None:
        self.seconds = seconds
        self.peer = Peer(HOST, bench.port, TOKEN)
        limits = {"close_seconds": 0.3, **limits}
        self.mirror = Mirror("boosting", self.peer, TrafficLimits(**limits), bench.metrics.shadow_requests)
        self.errand = Errand("churn", "boosting-1", "boosting", LIMITS.max_answer_bytes, finite=False, mirror=True)
        self.codec = Codec(descriptor())
        self.came: dict[int, Shadowed] = {}

    def offer(self, number: int, *rows: tuple[float, float]) -> None:
        asked = request(*(rows or ((float(number), 1.0),)))
        self.mirror.offer(
            Shadow(self.errand, asked, self.codec, self.seconds, lambda said: self.came.update({number: said}))
        )

    def scores(self) -> dict[int, list[float] | str]:
        return {
            number: said.error if said.columns is None else said.columns["score"].ravel().tolist()
            for number, said in sorted(self.came.items())
        }

    async def close(self) -> None:
        await self.mirror.close()
        self.peer.close()


async def test_copies_go_joined_and_each_gets_its_own_rows_back(bench: Bench) -> None:
    mirrored = Mirrored(bench)
    async with challenger_pod(HOST, bench.port) as pod:
        for number in range(40):
            mirrored.offer(number, *(((float(number), 1.0), (0.0, float(number))) if number % 10 == 3 else ()))
        await until(lambda: len(mirrored.came) == 40)
        await mirrored.close()
    wanted = {n: [10.0 * (n + 1), 10.0 * n] if n % 10 == 3 else [10.0 * (n + 1)] for n in range(40)}
    assert mirrored.scores() == wanted
    assert len(pod.seen) == 1


async def test_an_exchange_holds_so_many_rows_and_the_rest_goes_in_the_next(bench: Bench) -> None:
    mirrored = Mirrored(bench, mirror_rows=16, mirror_in_flight=1)
    async with challenger_pod(HOST, bench.port) as pod:
        for number in range(40):
            mirrored.offer(number)
        mirrored.offer(40, *((1.0, float(row)) for row in range(30)))
        await until(lambda: len(mirrored.came) == 41)
        await mirrored.close()
    assert mirrored.scores()[39] == [400.0]
    assert len(pod.seen) == 4


async def test_joined_rows_are_told_as_if_they_had_gone_alone(bench: Bench) -> None:
    mirrored = Mirrored(bench)
    async with challenger_pod(HOST, bench.port):
        for number in range(5):
            mirrored.offer(number)
        await until(lambda: len(mirrored.came) == 5)
        await mirrored.close()
    for number, said in mirrored.came.items():
        assert said.columns is not None
        assert {name: column.tolist() for name, column in said.columns.items()} == {"score": [[10.0 * (number + 1)]]}


async def test_a_row_whose_answer_is_no_number_harms_itself_only(bench: Bench) -> None:
    def broken(scores: npt.NDArray[Any]) -> None:
        scores[scores == 30.0] = np.nan

    mirrored = Mirrored(bench)
    async with challenger_pod(HOST, bench.port, Challenger(change=broken)):
        for number in range(4):
            mirrored.offer(number)
        await until(lambda: len(mirrored.came) == 4)
        await mirrored.close()
    said = mirrored.scores()
    assert (said[0], said[1], said[3]) == ([10.0], [20.0], [40.0])
    assert str(said[2]).startswith("BadAnswer: output 'score'")
    assert bench.shadows() == {("boosting", "Answered"): 3, ("boosting", "BadAnswer"): 1}


class Choosy(Challenger):
    """Fails on a 3."""

    async def infer(self, asked: web.Request) -> web.Response:
        columns = self.codec.decode(await asked.read(), int(asked.headers["Inference-Header-Content-Length"])).columns
        self.status = 500 if 3.0 in columns["x0"] else 200
        return await super().infer(asked)


async def test_a_row_that_is_refused_harms_itself_only_and_is_looked_for_once_in_a_while(bench: Bench) -> None:
    mirrored = Mirrored(bench, mirror_apart_seconds=60)
    async with challenger_pod(HOST, bench.port, Choosy()) as pod:
        for number in range(5):
            mirrored.offer(number)
        await until(lambda: len(mirrored.came) == 5)
        said = mirrored.scores()
        assert [said[number] for number in (0, 1, 2, 4)] == [[10.0], [20.0], [30.0], [50.0]]
        assert str(said[3]).startswith("Error: ")
        assert len(pod.seen) == 6
        mirrored.came.clear()
        for number in range(5):
            mirrored.offer(number)
        await until(lambda: len(mirrored.came) == 5)
        assert {str(one)[:6] for one in mirrored.scores().values()} == {"Error:"}
        assert len(pod.seen) == 7
        await mirrored.close()


class Hanging(Challenger):
    """Refuses what goes together, and does not answer what goes alone."""

    async def infer(self, asked: web.Request) -> web.Response:
        columns = self.codec.decode(await asked.read(), int(asked.headers["Inference-Header-Content-Length"])).columns
        self.status, self.seconds = (500, 0.0) if len(columns["x0"]) > 1 else (200, 30.0)
        return await super().infer(asked)


async def test_copies_are_not_tried_one_by_one_at_a_pod_that_does_not_answer(bench: Bench) -> None:
    mirrored = Mirrored(bench, 3.0, mirror_apart_seconds=60, close_seconds=0.1)
    async with challenger_pod(HOST, bench.port, Hanging()) as pod:
        for number in range(20):
            mirrored.offer(number)
        await until(lambda: len(mirrored.came) == 20)
        await mirrored.close()
    assert {str(one)[:8] for one in mirrored.scores().values()} == {"Timeout:"}
    assert len(pod.seen) == 2


async def test_copies_whose_joined_answer_is_too_large_are_answered_alone(bench: Bench) -> None:
    mirrored = Mirrored(bench, mirror_apart_seconds=60, mirror_rows=10_000)
    mirrored.errand = replace(mirrored.errand, max_answer_bytes=400)
    async with challenger_pod(HOST, bench.port) as pod:
        for number in range(2):
            mirrored.offer(number, *((float(number), 1.0),) * 2500)
        await until(lambda: len(mirrored.came) == 2)
        await mirrored.close()
    assert mirrored.scores() == {number: [10.0 * (number + 1)] * 2500 for number in range(2)}
    assert len(pod.seen) == 3


async def test_a_copy_that_cannot_be_captured_leaves_the_others_alone(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    mirrored = Mirrored(bench)

    def no_room(said: Shadowed) -> None:
        raise OSError("no room")

    async with challenger_pod(HOST, bench.port):
        mirrored.mirror.offer(Shadow(mirrored.errand, request((0.0, 1.0)), mirrored.codec, mirrored.seconds, no_room))
        mirrored.offer(1)
        await until(lambda: len(mirrored.came) == 1)
        await mirrored.close()
    assert mirrored.scores() == {1: [20.0]}
    assert "was not captured" in caplog.text
    assert bench.shadows() == {("boosting", "Answered"): 2}


async def test_closing_sends_what_waits_for_company(bench: Bench) -> None:
    mirrored = Mirrored(bench, mirror_linger_seconds=60, close_seconds=60)
    async with challenger_pod(HOST, bench.port):
        for number in range(3):
            mirrored.offer(number)
        async with asyncio.timeout(20):
            await mirrored.close()
    assert mirrored.scores() == {0: [10.0], 1: [20.0], 2: [30.0]}
    mirrored.offer(3)
    assert bench.shadows() == {("boosting", "Answered"): 3, ("boosting", "Shed"): 1}
