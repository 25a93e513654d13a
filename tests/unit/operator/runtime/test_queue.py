import asyncio

import pytest

from operator_fixtures import FakeClock, until
from podium_operator.kinds import Key
from podium_operator.runtime.queue import BackOff, KeyQueue

A = Key("ModelVersion", "retention", "a")
B = Key("ModelVersion", "retention", "b")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(clock: FakeClock) -> KeyQueue:
    return KeyQueue(clock, BackOff(base_seconds=1, cap_seconds=60, jitter=0.2), chance=lambda: 0.0)


def test_keys_come_in_the_order_in_which_they_were_added(queue: KeyQueue) -> None:
    queue.add(B)
    queue.add(A)
    assert [queue.get_ready(), queue.get_ready(), queue.get_ready()] == [B, A, None]


def test_a_storm_of_events_is_one_key(queue: KeyQueue) -> None:
    for _ in range(1000):
        queue.add(A)
    assert len(queue) == 1


def test_a_key_in_work_is_given_to_nobody_else_and_comes_again_when_it_was_added_meanwhile(queue: KeyQueue) -> None:
    queue.add(A)
    assert queue.get_ready() == A
    queue.add(A)
    assert queue.get_ready() is None
    queue.done(A)
    assert queue.get_ready() == A
    queue.done(A)
    assert queue.get_ready() is None


def test_an_event_during_work_outranks_a_requeue(queue: KeyQueue) -> None:
    queue.add(A)
    queue.get_ready()
    queue.add(A)
    queue.done(A, requeue_after_seconds=100)
    assert queue.get_ready() == A


def test_a_requeued_key_comes_when_its_time_has_come(queue: KeyQueue, clock: FakeClock) -> None:
    queue.add(A)
    queue.get_ready()
    queue.done(A, requeue_after_seconds=10)
    clock.pass_by(9.9)
    assert queue.get_ready() is None
    clock.pass_by(0.1)
    assert queue.get_ready() == A
    queue.done(A)
    clock.pass_by(1000)
    assert queue.get_ready() is None


def test_the_earliest_of_two_wishes_counts(queue: KeyQueue, clock: FakeClock) -> None:
    queue.add_after(A, 10)
    queue.add_after(A, 5)
    queue.add_after(A, 20)
    clock.pass_by(5)
    assert queue.get_ready() == A
    queue.done(A)
    clock.pass_by(100)
    assert queue.get_ready() is None


def test_an_event_brings_a_waiting_key_forward_and_its_timer_is_gone(queue: KeyQueue, clock: FakeClock) -> None:
    queue.add_after(A, 10)
    queue.add(A)
    assert queue.get_ready() == A
    queue.done(A)
    clock.pass_by(100)
    assert queue.get_ready() is None


def test_failures_wait_longer_each_time_up_to_the_cap_and_a_success_forgets_them(queue: KeyQueue, clock: FakeClock) -> None:
    delays = []
    queue.add(A)
    for _ in range(8):
        assert queue.get_ready() == A
        delays.append(queue.failed(A))
        assert queue.get_ready() is None
        clock.pass_by(delays[-1])
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60]
    assert queue.get_ready() == A
    queue.done(A)
    queue.add(A)
    queue.get_ready()
    assert queue.failed(A) == 1


def test_an_event_cuts_a_back_off_short(queue: KeyQueue) -> None:
    queue.add(A)
    queue.get_ready()
    queue.failed(A)
    queue.add(A)
    assert queue.get_ready() == A


def test_one_key_that_fails_does_not_delay_another(queue: KeyQueue) -> None:
    queue.add(A)
    queue.get_ready()
    queue.failed(A)
    queue.add(B)
    assert queue.get_ready() == B


def test_jitter_only_shortens_a_delay() -> None:
    back_off = BackOff(base_seconds=10, cap_seconds=100, jitter=0.2)
    assert back_off.delay_seconds(1, chance=0.0) == 10
    assert back_off.delay_seconds(1, chance=0.999) == pytest.approx(8, abs=0.01)
    assert back_off.delay_seconds(10_000, chance=0.0) == 100


def test_the_wait_for_a_worker_is_measured(queue: KeyQueue, clock: FakeClock) -> None:
    assert queue.oldest_wait_seconds() == 0
    queue.add(A)
    clock.pass_by(7)
    queue.add(B)
    assert queue.oldest_wait_seconds() == 7


async def test_a_waiting_worker_is_woken_by_an_event_and_by_a_timer() -> None:
    loop = asyncio.get_running_loop()
    queue = KeyQueue(loop.time)
    async with asyncio.timeout(60):
        workers = [asyncio.create_task(queue.get()) for _ in range(2)]
        await asyncio.sleep(0)
        queue.add(A)
        queue.add_after(B, 0.02)
        assert {await worker for worker in workers} == {A, B}


async def test_of_many_workers_each_key_is_in_work_at_one_only() -> None:
    queue = KeyQueue(asyncio.get_running_loop().time)
    at_work: dict[Key, int] = {}
    worked = 0

    async def worker() -> None:
        nonlocal worked
        while True:
            key = await queue.get()
            at_work[key] = at_work.get(key, 0) + 1
            assert at_work[key] == 1
            await asyncio.sleep(0)
            at_work[key] -= 1
            worked += 1
            queue.done(key)

    tasks = [asyncio.create_task(worker()) for _ in range(4)]
    for turn in range(300):
        queue.add(Key("ModelVersion", "retention", str(turn % 3)))
        await asyncio.sleep(0)
    await until(lambda: not len(queue) and not any(at_work.values()))
    assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert worked >= 3
