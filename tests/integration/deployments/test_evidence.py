"""What the monitor finds comes into status, and a monitor in trouble is nobody's trouble but its own."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest

from evidence_fixtures import FakeMonitor, challenger_evidence, evidence, fake_monitor, finding
from harness.api import Manifest, eventually
from harness.world import SHORT_LEASE_SECONDS, World, condition, message, wait_for
from podium_crds.capture import label_token
from podium_crds.evidence import DeploymentEvidence, monitor_token
from ports import HOST, free_port

pytestmark = pytest.mark.integration

SHADOW = [{"name": "rival", "modelVersionRef": {"name": "sum-2"}, "mode": "Shadow"}]


@pytest.fixture
async def monitor() -> AsyncIterator[FakeMonitor]:
    async with fake_monitor() as monitor:
        yield monitor


def operator(world: World, url: str, name: str = "operator-a", lease_seconds: float = 60.0) -> None:
    world.operator(name, lease_seconds=lease_seconds, PODIUM_MONITOR_URL=url, PODIUM_EVIDENCE_SECONDS="0.5")


async def shadowed(world: World) -> Manifest:
    await world.versions("sum-1", "sum-2")
    await world.deploy("sum-1", challengers=SHADOW)
    return await world.ready("sum-1")


def told(world: World, uid: str, decision: str, drifted: str) -> DeploymentEvidence:
    rival = challenger_evidence(name="rival", version="sum-2", digest=world.packages["sum-2"].digest, decision=decision)
    return evidence(rival, finding(status=drifted), uid=uid, namespace=world.namespace, deployment="demo")


async def shown(world: World, decision: str, drifted: str) -> Manifest:
    async def look() -> Manifest | None:
        found = await world.deployment()
        [rival] = found["status"]["challengers"]
        return found if (rival.get("decision"), condition(found, "DriftDetected")) == (decision, drifted) else None

    try:
        return await eventually(f"{decision} and drift {drifted} in status", look)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{await world.report()}") from None


async def events(world: World) -> list[tuple[str, str]]:
    found = await world.api.list("Event", world.namespace)
    return [(item["type"], item["reason"]) for item in found if item["regarding"]["kind"] == "ModelDeployment"]


async def test_decisions_and_findings_come_into_status_and_stay_when_operator_and_monitor_go(
    world: World, monitor: FakeMonitor
) -> None:
    operator(world, monitor.url, lease_seconds=SHORT_LEASE_SECONDS)
    uid = (await shadowed(world))["metadata"]["uid"]
    monitor.answers["demo"] = told(world, uid, "Undecided", "False")
    await shown(world, "Undecided", "False")
    monitor.answers["demo"] = told(world, uid, "Better", "True")
    found = await shown(world, "Better", "True")
    [rival] = found["status"]["challengers"]
    assert (rival["labels"], rival["improvement"], rival["interval"]) == (4120, "0.01312", ["0.0021", "0.0241"])
    assert found["status"]["challengerSummary"] == "rival Shadow (Better)"
    assert (condition(found, "Ready"), condition(found, "Stalled")) == ("True", "Absent")

    async def both_told() -> bool:
        return {("Normal", "ChallengerBetter"), ("Warning", "DriftDetected")} <= set(await events(world))

    await eventually("two Events", both_told)
    secret = await world.api.get("Secret", "podium-collector-key", world.namespace)
    assert secret is not None
    key = base64.b64decode(base64.b64decode(secret["data"]["key"]))
    assert {token for _, token in monitor.asked} == {f"Bearer {monitor_token(key)}"}

    world.operators[0].kill()
    monitor.answers["demo"] = 503
    operator(world, monitor.url, "operator-b")
    asked = len(monitor.asked)

    async def asked_by_the_next() -> bool:
        return len(monitor.asked) > asked + 2

    await eventually("the next operator asks", asked_by_the_next)
    after = await world.deployment()
    assert after["status"]["challengers"] == found["status"]["challengers"]
    assert drift(after) == drift(found)
    assert len([event for event in await events(world) if event[1] == "DriftDetected"]) == 1


def drift(manifest: Manifest) -> Manifest:
    """With the time since when it is so."""
    [found] = [item for item in manifest["status"]["conditions"] if item["type"] == "DriftDetected"]
    return dict(found)


async def test_a_monitor_that_never_answers_delays_no_swap(world: World) -> None:
    asking: list[asyncio.StreamWriter] = []

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asking.append(writer)
        await reader.read()
        writer.close()

    port = free_port()
    async with await asyncio.start_server(hang, HOST, port) as server:
        operator(world, f"http://{HOST}:{port}")
        await shadowed(world)
        await world.deploy("sum-2")
        found = await world.ready("sum-2")
        assert condition(found, "DriftDetected") == "Absent"

        async def asked() -> bool:
            return bool(asking)

        await eventually("the monitor is asked", asked)
        world.operators[0].stop()
        server.close()
        await asyncio.gather(*(writer.wait_closed() for writer in asking))


async def test_without_capture_nothing_is_asked_and_what_stood_goes(world: World, monitor: FakeMonitor) -> None:
    operator(world, monitor.url)
    uid = (await shadowed(world))["metadata"]["uid"]
    monitor.answers["demo"] = told(world, uid, "Better", "True")
    await shown(world, "Better", "True")
    await world.deploy("sum-1", challengers=SHADOW, capture={"percent": 0})
    found = await shown_nothing(world)
    assert message(found, "DriftDetected") == ""
    await eventually("two seconds without a question", lambda: nothing_asked(monitor, 2))


async def nothing_asked(monitor: FakeMonitor, seconds: float) -> bool:
    """It is asked twice a second as long as there is something to ask for."""
    asked = len(monitor.asked)
    await wait_for(seconds)
    return len(monitor.asked) == asked


async def shown_nothing(world: World) -> Manifest:
    async def look() -> Manifest | None:
        found = await world.deployment()
        [rival] = found["status"]["challengers"]
        return found if "decision" not in rival and condition(found, "DriftDetected") == "Absent" else None

    return await eventually("no word of the monitor", look)


async def test_whoever_brings_labels_finds_address_and_token_beside_the_deployment(world: World) -> None:
    world.operator(PODIUM_COLLECTOR_URL="http://podium-monitor.podium.svc:8090/v1/events")
    await world.versions("sum-1")
    await world.deploy("sum-1", capture={"percent": 0})
    ready = await world.ready("sum-1")
    assert await labels_secret(world) is None
    await world.deploy("sum-1")

    async def made() -> Manifest | None:
        return await labels_secret(world)

    secret = await eventually("the Secret for labels", made)
    key = await world.api.get("Secret", "podium-collector-key", world.namespace)
    assert key is not None
    collector_key = base64.b64decode(base64.b64decode(key["data"]["key"]))
    source = f"{world.namespace}/demo/{ready['metadata']['uid']}"
    assert {name: base64.b64decode(value).decode() for name, value in secret["data"].items()} == {
        "token": label_token(collector_key, source),
        "url": "http://podium-monitor.podium.svc:8090/v1/labels",
    }
    assert secret["metadata"]["ownerReferences"][0]["uid"] == ready["metadata"]["uid"]


async def labels_secret(world: World) -> Manifest | None:
    found = await world.api.list("Secret", world.namespace, "podium.dev/deployment=demo")
    return next((item for item in found if item["metadata"]["name"].startswith("demo-labels-")), None)
