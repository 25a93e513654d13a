"""A pod of several processes for real: swaps under load, a worker that is killed, metrics of all, and the end."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from podium_crds.plan import Commit, Plan
from podium_serving.processes import resident_bytes
from podium_serving.workers.hearing import SILENT_SECONDS
from serving_process_fixtures import Process, serving
from swap_fixtures import KEY, FakeRegistry, abort, eventually, plan, prepare, shadow
from workers_fixtures import (
    Watch,
    answered_late,
    children_of,
    committed,
    counted,
    flip_seen_by_all,
    is_idle,
    loaded_versions,
    members,
    metric,
    prepared,
)

pytestmark = pytest.mark.process

SWAPS = 10


@contextlib.asynccontextmanager
async def pod_of(folder: Path, registry: FakeRegistry, workers: int, first: Plan, **changes: str) -> AsyncIterator[Process]:
    (folder / "record").mkdir()
    (folder / "record" / "commit.json").write_text(KEY.sign(Commit(plan=first)).model_dump_json())
    async with serving(folder, registry, PODIUM_WORKERS=str(workers), **changes) as pod:
        await eventually(pod.ready, 120)
        yield pod


def infer_url(pod: Process) -> str:
    return pod.url("/v2/models/churn/infer")


async def test_ten_swaps_under_load_lose_nothing_and_no_worker_goes_back(tmp_path: Path) -> None:
    async with FakeRegistry().running() as registry:
        plans = [
            plan(epoch, digest=registry.add_made(tmp_path / str(epoch), weights=[epoch, epoch]), uri=registry.uri)
            for epoch in range(1, SWAPS + 2)
        ]
        async with pod_of(tmp_path, registry, 3, plans[0]) as pod:
            assert len(children_of(pod.process.pid)) == 3
            watch = Watch(infer_url(pod), worth={one.epoch: 3.0 * one.epoch for one in plans})
            async with watch.running():
                for to in plans[1:]:
                    await eventually(lambda: watch.answers[plans[0].epoch] > 20 or watch.newest > 1)
                    await eventually(lambda: prepared(pod, to))  # noqa: B023  awaited in this turn
                    assert watch.newest < to.epoch
                    assert await committed(pod, to)
                    await _answered(watch, to.epoch)
                    flip = await flip_seen_by_all(pod, to)
                    assert flip.first_admitted_new >= flip.last_admitted_old
            assert watch.failed == []
            assert watch.backwards == []
            assert watch.wrong == []
            await eventually(lambda: loaded_versions(pod, 1))
            await eventually(lambda: is_idle(pod, plans[-1]))
            assert len(registry.requests) == len(set(registry.requests)), "each file is fetched once for all workers"
            pod.process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(pod.process.wait(), 60) == 0


async def _answered(watch: Watch, epoch: int, times: int = 30) -> None:
    await eventually(lambda: watch.answers[epoch] >= times)


async def test_a_worker_that_is_killed_breaks_its_own_connections_only_and_another_takes_its_place(tmp_path: Path) -> None:
    async with FakeRegistry().running() as registry:
        only = plan(1, digest=registry.add_made(tmp_path / "one", weights=[1, 1]), uri=registry.uri)
        async with pod_of(tmp_path, registry, 3, only) as pod:
            workers = children_of(pod.process.pid)
            watch = Watch(infer_url(pod))
            async with watch.running(keeping=12, coming=0):
                await eventually(lambda: watch.count > 100)
                os.kill(workers[0], signal.SIGKILL)
                await eventually(lambda: len(set(children_of(pod.process.pid)) - set(workers)) == 1)
                await eventually(lambda: members(pod, 3))
                many = watch.count + 100
                await eventually(lambda: watch.count > many)
                assert await pod.ready()
            assert len(watch.failed) <= 12, watch.failed
            assert not [failure for failure in watch.failed if failure[0].isdigit()], "no answer says that something failed"
            # One that joins later takes part in the next swap as all do.
            second = plan(2, digest=registry.add_made(tmp_path / "two", weights=[2, 2]), uri=registry.uri)
            await eventually(lambda: prepared(pod, second))
            assert await committed(pod, second)
            late = Watch(infer_url(pod), newest=2, worth={2: 6.0})
            async with late.running(keeping=0, coming=6):
                await eventually(lambda: late.count > 100)
            assert (late.failed, late.backwards, late.wrong) == ([], [], [])


async def test_the_metrics_of_all_workers_are_one_at_both_ports_and_survive_a_worker(tmp_path: Path) -> None:
    async with FakeRegistry().running() as registry:
        only = plan(3, digest=registry.add_made(tmp_path / "one", weights=[1, 1]), uri=registry.uri)
        async with pod_of(tmp_path, registry, 2, only) as pod:
            watch = Watch(infer_url(pod))
            async with watch.running(keeping=8, coming=0):
                await eventually(lambda: watch.count > 300)
            for port in (0, 1):
                await eventually(lambda: counted(pod, watch.count, port))  # noqa: B023  awaited in this turn
                async with pod.session.get(pod.url("/metrics", port)) as response:
                    text = await response.text()
                assert metric(text, "podium_request_duration_seconds_count{") == watch.count
                assert metric(text, "podium_plan_epoch{") == 3
                assert metric(text, "podium_model_loaded{") == 1
                assert metric(text, 'podium_build_info{compiled="true",') == 1
                assert metric(text, "process_resident_memory_bytes") > 2 * 50_000_000
            os.kill(children_of(pod.process.pid)[0], signal.SIGKILL)
            await eventually(lambda: members(pod, 2))
            assert await counted(pod, watch.count, 1)


async def test_workers_that_die_at_any_moment_of_swaps_break_connections_and_nothing_else(tmp_path: Path) -> None:
    async with FakeRegistry().running() as registry:
        plans = [
            plan(epoch, digest=registry.add_made(tmp_path / str(epoch), weights=[epoch, epoch]), uri=registry.uri)
            for epoch in range(1, 8)
        ]
        async with pod_of(tmp_path, registry, 3, plans[0]) as pod:
            watch = Watch(infer_url(pod), worth={one.epoch: 3.0 * one.epoch for one in plans})
            async with watch.running(keeping=6, coming=3):
                killing = asyncio.create_task(_kill_now_and_then(pod, random.Random(7)))
                for to in plans[1:]:
                    await eventually(lambda: prepared(pod, to), 120)  # noqa: B023  awaited in this turn
                    await pod.send(Commit(plan=to))
                    await _answered(watch, to.epoch, 250)
                killing.cancel()
                await asyncio.gather(killing, return_exceptions=True)
                await eventually(lambda: members(pod, 3), 120)
            assert (watch.backwards, watch.wrong) == ([], [])
            assert not [failure for failure in watch.failed if failure[0].isdigit()], "no answer says that something failed"
            assert watch.newest == plans[-1].epoch


async def _kill_now_and_then(pod: Process, chance: random.Random) -> None:
    while True:
        await asyncio.sleep(chance.uniform(0.1, 0.8))
        if await members(pod, 3):  # one at a time, as swaps come and it joins again
            workers = children_of(pod.process.pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(workers), signal.SIGKILL)


async def test_a_worker_that_hangs_is_renewed_and_holds_no_swap_up_for_ever(tmp_path: Path) -> None:
    async with FakeRegistry().running() as registry:
        first = plan(1, digest=registry.add_made(tmp_path / "one", weights=[1, 1]), uri=registry.uri)
        second = plan(2, digest=registry.add_made(tmp_path / "two", weights=[2, 2]), uri=registry.uri)
        async with pod_of(tmp_path, registry, 2, first) as pod:
            workers = children_of(pod.process.pid)
            began = time.monotonic()
            os.kill(workers[0], signal.SIGSTOP)
            at_once = await prepared(pod, second)
            # On a machine so slow that the answer took as long as silence is borne, the renewed worker holds it already.
            assert not at_once or time.monotonic() - began > SILENT_SECONDS / 2, "the other one alone is not the pod"
            await eventually(lambda: prepared(pod, second))
            assert await committed(pod, second)
            await eventually(lambda: members(pod, 2))
            watch = Watch(infer_url(pod), newest=2, worth={2: 6.0})
            async with watch.running(keeping=0, coming=4):
                await eventually(lambda: watch.count > 50)
            assert (watch.failed, watch.backwards, watch.wrong) == ([], [], [])
            assert workers[0] not in children_of(pod.process.pid)


async def test_new_routes_reach_every_worker_without_a_preparation(tmp_path: Path) -> None:
    async with FakeRegistry().running() as registry:
        first = plan(1, digest=registry.add_made(tmp_path / "one", weights=[1, 1]), uri=registry.uri)
        async with pod_of(tmp_path, registry, 2, first) as pod:
            watch = Watch(infer_url(pod))
            async with watch.running():
                await eventually(lambda: watch.count > 50)
                requests = len(registry.requests)
                second = first.model_copy(update={"epoch": 2, "routes": [shadow()]})
                assert (await pod.send(Commit(plan=second))).ready, "it serves the old routes until it has the new ones"
                await eventually(lambda: committed(pod, second))
                await eventually(lambda: watch.answers[2] > 50)
            assert (watch.failed, watch.backwards) == ([], [])
            assert len(registry.requests) == requests


async def test_a_version_that_fails_its_golden_rows_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    async with FakeRegistry().running() as registry:
        first = plan(1, digest=registry.add_made(tmp_path / "one", weights=[1, 1]), uri=registry.uri)
        bad = plan(2, digest=registry.add_made(tmp_path / "bad", golden_offset=1.0), uri=registry.uri)
        good = plan(3, digest=registry.add_made(tmp_path / "good", weights=[3, 3]), uri=registry.uri)
        async with pod_of(tmp_path, registry, 2, first) as pod:
            status = await pod.send(prepare(bad))
            while status.preparing is not None:
                status = await pod.send(prepare(bad))
            assert status.failure is not None
            assert (status.failure.fault, status.failure.reason) == ("Version", "GoldenRowsFailed")
            await eventually(lambda: prepared(pod, good))
            assert (await pod.send(abort(good))).prepared is None
            await eventually(lambda: loaded_versions(pod, 1))
            assert await pod.ready()


async def test_a_commit_that_was_not_prepared_is_caught_up_with(tmp_path: Path) -> None:
    async with FakeRegistry().running() as registry:
        first = plan(1, digest=registry.add_made(tmp_path / "one", weights=[1, 1]), uri=registry.uri)
        second = plan(2, digest=registry.add_made(tmp_path / "two", weights=[2, 2]), uri=registry.uri)
        async with pod_of(tmp_path, registry, 2, first) as pod:
            registry.gate = asyncio.Event()
            status = await pod.send(Commit(plan=second))
            assert status.preparing is not None
            assert (status.committed and status.committed.epoch, status.ready) == (1, False)
            # Old answers last for 15 s: clients that keep the machine busy would keep the new version from being loaded.
            watch = Watch(infer_url(pod), worth={1: 3.0, 2: 6.0}, pause_seconds=0.1)
            async with watch.running():
                await eventually(lambda: watch.answers[1] > 50)
                assert not await pod.ready()
                registry.gate.set()
                await eventually(lambda: watch.answers[2] > 50)
                assert await pod.ready()
            assert (watch.failed, watch.backwards, watch.wrong) == ([], [], [])
            await eventually(lambda: answered_late(pod, watch.answers[1], 2))


async def test_while_all_workers_drain_clients_that_keep_their_connections_lose_nothing(tmp_path: Path) -> None:
    async with FakeRegistry().running() as registry:
        only = plan(1, digest=registry.add_made(tmp_path / "one", weights=[1, 1]), uri=registry.uri)
        async with pod_of(tmp_path, registry, 2, only, PODIUM_DRAIN_SECONDS="15") as pod:
            watch = Watch(infer_url(pod))
            async with watch.running(keeping=8, coming=0):
                await eventually(lambda: watch.count > 50)
                pod.process.send_signal(signal.SIGTERM)
                await eventually(lambda: _leaves(pod))
                many = watch.count + 50
                await eventually(lambda: watch.count > many)
            assert watch.failed == []
            assert await asyncio.wait_for(pod.process.wait(), 60) == 0


async def _leaves(pod: Process) -> bool:
    return not await pod.ready()


async def test_workers_end_with_their_supervisor_however_it_ends(tmp_path: Path) -> None:
    async with FakeRegistry().running() as registry:
        only = plan(1, digest=registry.add_made(tmp_path / "one"), uri=registry.uri)
        async with pod_of(tmp_path, registry, 2, only) as pod:
            workers = children_of(pod.process.pid)
            pod.process.kill()
            await pod.process.wait()
            await eventually(lambda: not any(resident_bytes(worker) for worker in workers))


async def test_a_port_that_is_taken_ends_the_pod(tmp_path: Path) -> None:
    async with FakeRegistry().running() as registry, serving(tmp_path, registry) as other:
        await eventually(lambda: other.answers())
        (tmp_path / "second").mkdir()
        changes = {"PODIUM_HTTP_PORT": str(other.ports[0]), "PODIUM_WORKERS": "2"}
        async with serving(tmp_path / "second", registry, **changes) as pod:
            assert await asyncio.wait_for(pod.process.wait(), 120) == 1
