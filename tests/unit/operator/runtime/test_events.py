from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from operator_fixtures import FakeClock, scripted_cluster
from podium_operator.events import Events
from podium_operator.kinds import Manifest

pytestmark = pytest.mark.process

VERSION: Manifest = {
    "apiVersion": "podium.dev/v1alpha1",
    "kind": "ModelVersion",
    "metadata": {"name": "churn-3", "namespace": "retention", "uid": "u1"},
}


class Kept:
    """An API server that keeps the Events' bodies."""

    def __init__(self, code: int = 200) -> None:
        self.code = code
        self.bodies: list[tuple[str, dict[str, Any]]] = []

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append((request.method, body))
        return web.json_response({**body, "metadata": {"resourceVersion": str(len(self.bodies))}}, status=self.code)


async def test_an_event_names_its_object_and_who_saw_it(tmp_path: Path) -> None:
    kept, clock = Kept(), FakeClock()
    async with scripted_cluster(tmp_path, kept.answer) as (cluster, _, _):
        await Events(cluster, "podium-operator-0", clock.now, clock).record(VERSION, "Verified", "20 rows", "Normal")
    [(method, event)] = kept.bodies
    assert method == "POST"
    assert event["regarding"] == {
        "apiVersion": "podium.dev/v1alpha1",
        "kind": "ModelVersion",
        "namespace": "retention",
        "name": "churn-3",
        "uid": "u1",
    }
    assert (event["reason"], event["note"], event["type"]) == ("Verified", "20 rows", "Normal")
    assert event["reportingInstance"] == "podium-operator-0"
    assert event["eventTime"] == "2026-11-21T12:00:00.000000Z"


async def test_repeats_are_counted_and_written_now_and_then(tmp_path: Path) -> None:
    kept, clock = Kept(), FakeClock()
    async with scripted_cluster(tmp_path, kept.answer) as (cluster, _, _):
        events = Events(cluster, "x", clock.now, clock)
        for _ in range(10):
            await events.record(VERSION, "Verifying", "again")
        clock.pass_by(301)
        await events.record(VERSION, "Verifying", "again")
        await events.record(VERSION, "Verifying", "other words")
    assert [method for method, _ in kept.bodies] == ["POST", "PATCH", "POST"]
    assert kept.bodies[1][1]["series"]["count"] == 11


async def test_an_event_that_cannot_be_written_troubles_nobody(tmp_path: Path) -> None:
    kept, clock = Kept(code=403), FakeClock()
    async with scripted_cluster(tmp_path, kept.answer) as (cluster, _, _):
        await Events(cluster, "x", clock.now, clock).record(VERSION, "Verified", "20 rows")
    assert len(kept.bodies) == 1


async def test_a_long_note_is_cut_to_what_the_api_takes(tmp_path: Path) -> None:
    kept, clock = Kept(), FakeClock()
    async with scripted_cluster(tmp_path, kept.answer) as (cluster, _, _):
        await Events(cluster, "x", clock.now, clock).record(VERSION, "BuildFailed", "x" * 5000)
    assert len(kept.bodies[0][1]["note"]) == 1024
