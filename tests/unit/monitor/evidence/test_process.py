"""The evaluator's real process tells the evidence of a lake and a folder of manifests."""

import asyncio
import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from evidence_lake_fixtures import Lake, traffic
from podium_crds.evidence import DeploymentEvidence, monitor_token
from ports import free_port

KEY = b"collector-key-of-32-bytes-------"


def manifests(folder: Path) -> None:
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
        },
    }
    documents = [version("churn-3", "3"), version("churn-4", "4"), deployment]
    (folder / "all.yaml").write_text(yaml.safe_dump_all(documents), encoding="utf-8")


async def told(url: str, seconds: float = 60) -> DeploymentEvidence:
    """Once a challenger has units."""
    headers = {"Authorization": f"Bearer {monitor_token(KEY)}"}
    async with aiohttp.ClientSession() as session, asyncio.timeout(seconds):
        while True:
            try:
                async with session.get(url, headers=headers) as response:
                    if response.status == 200:
                        found = DeploymentEvidence.model_validate_json(await response.read())
                        if found.challengers and found.challengers[0].units:
                            return found
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.1)


@pytest.fixture
def evaluator(tmp_path: Path) -> Iterator[str]:
    """Its address; the lake is in `lake`, manifests in `manifests`."""
    (tmp_path / "key").write_bytes(base64.b64encode(KEY))
    folder = tmp_path / "manifests"
    folder.mkdir()
    manifests(folder)
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
    process.wait(20)


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
