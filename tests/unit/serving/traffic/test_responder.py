"""The responder with real challengers: who answers, and what goes on when a plan changes."""

import asyncio

import pytest

from podium_crds.plan import PlannedSticky
from podium_serving.exchange import Fallback
from podium_serving.oip.codec import Codec
from traffic_fixtures import (
    HOST,
    TOKEN,
    Bench,
    Challenger,
    SumModel,
    answer_of,
    challenger_pod,
    descriptor,
    plan,
    raw_pod,
    request,
    route,
    serving,
    the_champion_needs,
)
from trouble_fixtures import hang

pytestmark = pytest.mark.process


async def test_without_routes_the_model_answers_and_no_task_is_made(bench: Bench) -> None:
    model = SumModel()
    of = plan()
    responder = bench.factory(of, model, descriptor())
    before = asyncio.all_tasks()
    answer = await answer_of(responder, request((1, 2)), serving(of, responder, model))
    assert asyncio.all_tasks() == before
    assert (answer.version, answer.arm_assigned, answer.arm_answered, answer.fallback) == (
        "churn-3",
        "champion",
        "champion",
        "",
    )
    assert answer.columns["score"].tolist() == [[3.0]]
    await responder.close()


async def test_a_canary_answers_with_the_challengers_outputs(bench: Bench) -> None:
    model = SumModel()
    of = plan(route("neural-net", HOST))
    responder = bench.factory(of, model, descriptor())
    async with challenger_pod(HOST, bench.port) as pod:
        answer = await answer_of(responder, request((1, 2)), serving(of, responder, model))
        assert answer.columns["score"].tolist() == [[30.0]]
        assert (answer.version, answer.arm_assigned, answer.arm_answered) == ("neural-net-1", "neural-net", "neural-net")
        assert (answer.queue_seconds, answer.inference_seconds) == (0.0015, 0.0025)
        assert 0 < answer.forward_seconds < 20
        seen = pod.seen[0]
        assert seen.path == "/v2/models/churn/versions/neural-net-1/infer"
        assert seen.headers["Authorization"] == f"Bearer {TOKEN}"
        assert 1 <= int(seen.headers["Podium-Deadline-Milliseconds"]) <= 20_000
        assert (seen.headers["Podium-Request-Id"], seen.headers["Podium-Arm"]) == ("request-1", "neural-net")
        assert seen.headers["Podium-Mirror"] == "0"
        asked = Codec(descriptor()).pack_inputs(request((1, 2)).columns)
        assert (seen.headers["Inference-Header-Content-Length"], pod.bodies) == (str(asked.header_length), [asked.body])
        await responder.close()
    assert model.calls == 0


async def test_a_request_id_that_no_header_can_carry_is_forwarded_all_the_same(bench: Bench) -> None:
    of = plan(route("neural-net", HOST))
    responder = bench.factory(of, SumModel(), descriptor())
    async with challenger_pod(HOST, bench.port) as pod:
        asked = request((1, 2), request_id="a\r\nX: y \N{SNOWMAN}")
        answer = await answer_of(responder, asked, serving(of, responder, None))
        assert answer.arm_answered == "neural-net"
        assert pod.seen[0].headers["Podium-Request-Id"] == "a%0D%0AX%3A%20y%20%E2%98%83"
        await responder.close()


