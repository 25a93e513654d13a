"""Second pools, challengers, autoscaling and a name that is taken: what comes, and what goes again."""

from typing import Any

import pytest

from demo.load import figures
from harness.api import Manifest, eventually
from harness.questions import TIMEOUT_MILLISECONDS, answered_by
from harness.world import World, condition, message, wait_for

pytestmark = pytest.mark.integration

TIGHT = {"resources": {"limits": {"memory": "200Mi"}}}
"""Holds one of these versions, and not two with a fifth to spare."""


async def pools(world: World) -> dict[str, Manifest]:
    found = await world.api.list("Deployment", world.namespace, "podium.dev/deployment=demo")
    return {item["metadata"]["labels"]["podium.dev/pool"]: item for item in found}


async def one_pool_left(world: World) -> None:
    async def alone() -> bool:
        return len(await pools(world)) == 1

    await eventually("one pool left", alone)


async def test_a_version_too_big_to_be_held_twice_comes_in_a_second_pool_and_the_old_one_goes(world: World) -> None:
    world.operator()
    serving = {"replicas": 2, "template": TIGHT}
    await world.versions("sum-1", "sum-2")
    await world.deploy("sum-1", serving=serving)
    await world.ready("sum-1")
    before = await pools(world)
    async with world.load(rate=30) as load:
        await answered_by(load, "sum-1")
        await world.deploy("sum-2", serving=serving)
        await world.ready("sum-2")
        await one_pool_left(world)
        await wait_for(1)
    assert figures(load.outcomes).failed == 0, figures(load.outcomes).first_errors
    assert not before.keys() & (await pools(world)).keys()
    service = await world.api.get("Service", "demo", world.namespace)
    assert service is not None
    assert service["spec"]["selector"]["podium.dev/pool"] in await pools(world)
    of_the_old = f"podium.dev/pool={next(iter(before))}"
    assert await world.api.list("Service", world.namespace, of_the_old) == []


def challengers(version: str, **mode: Any) -> list[Manifest]:
    """One that may take its time: a forward that is late is answered by the champion."""
    return [{"name": "rival", "modelVersionRef": {"name": version}, "timeoutMilliseconds": TIMEOUT_MILLISECONDS, **mode}]


async def test_a_challenger_joins_moves_to_another_version_and_becomes_the_champion(world: World) -> None:
    world.operator()
    await world.versions("sum-1", "sum-2", "sum-3")
    await world.deploy("sum-1", challengers=challengers("sum-2", mode="Shadow"))
    ready = await world.ready("sum-1")
    assert ready["status"]["challengerSummary"] == "rival Shadow"
    async with world.load(rate=30) as load:
        await world.deploy("sum-1", challengers=challengers("sum-2", mode="Canary", percent=50))
        assert (await world.ready("sum-1"))["status"]["challengerSummary"] == "rival 50%"
        await answered_by(load, "sum-2")
        await world.deploy("sum-1", challengers=challengers("sum-3", mode="Canary", percent=50))
        await world.ready("sum-1")
        await answered_by(load, "sum-3")
        await world.deploy("sum-3")
        ready = await world.ready("sum-3")
        await one_pool_left(world)
    seen = figures(load.outcomes)
    assert seen.failed == 0, seen.first_errors
    assert seen.versions.keys() == {"sum-1", "sum-2", "sum-3"}
    assert "challengers" not in ready["status"]


async def test_a_bad_challenger_is_left_out_and_everything_else_goes_ahead(world: World) -> None:
    world.operator()
    await world.versions("sum-1", "sum-2", "bad-golden")
    await world.deploy("sum-1")
    await world.ready("sum-1")
    await world.deploy("sum-2", challengers=challengers("bad-golden", mode="Canary", percent=30))
    refused = await world.refused("ChallengerRefused")
    assert refused["status"]["champion"]["modelVersion"] == "sum-2"
    assert refused["status"]["challengerSummary"] == "rival Refused"
    assert "golden rows" in message(refused, "ChallengersServing")
    assert condition(refused, "ChampionServing") == "True"


async def test_an_autoscaler_takes_the_count_over_without_a_dip_and_gives_it_back(world: World) -> None:
    world.operator()
    await world.versions("sum-1")
    await world.deploy("sum-1", serving={"replicas": 3})
    await world.ready("sum-1")
    await world.deploy("sum-1", serving={"autoscaling": {"minReplicas": 2, "maxReplicas": 4}})
    await world.ready("sum-1")
    await wait_for(2)
    (pool,) = (await pools(world)).values()
    assert pool["spec"]["replicas"] == 3
    await world.deploy("sum-1", serving={"replicas": 1})

    async def as_asked() -> bool:
        (pool,) = (await pools(world)).values()
        scalers = await world.api.list("HorizontalPodAutoscaler", world.namespace)
        return pool["spec"]["replicas"] == 1 and not scalers

    await eventually("one replica and no autoscaler", as_asked)


async def test_a_service_of_somebody_else_is_reported_and_left_alone(world: World) -> None:
    world.operator()
    stranger = {"metadata": {"name": "demo", "namespace": world.namespace}, "spec": {"ports": [{"port": 1}]}}
    before = await world.api.create({"apiVersion": "v1", "kind": "Service", **stranger})
    await world.versions("sum-1")
    await world.deploy("sum-1")
    refused = await world.refused("NameTaken")
    assert "delete it, or give the ModelDeployment another name" in message(refused, "Stalled")
    assert await world.api.get("Service", "demo", world.namespace) == before
    await world.api.delete("Service", "demo", world.namespace)
    await world.ready("sum-1")
