"""The evaluator as a process: what it tells once it has looked, and that it ends when told to."""

import asyncio
import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from evaluation_fixtures import LakeFolder, rows
from podium_monitor.lake.retention_wishes import wished_days
from ports import free_port

pytestmark = pytest.mark.process

MANIFEST = """
apiVersion: podium.dev/v1alpha1
kind: ModelDeployment
metadata: {name: churn, namespace: shop, uid: uid-1}
spec:
  champion: {modelVersionRef: {name: churn-3}}
  monitoring:
    fairness: {protected: [region]}
    business: [{name: money, expression: "if(prediction = label, 1, -2)", minimum: "0"}]
    retentionDays: 30
"""


@dataclass
class Evaluator:
    lake: LakeFolder
    hour: datetime
    """Of the rows that it finds."""
    url: str
    process: subprocess.Popen[bytes]

    async def metrics(self, until: str, seconds: float = 180) -> str:
        """Once they hold a text."""
        async with aiohttp.ClientSession() as session, asyncio.timeout(seconds):
            while True:
                try:
                    async with session.get(f"{self.url}/metrics") as response:
                        text = await response.text()
                        if until in text:
                            return text
                except aiohttp.ClientError:
                    assert self.process.poll() is None
                await asyncio.sleep(0.1)


@pytest.fixture
def evaluator(tmp_path: Path) -> Iterator[Evaluator]:
    lake = LakeFolder(tmp_path / "lake")
    lake.put_reference(rows(2000, 1))
    found = rows(1000, 2)
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)  # it goes by the real clock
    lake.put_labels(lake.put_predictions(found, hour), found.truth.tolist(), hour + timedelta(minutes=50))
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    (manifests / "churn.yaml").write_text(MANIFEST)
    (tmp_path / "key").write_bytes(base64.b64encode(b"k" * 32))
    port = free_port()
    environment = {
        **os.environ,
        "PODIUM_LAKE": str(lake.path),
        "PODIUM_COLLECTOR_KEY_FILE": str(tmp_path / "key"),
        "PODIUM_MONITOR_PORT": str(port),
        "PODIUM_MANIFESTS_DIR": str(manifests),
        "PODIUM_BIND": "127.0.0.1",
        "PODIUM_EVALUATION_SECONDS": "1",
    }
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "podium_monitor", "evaluate"], env=environment, stderr=log)
    try:
        yield Evaluator(lake, hour, f"http://127.0.0.1:{port}", process)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(60)


async def test_it_tells_what_it_found_and_what_comes_later_and_ends_when_told(evaluator: Evaluator) -> None:
    text = await evaluator.metrics('podium_monitor_finding{deployment="churn",namespace="shop",type="DriftDetected"} 0.0')
    place = 'deployment="churn",namespace="shop"'
    arm = 'role="champion",version="churn-3"'
    assert f"podium_monitor_rows{{{place},{arm}}} 1000.0" in text
    assert f"podium_monitor_labelled_rows{{{place},{arm}}} 1000.0" in text
    for name in (
        f'podium_monitor_performance_low{{deployment="churn",metric="auc",namespace="shop",{arm}}}',
        f'podium_monitor_drift_psi{{column="tenure",{place},{arm}}}',
        f'podium_monitor_fairness_ratio{{column="region",{place},{arm}}}',
        f'podium_monitor_business_value{{deployment="churn",kpi="money",namespace="shop",{arm}}}',
        f"podium_monitor_evaluated_timestamp_seconds{{{place}}}",
        f'podium_monitor_label_delay_seconds{{{place},quantile="0.5"}}',
        "podium_monitor_deployments 1.0",
        "podium_monitor_evaluation_duration_seconds_count",
    ):
        assert name in text, name
    assert wished_days(evaluator.lake.store, "shop", "churn") == 30, "the collector reads it there"
    evaluator.lake.put_predictions(rows(500, 3), evaluator.hour, key="later")
    await evaluator.metrics(f"podium_monitor_rows{{{place},{arm}}} 1500.0")
    async with aiohttp.ClientSession() as session:
        for path, status in (("healthz", 200), ("readyz", 200), ("nothing", 404)):
            async with session.get(f"{evaluator.url}/{path}") as response:
                assert response.status == status
    evaluator.process.send_signal(signal.SIGTERM)
    assert evaluator.process.wait(60) == 0


def test_an_argument_that_means_nothing_is_refused() -> None:
    found = subprocess.run([sys.executable, "-m", "podium_monitor", "guess"], capture_output=True, text=True, timeout=60)
    assert found.returncode == 1
    assert "takes no argument, or 'evaluate'; it got 'guess'" in found.stderr
