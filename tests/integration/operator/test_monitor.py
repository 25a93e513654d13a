"""The operator asks a real evaluator process: what the one tells, the other understands."""

import asyncio
import base64
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from podium_crds.evidence import monitor_token
from podium_crds.v1alpha1.model_deployment import ChallengerStatus
from podium_operator.deployments.evidence import Monitored, conditions, with_evidence
from podium_operator.deployments.monitor import MonitorReader
from podium_operator.kinds import Key
from podium_operator.runtime.metrics import Metrics
from ports import HOST, free_port

COLLECTOR_KEY = b"collector-key-of-32-bytes-------"
KEY = Key("ModelDeployment", "retention", "churn")
DIGESTS = {name: "sha256:" + str(number) * 64 for number, name in enumerate(("churn-3", "churn-4"))}
RIVAL = ChallengerStatus(name="rival", model_version="churn-4", digest=DIGESTS["churn-4"], mode="Shadow", state="Serving")


def manifests() -> list[dict[str, Any]]:
    versions: list[dict[str, Any]] = [
        {
            "apiVersion": "podium.dev/v1alpha1",
            "kind": "ModelVersion",
            "metadata": {"name": name, "namespace": "retention"},
            "spec": {"artifact": {"uri": f"oci://registry.test/models/{name}", "digest": digest}},
        }
        for name, digest in DIGESTS.items()
    ]
    champion = {"modelVersion": "churn-3", "digest": DIGESTS["churn-3"], "since": "2026-11-21T12:00:00Z", "replicas": 1}
    deployment: dict[str, Any] = {
        "apiVersion": "podium.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "churn", "namespace": "retention", "uid": "u-1", "creationTimestamp": "2026-11-21T12:00:00Z"},
        "spec": {
            "champion": {"modelVersionRef": {"name": "churn-3"}},
            "challengers": [{"name": "rival", "modelVersionRef": {"name": "churn-4"}, "mode": "Shadow"}],
        },
        "status": {"champion": champion, "challengers": [RIVAL.model_dump(mode="json", by_alias=True, exclude_none=True)]},
    }
    return [*versions, deployment]


@pytest.fixture
def evaluator(tmp_path: Path) -> Iterator[str]:
    """Its base address."""
    lake, folder, key = tmp_path / "lake", tmp_path / "manifests", tmp_path / "key"
    lake.mkdir()
    folder.mkdir()
    (folder / "all.yaml").write_text(yaml.safe_dump_all(manifests()))
    key.write_bytes(base64.b64encode(COLLECTOR_KEY))
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "PODIUM_LAKE": str(lake),
        "PODIUM_COLLECTOR_KEY_FILE": str(key),
        "PODIUM_MANIFESTS_DIR": str(folder),
        "PODIUM_MONITOR_PORT": str(port),
        "PODIUM_BIND": HOST,
        "PODIUM_EVALUATION_SECONDS": "1",
    }
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "podium_monitor", "evaluate"], env=environment, stdout=output, stderr=output
        )
    try:
        yield f"http://{HOST}:{port}"
    finally:
        process.terminate()
        assert process.wait(120) == 0, log.read_text()


async def heard(reader: MonitorReader, noticed: list[Key]) -> Monitored:
    """Rounds until the evaluator has told something."""
    end = time.monotonic() + 180
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < end:
            await reader.round(session, noticed.append)
            found = reader.monitored(KEY, "u-1", captured=True)
            if found is not None and found.evidence is not None:
                return found
            await asyncio.sleep(0.2)
    raise AssertionError("the evaluator told nothing within three minutes")


async def test_what_the_evaluator_tells_becomes_status(evaluator: str) -> None:
    reader = MonitorReader(evaluator, monitor_token(COLLECTOR_KEY), Metrics(), time.monotonic, 0.2)
    reader.monitored(KEY, "u-1", captured=True)
    noticed: list[Key] = []
    found = await heard(reader, noticed)
    assert noticed[-1] == KEY
    by_type = {item.type: (item.status, item.message) for item in conditions(found, [])}
    assert by_type["DriftDetected"][0] == "Unknown"
    assert by_type["PerformanceDegraded"][0] == "Unknown"
    [rival] = with_evidence([RIVAL], found, [])
    assert (rival.labels, rival.decision) == (0, "NotEnoughData")
    assert rival.evidence


async def test_another_token_learns_nothing(evaluator: str) -> None:
    metrics = Metrics()
    right = MonitorReader(evaluator, monitor_token(COLLECTOR_KEY), Metrics(), time.monotonic, 0.2)
    right.monitored(KEY, "u-1", captured=True)
    await heard(right, [])
    wrong = MonitorReader(evaluator, monitor_token(b"another"), metrics, time.monotonic, 0.001)
    wrong.monitored(KEY, "u-1", captured=True)
    await asyncio.sleep(0.01)
    async with aiohttp.ClientSession() as session:
        await wrong.round(session, lambda _: None)
    assert wrong.monitored(KEY, "u-1", captured=True) == Monitored()
    assert metrics.registry.get_sample_value("podium_operator_monitor_requests_total", {"outcome": "Failed"}) == 1
