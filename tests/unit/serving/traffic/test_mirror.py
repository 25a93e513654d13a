"""Shadows: after the answer, bounded, counted, never waited for."""

import asyncio

import pytest

from podium_serving.exchange import Fallback
from podium_serving.traffic.limits import TrafficLimits
from traffic_fixtures import (
    HOST,
    Bench,
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
        await until(lambda: len(pod.seen) == 5)
        assert pod.seen[0].headers["Podium-Mirror"] == "1"
        await responder.close()
    assert bench.shadows() == {("boosting", "Answered"): 5}


async def test_a_hanging_shadow_is_shed_and_never_waited_for() -> None:
    limits = TrafficLimits(mirror_queue=10, mirror_in_flight=2, close_seconds=0.05)
    bench = Bench(limits)
    model = SumModel()
    of = plan(route("boosting", HOST, mode="Shadow", timeout_milliseconds=10_000))
    responder = bench.factory(of, model, descriptor())
    admitted = serving(of, responder, model)
    async with raw_pod(HOST, bench.port, hang):
        for _ in range(100):
            asked = request()
            answer = await answer_of(responder, asked, admitted)
            responder.answered(asked, answer, admitted)
            await asyncio.sleep(0)
        assert bench.shadows() == {("boosting", "Shed"): 88}
        async with asyncio.timeout(1):
            await responder.close()
    assert bench.shadows() == {("boosting", "Shed"): 100}


@pytest.mark.parametrize(("talk", "reason"), TROUBLE)
async def test_a_shadow_that_misbehaves_is_counted(bench: Bench, talk: Talk, reason: Fallback) -> None:
    model = SumModel()
    shadow = route("boosting", HOST, mode="Shadow", timeout_milliseconds=100)
    of = plan(shadow.model_copy(update={"version": route("neural-net", HOST).version}))
    responder = bench.factory(of, model, descriptor())
    admitted = serving(of, responder, model)
    async with raw_pod(HOST, bench.port, talk):
        asked = request()
        responder.answered(asked, await answer_of(responder, asked, admitted), admitted)
        await until(lambda: bool(bench.shadows()))
        await responder.close()
    assert bench.shadows() == {("boosting", reason.value): 1}
