"""Challengers that hang, crash, drip or talk nonsense: the client is answered in time all the same."""

import asyncio

import pytest

from podium_serving.exchange import Answer, Fallback, ServingError
from podium_serving.traffic.limits import TrafficLimits
from traffic_fixtures import (
    HOST,
    LIMITS,
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
    the_champion_needs,
    until,
)
from trouble_fixtures import TROUBLE, hang

pytestmark = pytest.mark.process


@pytest.mark.parametrize(("talk", "reason"), TROUBLE)
async def test_a_challenger_that_misbehaves_costs_its_budget_and_nothing_more(
    bench: Bench, talk: Talk, reason: Fallback
) -> None:
    model = SumModel(0.01)
    of = plan(route("neural-net", HOST, timeout_milliseconds=200 if reason is Fallback.TIMEOUT else 20_000))
    responder = bench.factory(of, model, descriptor())
    async with raw_pod(HOST, bench.port, talk) as connections:
        async with asyncio.timeout(15):  # half of the client's minute is not the challenger's
            answer = await answer_of(responder, request((1, 2)), serving(of, responder, model))
        await until(lambda: bool(connections))
        await responder.close()
    assert answer.columns["score"].tolist() == [[3.0]]
    assert (answer.version, answer.arm_assigned, answer.arm_answered) == ("churn-3", "neural-net", "champion")
    assert answer.fallback is reason
    assert bench.fallbacks() == {("neural-net", reason.value): 1}


async def test_a_challenger_that_is_not_there_costs_nothing(bench: Bench) -> None:
    model = SumModel()
    of = plan(route("neural-net", HOST))
    responder = bench.factory(of, model, descriptor())
    answer = await answer_of(responder, request(), serving(of, responder, model))
    assert answer.fallback is Fallback.ERROR
    await responder.close()


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
async def test_a_challengers_refusal_reaches_nobody(bench: Bench, status: int) -> None:
    model = SumModel()
    of = plan(route("neural-net", HOST))
    responder = bench.factory(of, model, descriptor())
    async with challenger_pod(HOST, bench.port, Challenger(status=status)):
        answer = await answer_of(responder, request(), serving(of, responder, model))
        await responder.close()
    assert (answer.arm_answered, answer.fallback) == ("champion", Fallback.ERROR)


async def test_a_hundred_requests_to_a_hanging_challenger_are_all_answered_in_time(bench: Bench) -> None:
    model = SumModel(0.02)
    of = plan(route("neural-net", HOST, timeout_milliseconds=60_000))
    the_champion_needs(17, bench, of)  # and half of it for safety: of thirty seconds three are the challenger's
    responder = bench.factory(of, model, descriptor())
    admitted = serving(of, responder, model)
    async with raw_pod(HOST, bench.port, hang):
        answers = await asyncio.gather(*(answer_of(responder, request(seconds=30), admitted) for _ in range(100)))
        await responder.close()
    reasons = {answer.fallback for answer in answers}
    assert reasons == {Fallback.TIMEOUT, Fallback.TOO_MANY_IN_FLIGHT}
    assert sum(answer.fallback is Fallback.TIMEOUT for answer in answers) == LIMITS.max_in_flight


async def test_the_breaker_opens_on_a_hanging_challenger_and_closes_when_it_is_well_again(bench: Bench) -> None:
    model = SumModel()
    of = plan(route("neural-net", HOST, timeout_milliseconds=100))
    responder = bench.factory(of, model, descriptor())
    admitted = serving(of, responder, model)
    async with raw_pod(HOST, bench.port, hang):
        reasons = [(await answer_of(responder, request(), admitted)).fallback for _ in range(5)]
        assert reasons == [Fallback.TIMEOUT] * 5
        async with asyncio.timeout(60):  # it lets a probe pass after a second, if the machine stood still for so long
            while (await answer_of(responder, request(), admitted)).fallback is not Fallback.BREAKER_OPEN:
                pass
    async with challenger_pod(HOST, bench.port), asyncio.timeout(60):
        while (await answer_of(responder, request(), admitted)).arm_answered == "champion":  # noqa: ASYNC110  real answers
            await asyncio.sleep(0.02)
        await responder.close()