async def test_a_large_body_stays_with_the_champion(bench: Bench) -> None:
    model = SumModel()
    of = plan(route("neural-net", HOST))
    responder = bench.factory(of, model, descriptor())
    async with challenger_pod(HOST, bench.port) as pod:
        rows = ((1.0, 2.0),) * (1024 * 1024 // 8 + 1)
        answer = await answer_of(responder, request(*rows), serving(of, responder, model))
        await responder.close()
    assert (answer.arm_assigned, answer.fallback, pod.seen) == ("neural-net", Fallback.BODY_TOO_LARGE, [])


@pytest.mark.usefixtures("_breakers_stay_open")
async def test_of_a_challenger_that_is_down_nothing_else_is_asked(bench: Bench) -> None:
    model = SumModel()
    of = plan(route("neural-net", HOST))
    responder = bench.factory(of, model, descriptor())
    admitted = serving(of, responder, model)
    many_rows = request(*(((1.0, 2.0),) * (1024 * 1024 // 8 + 1)))
    for _ in range(5):  # nobody listens there
        assert (await answer_of(responder, request(), admitted)).fallback is Fallback.ERROR
    large = await answer_of(responder, many_rows, admitted)
    the_champion_needs(10, bench, of)
    late = await answer_of(responder, request(seconds=10), admitted)
    await responder.close()
    assert (large.fallback, late.fallback) == (Fallback.BREAKER_OPEN, Fallback.BREAKER_OPEN)
    assert bench.fallbacks() == {("neural-net", "Error"): 5, ("neural-net", "BreakerOpen"): 2}


async def test_with_no_time_left_the_champion_is_asked_at_once(bench: Bench) -> None:
    model = SumModel()
    of = plan(route("neural-net", HOST))
    responder = bench.factory(of, model, descriptor())
    the_champion_needs(10, bench, of)
    async with challenger_pod(HOST, bench.port) as pod:
        answer = await answer_of(responder, request(seconds=10), serving(of, responder, model))
        await responder.close()
    assert (answer.fallback, pod.seen) == (Fallback.NO_TIME_LEFT, [])


async def test_what_a_slow_champion_needs_is_kept_for_it(bench: Bench) -> None:
    model = SumModel()
    of = plan(route("neural-net", HOST, timeout_milliseconds=60_000))
    the_champion_needs(33, bench, of)
    responder = bench.factory(of, model, descriptor())
    async with challenger_pod(HOST, bench.port, Challenger(seconds=600)) as pod:
        answer = await answer_of(responder, request(seconds=60), serving(of, responder, model))
        await responder.close()
    assert answer.fallback is Fallback.TIMEOUT
    assert 0 < int(pod.seen[0].headers["Podium-Deadline-Milliseconds"]) < 10_500  # 49.5 seconds and a margin are kept


async def test_a_request_that_names_a_version_is_never_split(bench: Bench) -> None:
    model = SumModel()
    of = plan(route("neural-net", HOST))
    responder = bench.factory(of, model, descriptor())
    asked = request()
    asked.pinned_version = "churn-3"
    answer = await answer_of(responder, asked, serving(of, responder, model))
    assert (answer.arm_assigned, answer.fallback) == ("champion", Fallback.NONE)
    await responder.close()


async def test_a_request_without_a_key_is_counted(bench: Bench) -> None:
    model = SumModel()
    of = plan(route("neural-net", HOST), sticky=PlannedSticky(type="Header", name="x-customer-id"))
    responder = bench.factory(of, model, descriptor())
    answer = await answer_of(responder, request(), serving(of, responder, model))
    assert (answer.arm_assigned, answer.fallback) == ("champion", Fallback.MISSING_KEY)
    assert bench.fallbacks() == {("", "MissingKey"): 1}
    await responder.close()


async def test_ten_percent_of_a_thousand_are_a_hundred(bench: Bench) -> None:
    model = SumModel()
    of = plan(route("neural-net", HOST, percent=10))
    responder = bench.factory(of, model, descriptor())
    admitted = serving(of, responder, model)
    async with challenger_pod(HOST, bench.port) as pod:
        arms = [(await answer_of(responder, request(), admitted)).arm_assigned for _ in range(1000)]
        await responder.close()
    assert arms.count("neural-net") == len(pod.seen) == 100


async def test_the_split_goes_on_in_its_block_when_a_plan_changes_something_else(bench: Bench) -> None:
    model = SumModel()
    arms: list[str] = []
    async with challenger_pod(HOST, bench.port):
        for epoch in range(1, 11):
            of = plan(route("neural-net", HOST, percent=10), epoch=epoch)
            responder = bench.factory(of, model, descriptor())
            admitted = serving(of, responder, model)
            arms += [(await answer_of(responder, request(), admitted)).arm_assigned for _ in range(10)]
            await responder.close()
    assert arms.count("neural-net") == 10


@pytest.mark.usefixtures("_breakers_stay_open")
async def test_connections_and_the_breaker_survive_a_change_of_the_percentage(bench: Bench) -> None:
    model = SumModel()
    old_plan = plan(route("neural-net", HOST, timeout_milliseconds=20))
    old = bench.factory(old_plan, model, descriptor())
    async with raw_pod(HOST, bench.port, hang):
        for _ in range(5):
            await answer_of(old, request(), serving(old_plan, old, model))
    new_plan = plan(route("neural-net", HOST, percent=99, timeout_milliseconds=20), epoch=2)
    new = bench.factory(new_plan, model, descriptor())
    await old.close()
    assert (await answer_of(new, request(), serving(new_plan, new, model))).fallback is Fallback.BREAKER_OPEN
    await new.close()
