"""A swap while something that it needs is gone: the registry, or every pod that could prepare."""

import pytest

from demo.load import figures
from harness.api import eventually
from harness.world import World, condition, message

pytestmark = pytest.mark.integration


async def verified(world: World, name: str) -> None:
    async def is_ready() -> bool:
        found = await world.api.get("ModelVersion", name, world.namespace)
        return found is not None and condition(found, "Ready") == "True"

    await eventually(f"{name} verified", is_ready)


async def test_a_swap_without_a_registry_changes_nothing_and_goes_ahead_once_it_is_back(world: World) -> None:
    world.operator()
    await world.versions("sum-1", "sum-2")
    await world.deploy("sum-1", serving={"replicas": 2})
    await world.ready("sum-1")
    await verified(world, "sum-2")
    world.registry.stop()
    try:
        async with world.load(rate=30) as load:
            # Scaled up at once: the new pod gets the serving version's files from its peers.
            await world.deploy("sum-2", serving={"replicas": 3})
            refused = await world.refused("FetchFailed")
            assert message(refused, "Ready").endswith("'sum-1' keeps serving")
            assert condition(refused, "Stalled") == "Absent"

            async def scaled() -> bool:
                return len([pod for pod in world.pods() if pod.ready]) == 3

            await eventually("three ready pods", scaled)
            assert figures(load.outcomes).versions.keys() == {"sum-1"}
            world.registry.start()
            await world.ready("sum-2")
        assert figures(load.outcomes).failed == 0, figures(load.outcomes).first_errors
    finally:
        world.registry.stop()
        world.registry.start()


async def test_with_every_pod_down_another_version_is_the_way_out(world: World) -> None:
    world.operator()
    await world.versions("sum-1", "sum-2")
    await world.deploy("sum-1", serving={"replicas": 2})
    await world.ready("sum-1")
    await verified(world, "sum-2")
    for pod in world.pods():
        pod.hold_restart = True
        pod.kill()
    await world.deploy("sum-2", serving={"replicas": 2})

    async def committed() -> bool:
        return bool((await world.deployment())["status"]["champion"]["modelVersion"] == "sum-2")

    await eventually("sum-2 committed without any pod", committed)
    for pod in world.pods():
        pod.hold_restart = False
    await world.ready("sum-2")
