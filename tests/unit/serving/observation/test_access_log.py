"""The access log of a pod, read from the other end of a pipe."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from observation_fixtures import ObservedPod, Pipe, observed_pod
from podium_serving.http.gate import Gate
from podium_serving.metrics import Metrics
from podium_serving.observation.access_log import FAILURES_PER_SECOND, AccessLog
from podium_serving.observation.outlet import Outlet
from podium_serving.security.api_keys import ApiKeyGate
from podium_serving.security.upkeep import Upkeep
from podium_serving.settings import ObservationSettings
from serving_lane_fixtures import client, infer_body, infer_request, until
from traffic_fixtures import plan

pytestmark = pytest.mark.process

KEY = "app-key-of-at-least-22-characters"


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are given up only where a test says so."""
    monkeypatch.setattr("podium_serving.observation.observer._CLOSE_SECONDS", 60.0)


@asynccontextmanager
async def logging_pod(folder: Path, pipe: Pipe, percent: float = 100.0) -> AsyncIterator[ObservedPod]:
    keys = ApiKeyGate(lambda: None)
    keys.take({"retention-app": KEY.encode()})
    observed = ObservationSettings(access_log_percent=percent)
    gate = Gate(keys, Upkeep())
    async with observed_pod(folder, observed, gate=gate, descriptor=pipe.writing, weights=[1, 1]) as pod:
        await pod.commit(plan())
        yield pod


def outcomes(metrics: Metrics) -> dict[str, float]:
    return {labels[0]: value.value for labels, value in metrics.access_log_lines.children.items() if value.value}


async def test_a_line_per_request_and_nothing_of_keys_queries_and_bodies(tmp_path: Path, pipe: Pipe) -> None:
    async with logging_pod(tmp_path, pipe) as pod, client(pod.public) as connection:
        path = "/v2/models/churn/infer?password=hunter2"
        body = infer_body(1, 2, request_id="mine")
        await connection.ask(infer_request(body, path, x_api_key=KEY))
        await connection.ask(infer_request(infer_body(1, 2), authorization="Bearer wrong"))
        await connection.ask(infer_request(b'{"inputs": "hunter2"}', authorization=f"Bearer {KEY}"))
        await connection.ask(f"GET /docs HTTP/1.1\r\nhost: t\r\nx-api-key: {KEY}\r\n\r\n".encode())
        await connection.ask(b"GET /v2/health/ready HTTP/1.1\r\nhost: t\r\n\r\n")
    good, foreign, bad, docs = lines = pipe.lines()
    assert (good["status"], good["caller"], good["request_id"], good["path"]) == (
        200, "retention-app", "mine", "/v2/models/churn/infer",
    )  # fmt: skip
    assert (good["model"], good["version"], good["arm"], good["rows"]) == ("churn", "churn-3", "champion", 1)
    assert good["bytes_in"] == len(body)
    assert good["duration_ms"] >= good["inference_ms"] > 0
    assert (foreign["status"], foreign["reason"], foreign.get("caller")) == (401, "Unauthorized", None)
    assert (bad["status"], bad["reason"], bad["caller"]) == (400, "InvalidRequest", "retention-app")
    assert (docs["method"], docs["path"], docs["status"], docs["caller"]) == ("GET", "/docs", 200, "retention-app")
    for secret in (KEY, "hunter2", "wrong"):
        assert secret not in str(lines)
    assert outcomes(pod.metrics) == {"Written": 4}


async def test_of_answers_the_share_is_written_and_of_failures_all(tmp_path: Path, pipe: Pipe) -> None:
    async with logging_pod(tmp_path, pipe, percent=1e-9) as pod, client(pod.public) as connection:
        for _ in range(20):
            assert (await connection.ask(infer_request(infer_body(1, 2), x_api_key=KEY))).status == 200
        assert (await connection.ask(infer_request(b"{}", x_api_key=KEY))).status == 400
    assert [line["status"] for line in pipe.lines()] == [400]


async def test_a_client_that_left_is_a_failure(tmp_path: Path, pipe: Pipe) -> None:
    async with logging_pod(tmp_path, pipe) as pod:
        async with client(pod.public) as connection:
            await connection.send(infer_request(infer_body(1, 2), x_api_key=KEY)[:-5])
            await until(lambda: pod.public.lane.open_requests == 1)
        await until(lambda: pod.public.lane.open_requests == 0)
    [line] = pipe.lines()
    assert (line["status"], line["reason"], line["caller"]) == (499, "ClientGone", "retention-app")


