"""An upgrade of Podium to an image that understands more: what serves goes on, and goes over."""

import json

import pytest

from demo.load import figures
from harness.api import Manifest, eventually
from harness.questions import TIMEOUT_MILLISECONDS, answered_by
from harness.world import World, wait_for

pytestmark = pytest.mark.integration

TODAY = "registry.test/podium/serving@sha256:" + "b" * 64
CONTRACT_1 = {"contract": 1}


async def made_by_an_earlier_podium(world: World, *versions: str) -> None:
    """Status and record as operators wrote them who knew of no contract."""
    for name in versions:
        outdated = {"status": {"verification": CONTRACT_1}}
        await world.api.patch("ModelVersion", name, outdated, world.namespace, "status")
    record = await world.record()
    assert record is not None
    notes = json.loads(record["data"]["notes.json"]) | CONTRACT_1
    change = {"data": {"notes.json": json.dumps(notes)}}
    await world.api.patch("ConfigMap", record["metadata"]["name"], change, world.namespace)


def images(pods: list[Manifest]) -> set[str]:
    return {pod["spec"]["containers"][0]["image"] for pod in pods if not pod["metadata"].get("deletionTimestamp")}


async def test_an_upgrade_takes_champion_and_challenger_to_the_new_image_and_loses_no_request(world: World) -> None:
    earlier = world.operator("earlier")
    await world.versions("sum-1", "sum-2", "sum-3")
    challengers = [{"name": "rival", "modelVersionRef": {"name": "sum-2"}, "mode": "Canary", "percent": 30}]
    challengers[0]["timeoutMilliseconds"] = TIMEOUT_MILLISECONDS
    await world.deploy("sum-1", challengers=challengers, serving={"replicas": 2})
    epoch = (await world.ready("sum-1"))["status"]["epoch"]
    earlier.stop()
    await made_by_an_earlier_podium(world, "sum-1", "sum-2", "sum-3")
    async with world.load(rate=30) as load:
        await answered_by(load, "sum-2")
        world.operator("upgraded", scoring_image=TODAY)

        async def moved() -> bool:
            return images(await world.api.list("Pod", world.namespace, "podium.dev/deployment=demo")) == {TODAY}

        await eventually("all pods run the image of today", moved, 240)
        found = await world.ready("sum-1")
        await wait_for(1)
    seen = figures(load.outcomes)
    assert seen.failed == 0, seen.first_errors
    assert seen.versions.keys() == {"sum-1", "sum-2"}
    assert found["status"]["epoch"] > epoch
    unused = await world.api.get("ModelVersion", "sum-3", world.namespace)
    assert unused is not None
    assert unused["status"]["image"] != TODAY
