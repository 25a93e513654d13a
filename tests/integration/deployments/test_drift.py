"""What somebody deletes or edits is put back, and callers notice nothing."""

import json

import pytest

from demo.load import figures
from harness.api import Manifest, eventually
from harness.world import World, wait_for

pytestmark = pytest.mark.integration

CHILDREN = ["Service", "ConfigMap", "PodDisruptionBudget", "NetworkPolicy"]


async def children(world: World, kind: str) -> dict[str, Manifest]:
    found = await world.api.list(kind, world.namespace, "podium.dev/deployment=demo")
    return {item["metadata"]["name"]: item for item in found}


@pytest.mark.parametrize("kind", CHILDREN)
async def test_a_deleted_child_comes_back_and_no_request_fails(world: World, kind: str) -> None:
    world.operator()
    await world.versions("sum-1")
    await world.deploy("sum-1", serving={"replicas": 2})
    await world.ready("sum-1")
    before = await children(world, kind)
    assert before
    async with world.load(rate=20) as load:
        for name in before:
            await world.api.delete(kind, name, world.namespace)

        async def all_back() -> bool:
            now = await children(world, kind)
            return now.keys() == before.keys() and all(
                now[name]["metadata"]["uid"] != before[name]["metadata"]["uid"] for name in before
            )

        await eventually(f"every {kind} made again", all_back)
        await wait_for(1)
    assert figures(load.outcomes).failed == 0
    assert figures(load.outcomes).versions.keys() == {"sum-1"}


async def test_a_deleted_pool_is_made_again_with_the_same_epoch(world: World) -> None:
    world.operator()
    await world.versions("sum-1", "sum-2")
    await world.deploy("sum-1")
    await world.ready("sum-1")
    await world.deploy("sum-2")
    epoch = (await world.ready("sum-2"))["status"]["epoch"]
    pools = await children(world, "Deployment")
    for name in pools:
        await world.api.delete("Deployment", name, world.namespace)

    async def made_again() -> bool:
        now = await children(world, "Deployment")
        return bool(now) and all(item["metadata"]["uid"] != pools[name]["metadata"]["uid"] for name, item in now.items())

    await eventually("the pool made again", made_again)

    async def new_pod() -> bool:
        return any(pod.ready for pod in world.pods())

    await eventually("a new pod ready", new_pod)
    assert (await world.ready("sum-2"))["status"]["epoch"] >= epoch


@pytest.mark.parametrize("edit", ["deleted", "emptied", "forged", "replayed"])
async def test_a_deleted_or_edited_record_is_rebuilt_and_the_epoch_never_falls(world: World, edit: str) -> None:
    world.operator()
    await world.versions("sum-1", "sum-2")
    await world.deploy("sum-1", serving={"replicas": 2})
    await world.ready("sum-1")
    first = await world.record()
    assert first is not None
    await world.deploy("sum-2", serving={"replicas": 2})
    epoch = (await world.ready("sum-2"))["status"]["epoch"]
    record = await world.record()
    assert record is not None
    name = record["metadata"]["name"]
    forged = json.loads(record["data"]["commit.json"])
    forged["signature"] = "A" * 86 + "=="
    if edit == "deleted":
        await world.api.delete("ConfigMap", name, world.namespace)
    else:
        text = {"emptied": "", "forged": json.dumps(forged), "replayed": first["data"]["commit.json"]}[edit]
        await world.api.patch("ConfigMap", name, {"data": {"commit.json": text}}, world.namespace)

    async def rebuilt() -> bool:
        found = await world.record()
        return found is not None and found["data"].get("commit.json") == record["data"]["commit.json"]

    async with world.load(rate=20) as load:
        await eventually("the record as it was", rebuilt)
        await wait_for(1)
    assert (await world.ready("sum-2"))["status"]["epoch"] == epoch
    assert figures(load.outcomes).failed == 0
    assert figures(load.outcomes).versions.keys() == {"sum-2"}


async def test_an_edited_service_selector_is_put_back(world: World) -> None:
    world.operator()
    await world.versions("sum-1")
    await world.deploy("sum-1")
    await world.ready("sum-1")
    before = await world.api.get("Service", "demo", world.namespace)
    assert before is not None
    await world.api.patch("Service", "demo", {"spec": {"selector": {"podium.dev/pool": "elsewhere"}}}, world.namespace)

    async def put_back() -> bool:
        now = await world.api.get("Service", "demo", world.namespace)
        return now is not None and now["spec"]["selector"] == before["spec"]["selector"]

    await eventually("the selector put back", put_back)
