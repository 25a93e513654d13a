"""Whole pods with real control ports, caches and models, a registry that fails on request, and the operator's messages."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from podium_crds.plan import Commit, Credential, Inquiry, RegistryCredential
from podium_serving.swap.surroundings import Limits
from swap_fixtures import DEPLOYMENT, FakeRegistry, Pod, Pods, abort, eventually, plan, pods, prepare, shadow

pytestmark = pytest.mark.process

ADDRESSES = ("127.0.0.11", "127.0.0.12", "127.0.0.13")
QUICK = Limits(prepare_answer_seconds=5.0, late_answer_seconds=6.0, retry_seconds=(0.1,))


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry().running() as running:
        yield running


@pytest.fixture
async def group(tmp_path: Path, registry: FakeRegistry) -> AsyncIterator[Pods]:
    async with pods(tmp_path, registry) as running:
        yield running


async def answer(pod: Pod) -> float:
    """x0 + x1 = 1 + 2, times the version's weights."""
    assert pod.state.current is not None
    assert pod.state.current.model is not None
    columns = {name: np.array([[value]], np.float32) for name, value in (("x0", 1.0), ("x1", 2.0))}
    answers, _ = await pod.state.current.model.infer(columns, 1, float("inf"))
    return float(answers["score"][0, 0])


async def metrics_of(pod: Pod) -> str:
    async with pod.session.get(pod.url("/metrics")) as response:
        return await response.text()


async def test_all_pods_prepare_then_flip_and_keep_answering(registry: FakeRegistry, group: Pods, tmp_path: Path) -> None:
    first = plan(1, digest=registry.add_made(tmp_path / "p1", weights=[1, 1]), uri=registry.uri)
    second = plan(2, digest=registry.add_made(tmp_path / "p2", weights=[2, 2]), uri=registry.uri)
    for address in ADDRESSES:
        await group.start(address)
    assert all(status.ready for status in await group.swap_to(first))
    old = {pod.address: pod.state.current for pod in group.running.values()}
    statuses = await group.swap_to(second)
    assert [status.committed and status.committed.epoch for status in statuses] == [2, 2, 2]
    assert [status.flip and (status.flip.from_epoch, status.flip.to_epoch) for status in statuses] == [(1, 2)] * 3
    assert [await answer(pod) for pod in group.running.values()] == [6.0, 6.0, 6.0]
    await eventually(lambda: all(not pod.state.retired for pod in group.running.values()))
    assert all(serving is not pod.state.current for pod in group.running.values() for serving in [old[pod.address]])


async def test_the_old_version_is_dropped_when_its_last_request_is_answered(
    registry: FakeRegistry, group: Pods, tmp_path: Path
) -> None:
    first = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    second = plan(2, digest=registry.add_made(tmp_path / "p2", weights=[2, 2]), uri=registry.uri)
    pod = await group.start(ADDRESSES[0])
    await group.swap_to(first)
    old = pod.state.current
    assert old is not None
    old.open_requests = 1
    [status] = await group.swap_to(second)
    assert status.open_requests == {1: 1, 2: 0}
    assert pod.state.retired == [old]
    old.open_requests = 0
    del old
    await eventually(lambda: pod.state.retired == [])

    async def only_the_new_one_is_in_memory() -> bool:
        loaded = [line for line in (await metrics_of(pod)).splitlines() if line.startswith("podium_model_loaded{")]
        return len(loaded) == 1 and second.champion.version.name in loaded[0]

    await eventually(only_the_new_one_is_in_memory)


