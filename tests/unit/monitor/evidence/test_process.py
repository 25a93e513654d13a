"""The monitor's real processes: what pods and labellers send becomes evidence that the operator reads."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from evidence_lake_fixtures import CHALLENGER, CHAMPION, Lake, Traffic, outputs, traffic
from label_fixtures import label, post_labels
from monitor_fixtures import CollectorProcess, batch, event, headers, prediction, shadow
from podium_crds.capture import SHADOW
from podium_crds.evidence import DeploymentEvidence, monitor_token
from ports import free_port

pytestmark = pytest.mark.process

KEY = b"collector-key-of-32-bytes-------"
OWNER = "shop/churn/churn"
EVENT_SOURCE = "/namespaces/shop/modeldeployments/churn"


HORIZON = 90
"""Seconds. Predictions of these tests are a minute old when they are sent, and labelled half a minute later at most."""


def manifests(folder: Path, horizon: int) -> None:
    def version(name: str, digit: str) -> dict[str, Any]:
        artifact = {"uri": f"oci://registry.example.com/models/{name}", "digest": "sha256:" + digit * 64}
        return {
            "apiVersion": "podium.dev/v1alpha1",
            "kind": "ModelVersion",
            "metadata": {"name": name, "namespace": "shop"},
            "spec": {"artifact": artifact},
        }

    deployment = {
        "apiVersion": "podium.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "churn", "namespace": "shop"},
        "spec": {
            "champion": {"modelVersionRef": {"name": "churn-3"}},
            "challengers": [{"name": "boosted", "modelVersionRef": {"name": "churn-4"}, "mode": "Shadow"}],
            "promotion": {"metric": {"type": "Brier"}},
            "monitoring": {"labels": {"horizonSeconds": horizon}},
        },
    }
    documents = [version("churn-3", "3"), version("churn-4", "4"), deployment]
    (folder / "all.yaml").write_text(yaml.safe_dump_all(documents), encoding="utf-8")


async def told(url: str, units: int = 1, seconds: float = 180) -> DeploymentEvidence:
    """Once a challenger has so many units."""
    headers = {"Authorization": f"Bearer {monitor_token(KEY)}"}
    async with aiohttp.ClientSession() as session, asyncio.timeout(seconds):
        while True:
            try:
                async with session.get(url, headers=headers) as response:
                    if response.status == 200:
                        found = DeploymentEvidence.model_validate_json(await response.read())
                        if found.challengers and found.challengers[0].units >= units:
                            return found
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


@pytest.fixture
def evaluator(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """Its address; the lake is in `lake`, manifests in `manifests`. The parameter is the horizon of labels in seconds."""
    (tmp_path / "key").write_bytes(base64.b64encode(KEY))
    folder = tmp_path / "manifests"
    folder.mkdir()
    manifests(folder, request.param)
    port = free_port()
    environment = {
        **os.environ,
        "PODIUM_LAKE": str(tmp_path / "lake"),
        "PODIUM_COLLECTOR_KEY_FILE": str(tmp_path / "key"),
        "PODIUM_MANIFESTS_DIR": str(folder),
        "PODIUM_MONITOR_PORT": str(port),
        "PODIUM_BIND": "127.0.0.1",
        "PODIUM_EVALUATION_SECONDS": "1",
        "PODIUM_SIGN_IN": "Open",
    }
    process = subprocess.Popen([sys.executable, "-m", "podium_monitor", "evaluate"], env=environment)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(60)


@pytest.mark.parametrize("evaluator", [7200], indirect=True)
async def test_a_shadow_in_the_lake_is_told_to_the_operator(evaluator: str, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
    found = traffic(3000)
    lake.labelled(lake.shadowed(found, hour), found, hour + timedelta(hours=1))
    lake.describe()
    evidence = await told(f"{evaluator}/v1/namespaces/shop/deployments/churn/evidence")
    [challenger] = evidence.challengers
    assert (challenger.units, challenger.decision) == (3000, "Better")
    assert {finding.type for finding in evidence.findings} >= {"DriftDetected", "PerformanceDegraded"}


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    running = CollectorProcess(tmp_path / "lake", tmp_path, free_port())
    running.start()
    yield running
    running.kill(signal.SIGTERM)


def events(found: Traffic, rows: range) -> list[dict[str, Any]]:
    """Predictions with their shadows, made a minute ago."""
    begun = datetime.now(UTC) - timedelta(seconds=60)
    old, new = outputs(found.champion), outputs(found.challenger)
    made = []
    for row in rows:
        at = (begun + timedelta(milliseconds=row)).isoformat()
        arms = {"arm_assigned": "champion", "arm_answered": "champion", "fallback": "", "digest": CHAMPION}
        data = prediction(join_key=f"key-{row}", outputs=json.loads(old[row]), **arms)
        made.append(event(f"s-{row:x}-0", time=at, source=EVENT_SOURCE, data=data))
        data = shadow(prediction_id=f"s-{row:x}-0", digest=CHALLENGER, outputs=json.loads(new[row]))
        made.append(event(f"s-{row:x}-0-boosted", time=at, type=SHADOW, source=EVENT_SOURCE, data=data))
    return made


@pytest.mark.parametrize("evaluator", [HORIZON], indirect=True)
async def test_what_is_labelled_becomes_evidence_when_it_is_as_old_as_the_horizon(
    evaluator: str, collector: CollectorProcess, tmp_path: Path
) -> None:
    Lake(tmp_path / "lake").describe()
    await collector.ready()
    found, url = traffic(1500), f"{evaluator}/v1/namespaces/shop/deployments/churn/evidence"
    async with aiohttp.ClientSession() as session:
        for rows, decision in ((range(700), "NotEnoughData"), (range(700, 1500), "Better")):
            body = batch(events(found, rows))
            async with session.post(f"{collector.url}/v1/events", data=body, headers=headers(OWNER)) as response:
                assert response.status == 200
            labels = [label(f"key-{row}", "yes" if found.truth[row] else "no") for row in rows]
            status, _ = await post_labels(session, collector, labels, source=OWNER)
            assert status == 200
            [challenger] = (await told(url, units=rows.stop, seconds=300)).challengers
            assert (challenger.units, challenger.decision) == (rows.stop, decision)
