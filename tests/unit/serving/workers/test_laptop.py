"""`podium_serving local --workers N`: the same server in several processes, without a cluster."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from ports import free_ports
from serving_fixtures import make_package
from shipped import shipped
from swap_fixtures import eventually
from workers_fixtures import Watch, children_of

pytestmark = pytest.mark.process


@contextlib.asynccontextmanager
async def local(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "podium_serving", "local", *arguments),
        env=os.environ | shipped(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def test_two_processes_serve_a_package_and_say_so_once(tmp_path: Path) -> None:
    make_package(tmp_path, weights=[2, 3])
    (port,) = free_ports(1)
    async with local("--package", str(tmp_path), "--port", str(port), "--workers", "2") as process:
        assert process.stdout is not None
        lines = [(await asyncio.wait_for(process.stdout.readline(), 120)).decode() for _ in range(3)]
        assert [line.split()[0] for line in lines] == ["Model", "URL", "Docs"]
        assert len(children_of(process.pid)) == 2
        watch = Watch(f"http://127.0.0.1:{port}/v2/models/sum/infer", worth={1: 8.0})
        async with watch.running(keeping=8, coming=2):
            await eventually(lambda: watch.count > 200)
        assert (watch.failed, watch.wrong) == ([], [])
        await eventually(lambda: _counted(f"http://127.0.0.1:{port}/metrics", watch.count))
        os.kill(process.pid, signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 60) == 0


async def _counted(url: str, requests: int) -> bool:
    """Of a worker that is not heard within a second, what it said before counts."""
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        text = await response.text()
    (line,) = (line for line in text.splitlines() if line.startswith("podium_requests_total{"))
    return float(line.rpartition(" ")[2]) == requests


async def test_a_package_that_cannot_serve_ends_all_of_them_with_the_reason(tmp_path: Path) -> None:
    make_package(tmp_path, golden_offset=1.0)
    (port,) = free_ports(1)
    async with local("--package", str(tmp_path), "--port", str(port), "--workers", "2") as process:
        _, errors = await asyncio.wait_for(process.communicate(), 120)
        assert process.returncode == 1
        assert b"8 of 8 golden rows are not reproduced" in errors.splitlines()[-1]


async def test_what_would_reach_one_process_only_is_refused(tmp_path: Path) -> None:
    async with local("--package", str(tmp_path), "--workers", "2", "--model-control") as process:
        _, errors = await asyncio.wait_for(process.communicate(), 120)
        assert (process.returncode, b"no --model-control" in errors) == (2, True)
