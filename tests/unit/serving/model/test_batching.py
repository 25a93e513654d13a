"""Zero-wait batching: who is joined, who is answered, and whom a neighbour's trouble does not reach."""

import asyncio
import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from podium_serving.exchange import Columns, DeadlineExceeded, NotServing, Overloaded, ServingError
from podium_serving.inference import Inference
from podium_serving.model.batching import Batcher
from podium_serving.model_interface import Timing

LATER = float("inf")


def column(*values: float) -> Columns:
    return {"x": np.array([[value] for value in values], np.float32)}


class Doubling:
    """Answers 2x. Remembers its batches; waits for `gate` when it runs in a thread; fails on 13."""

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.batches: list[list[float]] = []
        self.gate = gate

    def __call__(self, columns: Columns) -> Columns:
        values = columns["x"].ravel().tolist()
        self.batches.append(values)
        if self.gate is not None:
            assert self.gate.wait(60)
        if 13.0 in values:
            raise RuntimeError("13 is no good")
        return {"y": columns["x"] * 2}


def batcher(run: Callable[[Columns], Columns], inline_rows: int = 1000, **changes: int | bool) -> Batcher:
    limits = {"max_batch_rows": 256, "max_queue_rows": 1000, "variable_shapes": False, **changes}
    return Batcher(
        run,
        inline_rows=inline_rows,
        max_batch_rows=int(limits["max_batch_rows"]),
        max_queue_rows=int(limits["max_queue_rows"]),
        variable_shapes=bool(limits["variable_shapes"]),
    )


Waiting = asyncio.Future[tuple[Columns, Timing]]


def submit(batches: Batcher, columns: Columns, rows: int, deadline: float) -> Waiting:
    """`run`, begun at once. Raises what cannot be begun."""
    waiting: Waiting = asyncio.get_running_loop().create_future()

    def done(entry: Inference) -> None:
        if waiting.done():
            return
        if entry.error is not None:
            waiting.set_exception(entry.error)
        else:
            waiting.set_result((entry.outputs, Timing(entry.queue_seconds, entry.inference_seconds)))

    entry = Inference(columns, rows, deadline, done)
    waiting.add_done_callback(lambda done: entry.cancel() if done.cancelled() else None)
    batches.submit(entry)
    return waiting


async def answer(waiting: Waiting) -> list[float]:
    columns, _ = await waiting
    return [float(value) for value in columns["y"].ravel()]


async def test_what_arrives_in_one_turn_is_one_run_and_each_gets_its_rows() -> None:
    run = Doubling()
    batches = batcher(run)
    waiting = [submit(batches, column(*range(count)), count, LATER) for count in (1, 3, 2)]
    assert [await answer(one) for one in waiting] == [[0], [0, 2, 4], [0, 2]]
    assert run.batches == [[0, 0, 1, 2, 0, 1]]
    assert await answer(submit(batches, column(5), 1, LATER)) == [10]
    assert len(run.batches) == 2
    await batches.close()


async def test_what_the_loop_finds_at_its_sockets_meanwhile_joins_the_run() -> None:
    run = Doubling()
    batches = batcher(run)
    first = submit(batches, column(1), 1, LATER)
    later: Waiting = asyncio.get_running_loop().create_future()

    def arrive() -> None:  # as a reader does that the loop calls in its next turn
        submit(batches, column(2), 1, LATER).add_done_callback(lambda done: later.set_result(done.result()))

    asyncio.get_running_loop().call_soon(arrive)
    assert (await answer(first), await answer(later), run.batches) == ([2.0], [4.0], [[1.0, 2.0]])
    await batches.close()


async def test_what_the_thread_will_run_starts_in_the_next_turn_and_keeps_nobody_out() -> None:
    batches = batcher(Doubling(), inline_rows=2, max_queue_rows=4)
    large = submit(batches, column(1, 2, 3), 3, LATER)
    later: Waiting = asyncio.get_running_loop().create_future()

    def arrive() -> None:
        submit(batches, column(4, 5, 6), 3, LATER).add_done_callback(lambda done: later.set_result(done.result()))

    asyncio.get_running_loop().call_soon(arrive)
    assert (await answer(large), await answer(later)) == ([2.0, 4.0, 6.0], [8.0, 10.0, 12.0])
    await batches.close()


