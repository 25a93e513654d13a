"""The load generator against servers whose faults are known: a benchmark that cannot fail proves nothing.

Needs Go or the package index (like the local cluster), not the API server.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from bench.serving.generator import Generator, Load, Report, build, records
from bench.serving.messages import line
from bench.serving.processes import cores
from ports import HOST, free_ports

Handler = Callable[[web.Request], Any]
NUMBERS = 50


@pytest.fixture(scope="session")
def program() -> Path:
    return build()


@pytest.fixture
def bodies(tmp_path: Path) -> Path:
    """Asks for number n; what must come is n / 100."""
    path = tmp_path / "asked.jsonl"
    path.write_bytes(b"\n".join(line(b"x" * number + b"%d" % number, {"": [number / 100]}) for number in range(NUMBERS)))
    return path


def answer(number: float) -> web.Response:
    tensor = {"name": "score", "datatype": "FP32", "shape": [1], "data": [number]}
    return web.Response(text=json.dumps({"outputs": [tensor]}), headers={"podium-version": "v1"})


async def right(request: web.Request) -> web.Response:
    return answer(int((await request.text()).lstrip("x")) / 100)


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_post("/", handler)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield "{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


async def report_of(program: Path, tmp_path: Path, handler: Handler, bodies: Path, **settings: Any) -> tuple[Report, Load]:
    settings = {"seconds": 2.0, **settings}
    async with serving(handler) as address:
        load = Load(address, "/", bodies, "score", "json", 4, warmup=0.1, **settings)
        generator = Generator(program, cores().clients, tmp_path)
        return await asyncio.to_thread(generator.run, load), load


async def test_right_answers_are_counted_and_compared(program: Path, tmp_path: Path, bodies: Path) -> None:
    report, _ = await report_of(program, tmp_path, right, bodies)
    assert report.failed == 0, report.examples
    assert report.checked == report.count > 4
    assert report.by_group["v1"].count == report.count
    assert report.latency.p50 <= report.latency.p99 <= report.latency.max


async def test_answers_that_go_to_the_wrong_client_are_found(program: Path, tmp_path: Path, bodies: Path) -> None:
    held: list[float] = [0.0]

    async def swapped(request: web.Request) -> web.Response:
        held.append(int((await request.text()).lstrip("x")) / 100)
        return answer(held.pop(0))

    report, _ = await report_of(program, tmp_path, swapped, bodies)
    assert report.errors["wrong answer"] == report.failed > report.count
    assert "was expected of version" in report.examples[0]


async def test_a_server_that_fails_now_and_then_is_told_from_one_that_does_not(
    program: Path, tmp_path: Path, bodies: Path
) -> None:
    seen = 0

    async def failing(request: web.Request) -> web.Response:
        nonlocal seen
        seen += 1
        if seen % 3 == 0:
            return web.Response(status=503, text="busy")
        if seen % 4 == 0:
            assert request.transport is not None
            request.transport.abort()
        return await right(request)

    report, _ = await report_of(program, tmp_path, failing, bodies)
    assert report.errors["status 503"] > 0
    assert report.errors["connection ended"] > 0
    assert report.reconnects >= report.errors["connection ended"]


async def test_a_stall_counts_for_all_who_wanted_to_ask_meanwhile(program: Path, tmp_path: Path, bodies: Path) -> None:
    seen = 0

    async def stalling(request: web.Request) -> web.Response:
        nonlocal seen
        seen += 1
        if seen == 20:
            stalled = threading.Event()
            stalled.wait(1.0)  # the whole loop, as a collection of garbage would
        return await right(request)

    report, load = await report_of(program, tmp_path, stalling, bodies, rate=50.0, seconds=2.4, log=tmp_path / "log")
    log = records(load)
    waited = log["done"] - log["intended"]
    assert len(log) == report.count + report.failed
    assert (waited > 0.3).sum() >= 20, "only the request that met the stall was charged with it"


async def test_an_open_loop_keeps_its_rate(program: Path, tmp_path: Path, bodies: Path) -> None:
    report, load = await report_of(program, tmp_path, right, bodies, rate=20.0, log=tmp_path / "log")
    assert report.count + report.behind == pytest.approx(40, abs=1)  # behind: a pause at the end, of whoever had it
    assert report.count > 5
    gaps = np.diff(records(load)["intended"])
    assert gaps == pytest.approx(0.05, rel=1e-6)


async def test_a_collector_counts_batches_and_trouble_answers_nobody(program: Path, tmp_path: Path) -> None:
    generator = Generator(program, cores().clients, tmp_path)
    counting, hanging = free_ports(2)
    with generator.sink(f"{HOST}:{counting}"), generator.trouble(f"{HOST}:{hanging}", ["hang"]):
        reader, writer = await asyncio.open_connection(HOST, hanging)
        writer.write(b"POST / HTTP/1.1\r\n\r\n")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.3)
        writer.close()
        reader, writer = await asyncio.open_connection(HOST, counting)
        writer.write(b"GET /count HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert b'{"batches": 0, "bytes": 0}' in await asyncio.wait_for(reader.read(), 60)
        writer.close()