async def test_new_routes_need_no_fetch_and_keep_the_model(registry: FakeRegistry, group: Pods, tmp_path: Path) -> None:
    digest = registry.add_made(tmp_path / "p1")
    pod = await group.start(ADDRESSES[0])
    await group.swap_to(plan(1, digest=digest, uri=registry.uri))
    assert pod.state.current is not None
    model, asked = pod.state.current.model, len(registry.requests)
    await group.swap_to(plan(2, digest=digest, uri=registry.uri, routes=[shadow()]))
    status = await pod.status_after(Commit(plan=plan(3, digest=digest, uri=registry.uri)))
    assert (status.ready, status.committed and status.committed.epoch) == (True, 3)
    assert pod.state.current.model is model
    await eventually(lambda: pod.state.retired == [])
    assert await answer(pod) == 3.0, "the shared model stays open when the plans that used it are dropped"
    assert len(registry.requests) == asked


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"golden_offset": 1.0}, "GoldenRowsFailed"), ({"descriptor_changes": {"inputs": []}}, "InvalidPackage")],
    ids=["golden-rows-fail", "descriptor-is-wrong"],
)
async def test_a_broken_version_is_the_versions_fault_and_changes_nothing(
    registry: FakeRegistry, group: Pods, tmp_path: Path, change: dict[str, object], reason: str
) -> None:
    first = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    if reason == "InvalidPackage":
        folder = tmp_path / "p2"
        registry.add_made(folder)
        broken = registry.add_edited(folder, "podium.yaml", b"name: churn\n")
    else:
        broken = registry.add_made(tmp_path / "p2", **change)
    pod = await group.start(ADDRESSES[0])
    await group.swap_to(first)
    second = plan(2, digest=broken, uri=registry.uri)
    status = await pod.preparation_of(second)
    assert status.failure is not None
    assert (status.failure.fault, status.failure.reason) == ("Version", reason)
    assert status.failure.plan_digest == second.digest
    assert (status.ready, status.committed and status.committed.epoch, status.prepared) == (True, 1, None)
    asked = len(registry.requests)
    assert (await pod.status_after(prepare(second))).failure == status.failure, "it is said again, not tried again"
    assert len(registry.requests) == asked
    assert await answer(pod) == 3.0


async def test_a_digest_that_the_registry_lacks_is_the_versions_fault(
    registry: FakeRegistry, group: Pods, tmp_path: Path
) -> None:
    pod = await group.start(ADDRESSES[0])
    status = await pod.preparation_of(plan(1, digest="sha256:" + "e" * 64, uri=registry.uri))
    assert status.failure is not None
    assert (status.failure.fault, status.failure.reason) == ("Version", "PackageNotFound")
    assert "push it, or correct address or digest" in status.failure.message


async def test_a_pod_that_lacks_the_commits_plan_goes_unready_fetches_and_flips(
    registry: FakeRegistry, group: Pods, tmp_path: Path
) -> None:
    first = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    second = plan(2, digest=registry.add_made(tmp_path / "p2", weights=[2, 2]), uri=registry.uri)
    pod = await group.start(ADDRESSES[0], limits=QUICK)
    await group.swap_to(first)
    registry.gate = asyncio.Event()
    status = await pod.status_after(Commit(plan=second))
    assert (status.ready, status.committed and status.committed.epoch) == (False, 1)
    assert status.preparing is not None
    assert status.preparing.epoch == 2
    assert pod.state.current is not None, "what still arrives is answered late"
    pod.state.late_admissions = 3
    await eventually(lambda: pod.state.current is None)
    assert "podium_late_requests_total" in await metrics_of(pod)
    assert pod.state.late_admissions == 0
    registry.gate.set()
    await eventually(lambda: pod.epoch == 2)
    assert await answer(pod) == 6.0


async def test_a_commit_that_overtakes_its_preparation_fetches_once(
    registry: FakeRegistry, group: Pods, tmp_path: Path
) -> None:
    wanted = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    pod = await group.start(ADDRESSES[0], limits=Limits(prepare_answer_seconds=0.05))
    registry.gate = asyncio.Event()
    assert (await pod.status_after(prepare(wanted))).preparing is not None
    await pod.status_after(Commit(plan=wanted))
    registry.gate.set()
    await eventually(lambda: pod.epoch == 1)
    assert len(registry.requests) == len(set(registry.requests))


