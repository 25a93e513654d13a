"""How many rows per second of one core become durable Parquet, through the collector's real HTTP face.

What is told is rows per CPU second of the whole process, kernel included, and rows per second of wall time on one core.
Each row has 30 features and two outputs. Blocks are what pods send, events what anybody may send.
"""

import asyncio
import base64
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import numpy as np
import pyarrow.parquet as pq

from bench.serving.judgement import Row
from bench.serving.processes import Started, answers_http, cores, started, wait_until
from podium_crds import rows as blocks
from podium_crds.capture import CONTENT_TYPE, capture_token
from podium_crds.rows import TEXT, Column, Predictions, body_of
from ports import free_port

MUST = 50_000
ROWS = 600_000
NAIVE_ROWS = 60_000
BATCH = 2_000
BLOCK = 100
FEATURES = 30
SENDERS = 4
KEY = b"collector-key-of-32-bytes-------"
SOURCE = "shop/churn/uid-1"
STEM = b"5tem5tem5tem5tem"


@dataclass(frozen=True)
class Measured:
    rows: int
    wall: float
    cpu: float

    @property
    def per_cpu_second(self) -> float:
        return self.rows / self.cpu


def run(folder: Path, quick: bool) -> list[Row]:
    scale = 10 if quick else 1
    values = np.random.default_rng(7).normal(size=(BATCH, FEATURES)).astype(np.float32)
    naive = _naive(folder / "naive", _events(values), NAIVE_ROWS // scale)
    found = [Row("ingest", "naive: rows per CPU second", _shown(naive))]
    for name, body, media in [
        ("events", _events(values), CONTENT_TYPE),
        ("blocks", _blocks(values), blocks.CONTENT_TYPE),
    ]:
        ours = _ours(folder / name, body, media, ROWS // scale)
        found.append(
            Row(
                "ingest",
                f"{name}: rows per CPU second",
                _shown(ours),
                f"{MUST:,}",
                ours.per_cpu_second / MUST,
                "reached" if ours.per_cpu_second >= MUST else "missed",
                f"{ours.per_cpu_second / naive.per_cpu_second:.1f} times the naive one",
                vars(ours),
            )
        )
    return found


def _shown(found: Measured) -> str:
    return f"{found.per_cpu_second:,.0f} ({found.rows / found.wall:,.0f} per second of wall time)"


def _ours(folder: Path, body: bytes, media: str, rows: int) -> Measured:
    folder.mkdir(parents=True)
    (folder / "key").write_bytes(base64.b64encode(KEY))
    port = free_port()
    environment = {
        "PODIUM_LAKE": str(folder / "lake"),
        "PODIUM_COLLECTOR_KEY_FILE": str(folder / "key"),
        "PODIUM_COLLECTOR_PORT": str(port),
        "PODIUM_BIND": "127.0.0.1",
    }
    headers = {
        "Authorization": f"Bearer {capture_token(KEY, SOURCE)}",
        "Podium-Source": SOURCE,
        "Content-Type": media,
    }
    with started("collector", [sys.executable, "-m", "podium_monitor"], cores().server, folder, environment) as process:
        found = _sent(process, port, headers, body, rows)
    _check(folder / "lake" / "predictions", rows)
    return found


def _naive(folder: Path, body: bytes, rows: int) -> Measured:
    port = free_port()
    program = Path(__file__).parents[1] / "naive_collector.py"
    command: list[str | Path] = [sys.executable, program, folder / "lake", str(port)]
    with started("naive", command, cores().server, folder) as process:
        found = _sent(process, port, {}, body, rows)
    _check(folder / "lake", rows)
    return found


def _check(lake: Path, rows: int) -> None:
    """Every row that was acknowledged is there, with an id of its own."""
    ids = [one for path in lake.glob("**/*.parquet") for one in pq.ParquetFile(path).read(["event_id"])[0].to_pylist()]
    if len(ids) != rows or len(set(ids)) != rows:
        raise RuntimeError(f"{rows} rows were acknowledged, {len(ids)} are in {lake}, {len(set(ids))} different ones")


def _sent(process: Started, port: int, headers: dict[str, str], body: bytes, rows: int) -> Measured:
    wait_until(lambda: answers_http("127.0.0.1", port, "/readyz"), process, "it answers")
    wall, cpu = asyncio.run(_send_all(process, f"http://127.0.0.1:{port}/v1/events", headers, body, rows // BATCH))
    return Measured(rows, wall, cpu)


async def _send_all(process: Started, url: str, headers: dict[str, str], body: bytes, batches: int) -> tuple[float, float]:
    waiting = list(range(batches))
    async with aiohttp.ClientSession() as session:

        async def send() -> None:
            while waiting:
                fresh = body.replace(STEM, b"%016x" % waiting.pop())
                while True:
                    async with session.post(url, data=fresh, headers=headers) as response:
                        if response.status == 200:
                            break
                        if response.status != 429:
                            raise RuntimeError(f"HTTP {response.status}: {await response.text()}")
                        await asyncio.sleep(0.05)

        loop = asyncio.get_running_loop()
        begun, cpu = loop.time(), process.cpu_seconds()
        await asyncio.gather(*(send() for _ in range(SENDERS)))
        return loop.time() - begun, process.cpu_seconds() - cpu


def _events(values: np.typing.NDArray[np.float32]) -> bytes:
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps([_event(index, at, row.tolist()) for index, row in enumerate(values)]).encode()


def _event(index: int, at: str, row: Sequence[float]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{STEM.decode()}-{index:x}-0",
        "source": "/namespaces/shop/modeldeployments/churn",
        "type": "dev.podium.prediction.v1",
        "time": at,
        "datacontenttype": "application/json",
        "data": {
            **_members(),
            "request_id": f"request-{index}",
            "row": 0,
            "join_key": f"customer-{index}",
            "inputs": {f"feature_{column}": round(value, 6) for column, value in enumerate(row)},
            "outputs": {"label": "yes", "probability": round(abs(row[0]) % 1, 6)},
            "latency_seconds": 0.0125,
        },
    }


def _members() -> dict[str, Any]:
    return {
        "arm_assigned": "champion",
        "arm_answered": "champion",
        "fallback": "",
        "epoch": 7,
        "version": "churn-3",
        "digest": f"sha256:{'3' * 64}",
    }


def _blocks(values: np.typing.NDArray[np.float32]) -> bytes:
    """As a pod sends them: one-row requests, gathered into blocks."""
    now = datetime.now(UTC).timestamp()
    made = [_block(values[start : start + BLOCK], start, now) for start in range(0, BATCH, BLOCK)]
    return body_of([msgspec.msgpack.encode(block) for block in made])


def _block(values: np.typing.NDArray[np.float32], first: int, now: float) -> Predictions:
    rows = len(values)
    columns = [
        Column(f"feature_{column}", "<f4", [rows], np.ascontiguousarray(values[:, column]).tobytes())
        for column in range(FEATURES)
    ]
    probabilities = np.abs(values[:, 0]) % 1
    return Predictions(
        STEM,
        first,
        None,
        rows,
        json.dumps(_members()).encode(),
        [now] * rows,
        [0.0125] * rows,
        [f"request-{first + row}" for row in range(rows)],
        [f"customer-{first + row}" for row in range(rows)],
        columns,
        [
            Column("label", TEXT, [rows], json.dumps(["yes"] * rows).encode()),
            Column("probability", "<f4", [rows], probabilities.astype("<f4").tobytes()),
        ],
    )