async def test_clients_in_a_hurry_cannot_open_the_breaker(bench: Bench) -> None:
    model = SumModel()
    of = plan(route("neural-net", HOST))
    the_champion_needs(17, bench, of)
    responder = bench.factory(of, model, descriptor())
    admitted = serving(of, responder, model)
    async with challenger_pod(HOST, bench.port, Challenger(seconds=30)) as pod:
        hurried = await asyncio.gather(*(answer_of(responder, request(seconds=30), admitted) for _ in range(6)))
        assert {answer.fallback for answer in hurried} == {Fallback.TIMEOUT}
        pod.seconds = 0
        assert (await answer_of(responder, request(), admitted)).arm_answered == "neural-net"
        await responder.close()


@pytest.mark.usefixtures("_breakers_stay_open")
@pytest.mark.parametrize(("status", "opens"), [(400, False), (422, False), (500, True), (503, True), (404, True)])
async def test_a_refused_request_opens_the_breaker_unless_it_may_be_the_clients_fault(
    bench: Bench, status: int, opens: bool
) -> None:
    model = SumModel()
    of = plan(route("neural-net", HOST))
    responder = bench.factory(of, model, descriptor())
    admitted = serving(of, responder, model)
    async with challenger_pod(HOST, bench.port, Challenger(status=status)):
        reasons = [(await answer_of(responder, request(), admitted)).fallback for _ in range(6)]
        await responder.close()
    assert reasons == [Fallback.ERROR] * 5 + [Fallback.BREAKER_OPEN if opens else Fallback.ERROR]


async def test_a_client_that_leaves_frees_its_place_and_blames_nobody(bench: Bench) -> None:
    model = SumModel()
    of = plan(route("neural-net", HOST))
    responder = bench.factory(of, model, descriptor())
    admitted = serving(of, responder, model)
    async with raw_pod(HOST, bench.port, hang) as connections:
        for count in range(1, 8):
            leaving = asyncio.ensure_future(answer_of(responder, request(), admitted))
            await until(lambda: len(connections) == count)  # noqa: B023  awaited before the next turn
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
    async with challenger_pod(HOST, bench.port):
        assert (await answer_of(responder, request(), admitted)).arm_answered == "neural-net"
        await responder.close()


@pytest.mark.usefixtures("_breakers_stay_open")
async def test_a_challenger_that_is_down_costs_no_task_once_that_is_known(bench: Bench) -> None:
    model = SumModel()
    of = plan(route("neural-net", HOST))
    responder = bench.factory(of, model, descriptor())
    admitted = serving(of, responder, model)
    for _ in range(5):
        assert (await answer_of(responder, request(), admitted)).fallback is Fallback.ERROR
    begun: list[Answer | ServingError] = []
    before = asyncio.all_tasks()
    responder.begin(request(), begun.append)
    assert len(asyncio.all_tasks() - before) == 1  # the model of this test is one; the challenger is not asked
    await until(lambda: bool(begun))
    (answer,) = begun
    assert isinstance(answer, Answer)
    assert (answer.arm_assigned, answer.fallback) == ("neural-net", Fallback.BREAKER_OPEN)
    await responder.close()


async def test_a_client_that_leaves_before_its_forward_began_holds_nothing() -> None:
    bench = Bench(TrafficLimits(close_seconds=60))
    model = SumModel()
    of = plan(route("neural-net", HOST))
    responder = bench.factory(of, model, descriptor())
    begun: list[Answer | ServingError] = []
    responder.begin(request(), begun.append).cancel()
    async with asyncio.timeout(20):
        await responder.close()  # it waits for what is in flight
    assert begun == []