async def test_an_aborted_or_lapsed_preparation_is_dropped(registry: FakeRegistry, group: Pods, tmp_path: Path) -> None:
    wanted = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    pod = await group.start(ADDRESSES[0])
    assert (await pod.preparation_of(wanted)).prepared is not None
    assert (await pod.status_after(abort(wanted))).prepared is None
    code, body = await pod.send(prepare(wanted))
    assert (code, "was aborted" in body["error"]) == (409, True)
    again = plan(2, digest=wanted.champion.version.digest, uri=registry.uri)
    assert (await pod.preparation_of(again)).prepared is not None
    await pod.status_after(prepare(again, lapse_seconds=0.1))  # the newest says how long
    await eventually(lambda: pod.hot_swap.swapper.preparing_epoch == 0)


async def test_a_newer_preparation_ends_an_older_one_that_hangs(registry: FakeRegistry, group: Pods, tmp_path: Path) -> None:
    first = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    pod = await group.start(ADDRESSES[0], limits=Limits(prepare_answer_seconds=0.1))
    registry.gate = asyncio.Event()
    assert (await pod.status_after(prepare(first))).preparing is not None
    second = plan(2, digest=first.champion.version.digest, uri=registry.uri)
    assert (await pod.status_after(prepare(second))).preparing is not None
    registry.gate.set()
    await eventually(lambda: pod.hot_swap.swapper.status().prepared is not None)
    assert (await pod.status_after(Commit(plan=second))).ready


async def test_a_commit_that_reached_one_pod_reaches_all(registry: FakeRegistry, group: Pods, tmp_path: Path) -> None:
    first = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    one, *others = [await group.start(address) for address in ADDRESSES]
    await group.all(prepare(first))
    await one.status_after(Commit(plan=first))
    await eventually(lambda: all(pod.epoch == 1 for pod in others))


async def test_a_scale_up_works_while_the_registry_is_down(registry: FakeRegistry, group: Pods, tmp_path: Path) -> None:
    first = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    await group.start(ADDRESSES[0])
    await group.swap_to(first)
    registry.failures = 1_000_000
    late = await group.start(ADDRESSES[1])
    await eventually(lambda: late.epoch == 1)
    assert await answer(late) == 3.0


async def test_a_pod_without_peers_takes_the_mounted_record(registry: FakeRegistry, group: Pods, tmp_path: Path) -> None:
    first = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    pod = await group.start(ADDRESSES[0])
    assert pod.epoch == 0
    group.record(first)  # It may be mounted late.
    await eventually(lambda: pod.epoch == 1)


async def test_a_starting_pod_waits_for_the_outcome_of_a_peers_preparation(
    registry: FakeRegistry, group: Pods, tmp_path: Path
) -> None:
    first = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    second = plan(2, digest=registry.add_made(tmp_path / "p2", weights=[2, 2]), uri=registry.uri)
    one = await group.start(ADDRESSES[0])
    await group.swap_to(first)
    group.record(first)
    await one.preparation_of(second)
    late = await group.start(ADDRESSES[1])
    await eventually(lambda: late.hot_swap.swapper.committed_epoch == 1)
    await asyncio.sleep(0.5)
    assert late.epoch == 0, "a peer is prepared for a newer plan"
    await one.status_after(Commit(plan=second))
    await eventually(lambda: late.epoch == 2)


async def test_a_starting_pod_begins_with_the_committed_epoch_once_the_newer_one_is_aborted(
    registry: FakeRegistry, group: Pods, tmp_path: Path
) -> None:
    first = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    second = plan(2, digest=registry.add_made(tmp_path / "p2", weights=[2, 2]), uri=registry.uri)
    one = await group.start(ADDRESSES[0])
    await group.swap_to(first)
    await one.preparation_of(second)
    late = await group.start(ADDRESSES[1])
    await eventually(lambda: late.hot_swap.swapper.committed_epoch == 1)
    assert late.epoch == 0
    await one.status_after(abort(second))
    await eventually(lambda: late.epoch == 1)


