import asyncio
from collections.abc import Awaitable, Callable

import pytest

from operator_fixtures import settings, until
from podium_operator.errors import Conflict, LeaseLost
from podium_operator.kinds import Key
from podium_operator.runtime.context import Result
from podium_operator.runtime.heartbeat import Heartbeat
from podium_operator.runtime.metrics import Metrics
from podium_operator.runtime.queue import BackOff, KeyQueue
from podium_operator.runtime.workers import Workers

A = Key("ModelVersion", "retention", "a")
B = Key("ModelVersion", "retention", "b")


class Scripted:
    """A reconciler that does what the test says."""

    def __init__(self, work: Callable[[Key], Awaitable[Result]]) -> None:
        self.work = work
        self.seen: list[Key] = []

    async def reconcile(self, key: Key) -> Result:
        self.seen.append(key)
        return await self.work(key)


class Running:
    def __init__(self, work: Callable[[Key], Awaitable[Result]], **changes: object) -> None:
        clock = asyncio.get_running_loop().time
        self.metrics = Metrics()
        self.queue = KeyQueue(clock, BackOff(base_seconds=0.01, cap_seconds=0.02))
        self.reconciler = Scripted(work)
        self.heartbeat = Heartbeat(clock, 60, 60)
        known = settings(workers=2, **changes)
        workers = Workers(self.queue, {"ModelVersion": self.reconciler}, known, self.metrics, self.heartbeat, clock)
        self.task = asyncio.create_task(workers.run())

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def errors(self, name: str) -> float | None:
        labels = {"kind": "ModelVersion", "error": name}
        return self.metrics.registry.get_sample_value("podium_operator_reconcile_errors_total", labels)


async def test_a_failing_key_comes_back_and_is_counted_while_others_go_on() -> None:
    async def work(key: Key) -> Result:
        if key == A and running.reconciler.seen.count(A) < 3:
            raise Conflict("apply ConfigMap retention/a", "changed")
        return Result()

    running = Running(work)
    running.queue.add(A)
    running.queue.add(B)
    await until(lambda: running.reconciler.seen.count(A) == 3)
    await running.stop()
    assert running.reconciler.seen.count(B) == 1
    assert running.errors("Conflict") == 2


async def test_a_reconcile_that_hangs_is_cancelled_and_tried_again() -> None:
    async def work(_: Key) -> Result:
        if len(running.reconciler.seen) == 1:
            await asyncio.sleep(60)
        return Result()

    running = Running(work, reconcile_timeout_seconds=0.05)
    running.queue.add(A)
    await until(lambda: len(running.reconciler.seen) == 2)
    await running.stop()
    assert running.errors("TimeoutError") == 1


async def test_a_fault_of_ours_is_this_keys_back_off_too(caplog: pytest.LogCaptureFixture) -> None:
    async def work(_: Key) -> Result:
        if len(running.reconciler.seen) == 1:
            raise KeyError("spec")
        return Result()

    running = Running(work)
    running.queue.add(A)
    await until(lambda: len(running.reconciler.seen) == 2)
    await running.stop()
    assert "KeyError" in caplog.text


async def test_a_result_asks_for_another_look() -> None:
    async def work(_: Key) -> Result:
        return Result(0.01 if len(running.reconciler.seen) < 3 else None)

    running = Running(work)
    running.queue.add(A)
    await until(lambda: len(running.reconciler.seen) == 3)
    await running.stop()


async def test_a_lost_lease_ends_all_workers() -> None:
    async def work(_: Key) -> Result:
        raise LeaseLost("somebody else leads")

    running = Running(work)
    running.queue.add(A)
    async with asyncio.timeout(60):
        with pytest.raises(ExceptionGroup) as caught:
            await running.task
    assert caught.group_contains(LeaseLost)
