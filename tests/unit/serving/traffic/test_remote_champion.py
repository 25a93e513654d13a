"""The champion lives in another pool: it is asked there until the deadline."""

import asyncio
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from podium_serving.exchange import DeadlineExceeded, Fallback, InferRequest, NotServing, ServingError
from traffic_fixtures import (
    CHAMPION_HOST,
    Bench,
    Challenger,
    answer_of,
    challenger_pod,
    descriptor,
    plan,
    request,
    serving,
    until,
)

pytestmark = pytest.mark.process


async def answer_of_another_pool(bench: Bench, asked: InferRequest) -> Any:
    of = plan(pool="green", champion_host=CHAMPION_HOST)
    responder = bench.factory(of, None, descriptor())
    try:
        return await answer_of(responder, asked, serving(of, responder, None))
    finally:
        await responder.close()


async def test_a_champion_in_another_pool_is_asked_there(bench: Bench) -> None:
    async with challenger_pod(CHAMPION_HOST, bench.port, Challenger(factor=1)) as pod:
        answer = await answer_of_another_pool(bench, request((1, 2)))
    assert (answer.version, answer.arm_answered, answer.fallback) == ("churn-3", "champion", Fallback.NONE)
    assert answer.columns["score"].tolist() == [[3.0]]
    assert pod.seen[0].headers["Podium-Arm"] == "champion"
    assert int(pod.seen[0].headers["Podium-Deadline-Milliseconds"]) > 30_000  # not half of its minute


async def test_a_champion_in_another_pool_may_be_large_and_answer_nan(bench: Bench) -> None:
    def null(scores: npt.NDArray[Any]) -> None:
        scores[0] = np.nan

    rows = tuple((float(row), 1.0) for row in range(100_000))
    async with challenger_pod(CHAMPION_HOST, bench.port, Challenger(factor=1, change=null)):
        answer = await answer_of_another_pool(bench, request(*rows))
    assert np.isnan(answer.columns["score"][0]).all()
    assert answer.columns["score"].shape == (100_000, 1)


async def test_a_champion_pod_that_comes_a_moment_late_is_waited_for(bench: Bench) -> None:
    asking = asyncio.ensure_future(answer_of_another_pool(bench, request((1, 2))))
    await asyncio.sleep(0.1)  # a pool without a listener, then with one that has not flipped yet, then flipped
    async with challenger_pod(CHAMPION_HOST, bench.port, Challenger(factor=1, status=404)) as pod:
        await until(lambda: bool(pod.seen))
        pod.status = 200
        assert (await asking).version == "churn-3"


async def test_a_pod_of_an_earlier_release_is_not_taken_for_the_clients_fault(bench: Bench) -> None:
    async with challenger_pod(CHAMPION_HOST, bench.port, Challenger(factor=1, status=415)) as pod:
        with pytest.raises((NotServing, DeadlineExceeded)):  # whichever the last of many tries met
            await answer_of_another_pool(bench, request((1, 2), seconds=0.2))
        asking = asyncio.ensure_future(answer_of_another_pool(bench, request((1, 2))))
        pod.seen.clear()
        await until(lambda: bool(pod.seen))
        pod.status = 200
        assert (await asking).version == "churn-3"


async def test_a_pooled_connection_to_a_champion_pod_that_went_is_replaced(bench: Bench) -> None:
    of = plan(pool="green", champion_host=CHAMPION_HOST)
    responder = bench.factory(of, None, descriptor())
    admitted = serving(of, responder, None)
    for _ in range(3):
        async with challenger_pod(CHAMPION_HOST, bench.port, Challenger(factor=1)):
            assert (await answer_of(responder, request(), admitted)).version == "churn-3"
    await responder.close()


async def test_a_champions_refusal_in_another_pool_is_the_clients(bench: Bench) -> None:
    async with challenger_pod(CHAMPION_HOST, bench.port, Challenger(status=400)):
        with pytest.raises(ServingError, match=r"^not now$") as refused:
            await answer_of_another_pool(bench, request())
    assert refused.value.http_status == 400


async def test_a_champions_pool_that_stays_away_is_503_within_the_deadline(bench: Bench) -> None:
    with pytest.raises((NotServing, DeadlineExceeded), match=CHAMPION_HOST):
        async with asyncio.timeout(20):
            await answer_of_another_pool(bench, request(seconds=0.3))