async def test_a_starting_pod_that_takes_part_in_the_preparation_need_not_wait_for_it(
    registry: FakeRegistry, group: Pods, tmp_path: Path
) -> None:
    first = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    second = plan(2, digest=registry.add_made(tmp_path / "p2", weights=[2, 2]), uri=registry.uri)
    one = await group.start(ADDRESSES[0])
    await group.swap_to(first)
    await one.preparation_of(second)
    late = await group.start(ADDRESSES[1])
    await late.preparation_of(second)
    await eventually(lambda: late.epoch == 1)
    assert (await late.status_after(Commit(plan=second))).ready
    assert late.epoch == 2


async def test_a_pod_that_missed_everything_learns_from_its_peers(
    registry: FakeRegistry, group: Pods, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium_serving.swap.startup.STEADY_SECONDS", 0.2)
    first = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    second = plan(2, digest=registry.add_made(tmp_path / "p2", weights=[2, 2]), uri=registry.uri)
    one, late = [await group.start(address) for address in ADDRESSES[:2]]
    await group.swap_to(first)
    group.hidden.add(late.address)
    await one.preparation_of(second)
    await one.status_after(Commit(plan=second))
    await eventually(lambda: late.epoch == 2)


async def test_a_credential_message_lets_a_waiting_pod_fetch(registry: FakeRegistry, group: Pods, tmp_path: Path) -> None:
    registry.authentication = "bearer"
    first = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    pod = await group.start(ADDRESSES[0], limits=Limits(retry_seconds=(60.0,)))
    await pod.status_after(Commit(plan=first))
    await eventually(lambda: pod.hot_swap.swapper.status().failure is not None)
    failure = pod.hot_swap.swapper.status().failure
    assert failure is not None
    assert (failure.fault, failure.reason) == ("Pod", "FetchFailed")
    assert "check the pull secret" in failure.message
    credential = RegistryCredential(username=registry.username, password=registry.password)
    await pod.status_after(Credential(deployment=DEPLOYMENT, credential=credential, expires_at=prepare(first).expires_at))
    await eventually(lambda: pod.epoch == 1)
    status = await pod.status_after(Inquiry(deployment=DEPLOYMENT, expires_at=prepare(first).expires_at))
    assert status.failure is None


async def test_a_champion_in_another_pool_needs_only_the_descriptor(
    registry: FakeRegistry, group: Pods, tmp_path: Path
) -> None:
    first = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    second = plan(2, digest=registry.add_made(tmp_path / "p2", version="2"), uri=registry.uri, pool="b")
    pod = await group.start(ADDRESSES[0])
    await group.swap_to(first)
    asked = len(registry.requests)
    await group.swap_to(second)
    assert pod.state.current is not None
    assert pod.state.current.model is None
    assert [spec.name for spec in pod.state.current.descriptor.inputs] == ["x0", "x1"]
    assert len(registry.requests) == asked + 2, "the manifest and podium.yaml"


async def test_a_version_that_does_not_fit_beside_the_serving_one_is_this_pods_fault(
    registry: FakeRegistry, group: Pods, tmp_path: Path
) -> None:
    first = plan(1, digest=registry.add_made(tmp_path / "p1"), uri=registry.uri)
    second = plan(2, digest=registry.add_made(tmp_path / "p2", weights=[2, 2]), uri=registry.uri)
    pod = await group.start(ADDRESSES[0], memory_limit_bytes=20 * 1024 * 1024)
    await group.swap_to(first)
    status = await pod.preparation_of(second)
    assert status.failure is not None
    assert (status.failure.fault, status.failure.reason) == ("Pod", "OutOfMemory")
    assert (status.ready, await answer(pod)) == (True, 3.0)


async def test_packages_that_nobody_needs_leave_the_cache(registry: FakeRegistry, group: Pods, tmp_path: Path) -> None:
    pod = await group.start(ADDRESSES[0])
    for epoch in (1, 2, 3):
        digest = registry.add_made(tmp_path / f"p{epoch}", weights=[epoch, epoch])
        await group.swap_to(plan(epoch, digest=digest, uri=registry.uri))
    packages = tmp_path / pod.address / "packages"
    await eventually(lambda: len(list(packages.iterdir())) == 2)
