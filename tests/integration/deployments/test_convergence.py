"""From manifests to an answering endpoint, and then silence: what the operator writes, and what it leaves alone."""

import aiohttp
import pytest

from harness.api import eventually
from harness.questions import question
from harness.world import SHORT_LEASE_SECONDS, World, condition, message, wait_for

pytestmark = pytest.mark.integration


async def ask(world: World, a: float, b: float) -> tuple[float, str]:
    asked = question(a, b)
    async with (
        aiohttp.ClientSession() as session,
        session.post(world.any_pod_url(), data=asked.body, headers={"Content-Type": "application/json"}) as response,
    ):
        assert response.status == 200, await response.text()
        answer = await response.json()
    return answer["outputs"][0]["data"][0], answer["model_version"]


async def test_a_verified_version_answers_and_then_nothing_is_written(world: World) -> None:
    world.operator(lease_seconds=SHORT_LEASE_SECONDS)
    await world.versions("sum-1")
    await world.deploy("sum-1", serving={"replicas": 2})
    ready = await world.ready("sum-1")
    assert await ask(world, 1, 2) == (3.0, "sum-1")
    assert ready["status"]["champion"]["digest"] == world.packages["sum-1"].digest
    assert condition(ready, "Stalled") != "True"

    async def two_pods() -> bool:
        return len([pod for pod in world.pods() if pod.ready]) == 2

    await eventually("two ready pods", two_pods)
    await world.ready("sum-1")
    await eventually("eight seconds without a write", lambda: nothing_written(world, 8))
    world.operators[0].kill()
    before = await resource_versions(world)
    world.proxy.writes.clear()
    world.operator("operator-b")

    async def took_over() -> bool:
        return any(write.is_lease for write in world.proxy.writes)

    await eventually("the second operator leads", took_over)
    await wait_for(8)
    assert await resource_versions(world) == before


async def nothing_written(world: World, seconds: float) -> bool:
    """But the Lease."""
    world.proxy.writes.clear()
    await wait_for(seconds)
    return [write for write in world.proxy.writes if not write.is_lease] == []


async def resource_versions(world: World) -> dict[tuple[str, str], str]:
    """Of everything the operator makes: an apply that changes nothing leaves them alone."""
    kinds = (
        "ModelVersion",
        "ModelDeployment",
        "Deployment",
        "Service",
        "ConfigMap",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Job",
    )
    return {
        (kind, item["metadata"]["name"]): item["metadata"]["resourceVersion"]
        for kind in kinds
        for item in await world.api.list(kind, world.namespace)
    }


async def test_the_spec_is_untouched_and_only_status_is_the_operators(world: World) -> None:
    world.operator()
    await world.versions("sum-1")
    applied = await world.deploy("sum-1")
    ready = await world.ready("sum-1")
    assert ready["spec"] == applied["spec"]
    assert ready["metadata"]["generation"] == 1
    owned = [entry for entry in ready["metadata"]["managedFields"] if entry["manager"] == "podium-operator"]
    assert owned
    assert all(set(entry["fieldsV1"]) == {"f:status"} for entry in owned)
    assert not ready["metadata"].get("finalizers")
    assert not ready["metadata"].get("annotations")


async def test_all_status_deleted_the_same_champion_serves_and_status_is_rebuilt(world: World) -> None:
    world.operator()
    await world.versions("sum-1", "sum-2")
    await world.deploy("sum-1")
    await world.ready("sum-1")
    await world.deploy("sum-2")
    before = await world.ready("sum-2")
    pods = {pod.name for pod in world.pods()}
    for kind, name in (("ModelDeployment", "demo"), ("ModelVersion", "sum-1"), ("ModelVersion", "sum-2")):
        await world.api.patch(kind, name, {"status": None}, world.namespace, "status")
    after = await world.ready("sum-2")
    assert after["status"]["epoch"] == before["status"]["epoch"]
    assert {pod.name for pod in world.pods()} == pods
    assert await ask(world, 1, 2) == (6.0, "sum-2")


@pytest.mark.parametrize(
    ("champion", "reason", "words"),
    [
        pytest.param("bad-golden", "GoldenRowsFailed", "golden", id="golden rows that do not reproduce"),
        pytest.param("wide", "SchemaChanged", "x2", id="other inputs than the serving champion's"),
        pytest.param("not-there", "VersionNotFound", "not-there", id="a version that does not exist"),
    ],
)
async def test_a_bad_champion_is_refused_and_the_old_one_keeps_serving(
    world: World, champion: str, reason: str, words: str
) -> None:
    world.operator()
    await world.versions("sum-1", *([champion] if champion in world.packages else []))
    await world.deploy("sum-1")
    await world.ready("sum-1")
    await world.deploy(champion)
    refused = await world.refused(reason)
    assert condition(refused, "Ready") == "False"
    assert words in message(refused, "Ready")
    assert refused["status"]["champion"]["modelVersion"] == "sum-1"
    assert await ask(world, 1, 2) == (3.0, "sum-1")
    await world.deploy("sum-1")
    await world.ready("sum-1")


async def test_a_wrong_digest_is_refused_with_both_digests_named(world: World) -> None:
    world.operator()
    wrong = "sha256:" + "0" * 64
    await world.versions("sum-1")
    await world.api.apply(world.packages["sum-2"].manifest(world.namespace, name="wrong", digest=wrong))
    await world.deploy("sum-1")
    await world.ready("sum-1")
    await world.deploy("wrong")
    refused = await world.refused("DigestMismatch")
    assert wrong in message(refused, "Ready")
    assert await ask(world, 1, 2) == (3.0, "sum-1")