async def test_while_a_run_is_under_way_the_next_gathers() -> None:
    run = Doubling(threading.Event())
    assert run.gate is not None
    batches = batcher(run, inline_rows=0)
    first = submit(batches, column(1), 1, LATER)
    await _until(lambda: len(run.batches) == 1)
    later = [submit(batches, column(value), 1, LATER) for value in (2, 3, 4)]
    run.gate.set()
    assert [await answer(one) for one in (first, *later)] == [[2], [4], [6], [8]]
    assert run.batches == [[1], [2, 3, 4]]
    await batches.close()


async def test_a_batch_ends_at_the_limit_of_rows_but_a_larger_request_runs_alone() -> None:
    run = Doubling()
    batches = batcher(run, max_batch_rows=4)
    waiting = [submit(batches, column(*[1.0] * count), count, LATER) for count in (3, 2, 9, 1)]
    await asyncio.gather(*waiting)
    assert [len(batch) for batch in run.batches] == [3, 2, 9, 1]
    await batches.close()


async def test_requests_of_different_shapes_are_not_joined() -> None:
    run = Doubling()
    batches = batcher(run, variable_shapes=True)
    wide = {"x": np.ones((1, 2), np.float32)}
    waiting = [submit(batches, one, 1, LATER) for one in (column(1), wide, wide, column(1))]
    assert [(await one)[0]["y"].shape for one in waiting] == [(1, 1), (1, 2), (1, 2), (1, 1)]
    assert len(run.batches) == 3
    await batches.close()


@pytest.mark.parametrize("inline_rows", [0, 1000])
async def test_a_cancelled_caller_strands_nobody(inline_rows: int) -> None:
    run = Doubling(threading.Event() if inline_rows == 0 else None)
    batches = batcher(run, inline_rows)
    waiting = [submit(batches, column(value), 1, LATER) for value in range(4)]
    waiting[1].cancel()  # what asyncio does to the future that a cancelled caller awaits
    if run.gate is not None:
        await _until(lambda: len(run.batches) == 1)
        waiting[2].cancel()  # within a run
        run.gate.set()
    results = await asyncio.gather(*(answer(one) for one in waiting), return_exceptions=True)
    assert isinstance(results[1], asyncio.CancelledError)
    assert (results[0], results[3]) == ([0], [6])
    assert isinstance(results[2], asyncio.CancelledError) if inline_rows == 0 else results[2] == [4]
    assert await answer(submit(batches, column(9), 1, LATER)) == [18]
    await batches.close()


@pytest.mark.parametrize("inline_rows", [0, 1000])
async def test_a_row_that_makes_the_model_fail_fails_alone(inline_rows: int) -> None:
    run = Doubling()
    batches = batcher(run, inline_rows)
    callers = [answer(submit(batches, column(value), 1, LATER)) for value in (1, 13, 3)]
    results = await asyncio.gather(*callers, return_exceptions=True)
    assert (results[0], results[2]) == ([2], [6])
    assert isinstance(results[1], ServingError)
    assert str(results[1]) == "the model failed: 13 is no good"
    await batches.close()


async def test_an_answer_with_another_number_of_rows_is_an_error() -> None:
    batches = batcher(lambda columns: {"y": columns["x"][:1]})
    with pytest.raises(ServingError, match=r"the model answered 2 rows with output 'y' of shape \[1, 1\]"):
        await submit(batches, column(1, 2), 2, LATER)
    await batches.close()