async def test_a_flood_of_failures_does_not_become_a_flood_of_lines(tmp_path: Path, pipe: Pipe) -> None:
    flood = 400
    async with logging_pod(tmp_path, pipe) as pod, client(pod.public) as connection:
        began = time.monotonic()
        await connection.send(infer_request(b"{}", x_api_key="wrong") * flood)
        for _ in range(flood):
            assert (await connection.reply()).status == 401
        seconds = int(time.monotonic()) - int(began) + 1
    lines = pipe.lines()
    failures = [line for line in lines if line.get("status") == 401]
    left_out = sum(line.get("left_out", 0) for line in lines)
    assert len(failures) <= FAILURES_PER_SECOND * seconds
    assert len(failures) + left_out == flood
    assert outcomes(pod.metrics)["LeftOut"] == left_out


async def test_a_blocked_standard_output_stalls_nobody(tmp_path: Path, pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium_serving.observation.access_log._MOST_BYTES", 100_000)
    monkeypatch.setattr("podium_serving.observation.observer._CLOSE_SECONDS", 0.2)
    requests = 3000
    async with logging_pod(tmp_path, pipe) as pod, client(pod.public) as connection:
        for start in range(0, requests, 100):
            await connection.send(infer_request(infer_body(1, 2), x_api_key=KEY) * 100)
            for _ in range(100):
                assert (await asyncio.wait_for(connection.reply(), 60)).status == 200, start
        # Nobody reads: the pipe holds 64 KiB, the buffer what it may, and the rest is counted.
        assert outcomes(pod.metrics)["Dropped"] > 1000
    told = outcomes(pod.metrics)
    lines = pipe.lines()
    assert sum(told.values()) <= requests
    assert len(lines) < requests
    assert all(line["status"] == 200 for line in lines), "what was written is whole"


async def test_a_reader_that_is_gone_is_no_failure_of_requests(tmp_path: Path, pipe: Pipe) -> None:
    os.close(pipe.reading)
    async with logging_pod(tmp_path, pipe) as pod, client(pod.public) as connection:
        assert (await connection.ask(infer_request(infer_body(1, 2), x_api_key=KEY))).status == 200
    assert outcomes(pod.metrics) == {"Failed": 1}


async def test_a_descriptor_that_does_not_block_loses_nothing(pipe: Pipe) -> None:
    os.set_blocking(pipe.writing, False)
    metrics = Metrics("retention", "churn", process=False)
    log = AccessLog(100.0, metrics, pipe.writing)
    log.start()
    line = b'{"n": "' + b"x" * 1000 + b'"}\n'
    for _ in range(300):
        log._put(line)
    read: list[object] = []
    reader = threading.Thread(target=lambda: _read_until(pipe, 300, read))
    reader.start()
    await log.close(60.0)
    await asyncio.to_thread(reader.join, 60)
    assert len(read) == 300
    assert outcomes(metrics) == {"Written": 300}


def _read_until(pipe: Pipe, count: int, into: list[object]) -> None:
    deadline = time.monotonic() + 60
    while len(into) < count and time.monotonic() < deadline:
        into[:] = pipe.lines()
        time.sleep(0.005)


async def test_what_comes_during_the_last_write_is_written_too() -> None:
    metrics = Metrics("retention", "churn", process=False)
    written: list[int] = []
    writing, go_on = threading.Event(), threading.Event()

    def write(items: list[int], closing: threading.Event) -> int:
        writing.set()
        go_on.wait(60)
        written.extend(items)
        return len(items)

    outlet: Outlet[int] = Outlet("numbers", write, metrics.access_log_lines, most=10, pause_seconds=0.01)
    outlet.start()
    outlet.put(1)
    await asyncio.to_thread(writing.wait, 60)
    outlet.put(2)
    closing = asyncio.create_task(outlet.close(60.0))
    await asyncio.sleep(0)
    go_on.set()
    await closing
    assert written == [1, 2]


async def test_an_outlet_survives_what_its_write_raises(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics("retention", "churn", process=False)
    written: list[int] = []

    def write(items: list[int], closing: threading.Event) -> int:
        if 1 in items:
            raise ValueError("one is no number")
        written.extend(items)
        return len(items)

    outlet: Outlet[int] = Outlet("numbers", write, metrics.access_log_lines, most=10, pause_seconds=0.01)
    outlet.start()
    outlet.put(1)
    await until(lambda: outcomes(metrics) == {"Failed": 1})
    outlet.put(2)
    outlet.put(3, size=11)
    await outlet.close(60.0)
    outlet.put(4)
    assert written == [2]
    assert outcomes(metrics) == {"Failed": 1, "Written": 1, "Dropped": 2}
    assert "numbers: 1 are lost" in caplog.text
