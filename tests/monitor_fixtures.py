"""A real collector process on a real folder, and batches to send to it."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pyarrow.parquet as pq

from podium_crds.capture import capture_token
from podium_monitor.lake.reading import dates, deployments, of_date
from podium_monitor.lake.store import FolderStore
from podium_monitor.lake.tables import Table, folder_of
from ports import free_port

KEY = b"collector-key-of-32-bytes-------"
SOURCE = "shop/churn/uid-1"
AT = "2026-11-21T13:05:00.250Z"


def event(identity: str, **changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": identity,
        "source": "/namespaces/shop/modeldeployments/churn",
        "type": "dev.podium.prediction.v1",
        "time": AT,
        "datacontenttype": "application/json",
        "data": prediction(),
        **changes,
    }


def prediction(**changes: Any) -> dict[str, Any]:
    return {
        "request_id": "request-1",
        "row": 0,
        "join_key": "customer-7",
        "arm_assigned": "neural-net",
        "arm_answered": "champion",
        "fallback": "Timeout",
        "epoch": 7,
        "version": "churn-3",
        "digest": "sha256:3",
        "inputs": {"tenure": 3.5, "contract": None},
        "outputs": {"label": "yes", "probabilities": [0.25, 0.75]},
        "latency_seconds": 0.0125,
        **changes,
    }


def shadow(**changes: Any) -> dict[str, Any]:
    return {
        "prediction_id": "e-0",
        "version": "churn-4",
        "digest": "sha256:4",
        "outputs": {"label": "no"},
        "error": "",
        **changes,
    }


def batch(events: list[dict[str, Any]]) -> bytes:
    return json.dumps(events).encode()


def headers(source: str = SOURCE, **changes: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {capture_token(KEY, source)}",
        "Podium-Source": source,
        "Content-Type": "application/cloudevents-batch+json",
        **changes,
    }


@dataclass
class CollectorProcess:
    """`python -m podium_monitor` on `lake`, restartable."""

    lake: Path
    folder: Path
    port: int
    module: str = "podium_monitor"
    environment: dict[str, str] = field(default_factory=dict)
    """Beside the usual."""
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        key = self.folder / "key"
        key.write_bytes(base64.b64encode(KEY))
        environment = {
            **os.environ,
            "PODIUM_LAKE": str(self.lake),
            "PODIUM_COLLECTOR_KEY_FILE": str(key),
            "PODIUM_COLLECTOR_PORT": str(self.port),
            "PODIUM_BIND": "127.0.0.1",
            "PYTHONPATH": str(Path(__file__).parent),
            **self.environment,
        }
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([sys.executable, "-m", self.module], env=environment, stderr=log)

    def kill(self, number: int = signal.SIGKILL, seconds: float = 60) -> int:
        """Sends the signal and waits for the end; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(seconds)

    async def ready(self, seconds: float = 180) -> None:
        """Fails at once if it has ended."""
        async with aiohttp.ClientSession() as session, asyncio.timeout(seconds):
            while True:
                try:
                    async with session.get(f"{self.url}/readyz") as response:
                        if response.status == 200:
                            return
                except aiohttp.ClientError:
                    assert self.process is not None
                    assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
                await asyncio.sleep(0.05)


def rows(lake: Path, kind: Table = "predictions") -> list[dict[str, Any]]:
    """Every row that a reader of the lake finds, with the folders' names. Fails on a half-written file."""
    store = FolderStore(lake)
    found: list[dict[str, Any]] = []
    for namespace, deployment in deployments(store, kind):
        for date in dates(store, kind, namespace, deployment):
            for entry in of_date(store, f"{folder_of(kind, namespace, deployment)}/date={date}"):
                parts = dict(part.split("=") for part in entry.path.split("/")[1:-1])
                found += [{**row, **parts} for row in pq.ParquetFile(store.local(entry.path)).read().to_pylist()]
    return found


def running(folder: Path) -> Iterator[CollectorProcess]:
    collector = CollectorProcess(folder / "lake", folder, free_port())
    collector.start()
    try:
        yield collector
    finally:
        assert collector.process is not None
        if collector.process.poll() is None:
            collector.kill()


async def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    """Polls until `condition` holds. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  what is waited for has no event
            await asyncio.sleep(0.01)