async def test_a_deadline_ends_waiting_while_the_model_runs_and_before_it_does() -> None:
    run = Doubling(threading.Event())
    assert run.gate is not None
    batches = batcher(run, inline_rows=0)
    running = await _begun(batches, run)
    waiting = submit(batches, column(2), 1, time.monotonic() + 0.05)
    patient = submit(batches, column(3), 1, LATER)
    for late in (running, waiting):
        with pytest.raises(DeadlineExceeded):
            await late
    run.gate.set()
    assert await answer(patient) == [6]
    assert run.batches == [[1], [3]]
    too_late = submit(batches, column(4), 1, time.monotonic() - 1)
    with pytest.raises(DeadlineExceeded):
        await too_late
    await batches.close()


async def _begun(batches: Batcher, run: Doubling) -> Waiting:
    """A request for [1] that the model runs, with a deadline soon: later where the machine stood still before the run."""
    for seconds in (0.05, 0.5, 5.0, 50.0):
        waiting = submit(batches, column(1), 1, time.monotonic() + seconds)
        await _until(lambda: bool(run.batches) or waiting.done())  # noqa: B023  awaited in this turn
        if run.batches:
            return waiting
        with pytest.raises(DeadlineExceeded):
            await waiting
    raise AssertionError("it was never run")


async def test_deadlines_hold_for_those_of_one_turn_who_did_not_fit_into_its_run() -> None:
    run = Doubling(threading.Event())
    assert run.gate is not None
    batches = batcher(run, inline_rows=0, max_batch_rows=1)
    running, left_over = (submit(batches, column(value), 1, time.monotonic() + 0.05) for value in (1, 2))
    async with asyncio.timeout(60):
        for late in (running, left_over):
            with pytest.raises(DeadlineExceeded):
                await late
    run.gate.set()
    await batches.close()
    assert run.batches in ([[1]], []), "on a machine that stood still both were late before the run"


@pytest.mark.parametrize("inline_rows", [0, 1000])
async def test_requests_that_cannot_be_joined_are_answered_one_by_one(inline_rows: int) -> None:
    batches = batcher(Doubling(), inline_rows=inline_rows)
    flat = {"x": np.array([3.0], np.float32)}
    waiting = [submit(batches, column(1, 2), 2, LATER), submit(batches, flat, 1, LATER)]
    assert [await answer(one) for one in waiting] == [[2, 4], [6]]
    await batches.close()


async def test_too_many_waiting_rows_are_refused_and_an_empty_queue_takes_any_size() -> None:
    run = Doubling(threading.Event())
    assert run.gate is not None
    batches = batcher(run, inline_rows=0, max_queue_rows=4)
    large = submit(batches, column(*range(9)), 9, LATER)
    await _until(lambda: len(run.batches) == 1)
    waiting = [submit(batches, column(1, 2), 2, LATER) for _ in range(2)]
    with pytest.raises(Overloaded, match="4 rows wait for the model, at most 4 may; try again"):
        submit(batches, column(1), 1, LATER)
    run.gate.set()
    await asyncio.gather(large, *waiting)
    await batches.close()


async def test_closing_answers_what_was_submitted_and_refuses_the_rest() -> None:
    run = Doubling(threading.Event())
    assert run.gate is not None
    batches = batcher(run, inline_rows=0)
    waiting = [submit(batches, column(value), 1, LATER) for value in (1, 2)]
    closing = asyncio.create_task(batches.close())
    await asyncio.sleep(0)
    with pytest.raises(NotServing):
        submit(batches, column(3), 1, LATER)
    run.gate.set()
    await closing
    assert [await answer(one) for one in waiting] == [[2], [4]]


async def test_many_interleaved_callers_each_get_their_own_answer() -> None:
    def slowly(columns: Columns) -> Columns:
        time.sleep(0.001)
        return {"y": columns["x"] * 2}

    batches = batcher(slowly, inline_rows=0, max_batch_rows=7)

    async def caller(number: int) -> None:
        for turn in range(20):
            rows = 1 + (number + turn) % 3
            value = number * 1000 + turn
            got = await answer(submit(batches, column(*[float(value)] * rows), rows, LATER))
            assert got == [2.0 * value] * rows

    await asyncio.gather(*(caller(number) for number in range(30)))
    await batches.close()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  the condition is made true in a thread
            await asyncio.sleep(0.002)
