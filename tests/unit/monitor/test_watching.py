"""The world by watch, against an API server that breaks off, forgets and refuses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from monitor_api_server import ScriptedApiServer, api_server, connected
from monitor_fixtures import until
from podium_monitor.watching import Watching

pytestmark = pytest.mark.process

PATH = "/apis/podium.dev/v1alpha1/modeldeployments"


def deployment(name: str = "churn", namespace: str = "shop", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "podium.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}"},
        "spec": {"champion": {"modelVersionRef": {"name": "churn-3"}}, **spec},
    }


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScriptedApiServer]:
    monkeypatch.setattr("podium_monitor.watching._FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("podium_monitor.watching._LONGEST_PAUSE_SECONDS", 0.05)
    async with api_server() as running:
        yield running


@asynccontextmanager
async def watching(folder: Path, port: int, *namespaces: str) -> AsyncIterator[Watching]:
    cluster = await connected(folder, port)
    world = Watching(cluster, namespaces)
    task = asyncio.create_task(world.run())
    try:
        yield world
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await cluster.close()


def names(world: Watching) -> list[str]:
    return [f"{found.namespace}/{found.name}" for found in world.deployments()]


async def ready(world: Watching) -> None:
    await until(lambda: not world.why_not_ready)


async def test_it_lists_once_and_then_follows(server: ScriptedApiServer, tmp_path: Path) -> None:
    for number in range(1200):
        await server.put(deployment(f"d-{number:04}"))
    async with watching(tmp_path, server.port) as world:
        assert "are not known yet" in world.why_not_ready
        assert world.age_seconds == float("inf")
        await ready(world)
        assert len(world.deployments()) == 1200
        assert server.requests[f"GET {PATH}"] == 3
        await server.put(deployment("churn"))
        await server.remove(deployment("d-0000"))
        await until(lambda: names(world)[:2] == ["shop/churn", "shop/d-0001"])
        assert server.requests[f"GET {PATH}"] == 3
        assert world.age_seconds < 600


async def test_only_the_namespaces_that_are_asked_for(server: ScriptedApiServer, tmp_path: Path) -> None:
    for namespace in ("one", "two", "three"):
        await server.put(deployment(namespace=namespace))
    async with watching(tmp_path, server.port, "one", "three") as world:
        await ready(world)
        assert names(world) == ["one/churn", "three/churn"]
        await server.put(deployment("fraud", "three"))
        await server.put(deployment("fraud", "two"))
        await until(lambda: names(world) == ["one/churn", "three/churn", "three/fraud"])


async def test_a_stream_that_breaks_is_taken_up_where_it_broke(server: ScriptedApiServer, tmp_path: Path) -> None:
    await server.put(deployment())
    async with watching(tmp_path, server.port) as world:
        await ready(world)
        await until(lambda: server.streams == 2)
        server.deny[PATH] = 503
        server.break_streams()
        await until(lambda: "503 as the test says" in world.why_stale)
        await server.put(deployment("fraud"))
        await server.remove(deployment("churn"))
        assert names(world) == ["shop/churn"]
        assert world.why_not_ready == ""
        del server.deny[PATH]
        await until(lambda: names(world) == ["shop/fraud"])
        await until(lambda: world.why_stale == "")
        assert server.requests[f"GET {PATH}"] == 1


async def test_a_point_that_the_server_forgot_means_another_list(server: ScriptedApiServer, tmp_path: Path) -> None:
    await server.put(deployment())
    async with watching(tmp_path, server.port) as world:
        await ready(world)
        await until(lambda: server.streams == 2)
        server.break_streams()
        await server.remove(deployment())
        await server.put(deployment("fraud"))
        server.forget()
        await until(lambda: names(world) == ["shop/fraud"])
        assert server.requests[f"GET {PATH}"] >= 2
        await server.put(deployment("credit"))
        await until(lambda: names(world) == ["shop/credit", "shop/fraud"])


async def test_an_expired_answer_to_the_watch_itself_means_another_list(server: ScriptedApiServer, tmp_path: Path) -> None:
    async with watching(tmp_path, server.port) as world:
        await ready(world)
        await until(lambda: server.streams == 2)
        server.deny[PATH] = 410
        server.break_streams()
        await until(lambda: server.requests[f"watch {PATH}"] >= 2)
        del server.deny[PATH]
        await server.put(deployment())
        await until(lambda: names(world) == ["shop/churn"])


async def test_what_may_not_be_listed_is_the_reason_for_not_being_ready(server: ScriptedApiServer, tmp_path: Path) -> None:
    server.deny[PATH] = 403
    async with watching(tmp_path, server.port) as world:
        await until(lambda: "modeldeployments of all namespaces are not known yet: GET" in world.why_not_ready)
        assert "403 as the test says" in world.why_not_ready
        del server.deny[PATH]
        await ready(world)


async def test_an_unreadable_object_hides_no_other_and_is_told(server: ScriptedApiServer, tmp_path: Path) -> None:
    await server.put(deployment("bad", challengers=[{"name": "x", "mode": "Telepathy"}]))
    await server.put(deployment("newer", explain={"by": "magic"}))
    async with watching(tmp_path, server.port) as world:
        await ready(world)
        assert names(world) == ["shop/newer"]
        assert list(world.unreadable) == ["ModelDeployment shop/bad"]
        await server.put(deployment("bad"))
        await until(lambda: names(world) == ["shop/bad", "shop/newer"])
        assert world.unreadable == {}


async def test_a_server_that_is_not_there_yet_is_waited_for(tmp_path: Path) -> None:
    server = ScriptedApiServer()
    async with watching(tmp_path, server.port) as world:
        await until(lambda: "no answer" in world.why_not_ready)


async def test_a_stream_that_says_nothing_at_all_is_given_up(
    server: ScriptedApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium_monitor.watching._SILENCE_SECONDS", 0.2)
    async with watching(tmp_path, server.port) as world:
        await ready(world)
        await until(lambda: server.requests[f"watch {PATH}"] >= 3)
