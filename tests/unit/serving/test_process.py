"""`python -m podium_serving` for real: a signed record, a registry, a swap under load, and SIGTERM."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from podium_crds.plan import Commit
from ports import free_ports
from serving_fixtures import make_package
from serving_lane_fixtures import infer_body
from serving_process_fixtures import TOKEN, Process, serving
from shipped import shipped
from swap_fixtures import KEY, FakeRegistry, eventually, plan
from workers_fixtures import prepared

pytestmark = pytest.mark.process


@dataclass
class Load:
    """Clients that keep their connections, as stock clients do. `seen` are the versions and answers, in order."""

    url: str
    seen: list[tuple[str, float]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    stopped: bool = False

    async def client(self) -> None:
        async with aiohttp.ClientSession() as session:
            while not self.stopped:
                try:
                    async with session.post(self.url, data=infer_body(1, 2)) as response:
                        body = await response.json()
                        if response.status == 200:
                            self.seen.append((response.headers["Podium-Version"], body["outputs"][0]["data"][0]))
                        else:
                            self.failed.append(f"{response.status} {body}")
                except aiohttp.ClientError as error:
                    self.failed.append(repr(error))

    @contextlib.asynccontextmanager
    async def running(self, clients: int = 4) -> AsyncIterator["Load"]:
        async with asyncio.TaskGroup() as group:
            for _ in range(clients):
                group.create_task(self.client())
            try:
                yield self
            finally:
                self.stopped = True


async def test_a_pod_starts_from_its_record_swaps_under_load_and_drains_on_sigterm(tmp_path: Path) -> None:
    async with FakeRegistry().running() as registry:
        first = plan(1, digest=registry.add_made(tmp_path / "one", weights=[1, 1]), uri=registry.uri)
        second = plan(2, digest=registry.add_made(tmp_path / "two", weights=[10, 10]), uri=registry.uri)
        (tmp_path / "record").mkdir()
        (tmp_path / "record" / "commit.json").write_text(KEY.sign(Commit(plan=first)).model_dump_json())
        async with serving(tmp_path, registry) as pod:
            await eventually(pod.ready)
            names = [first.champion.version.name, second.champion.version.name]
            async with Load(pod.url("/v2/models/churn/infer")).running() as load:
                await eventually(lambda: len(load.seen) > 50)
                await eventually(lambda: prepared(pod, second))
                assert {version for version, _ in load.seen} == {names[0]}
                status = await pod.send(Commit(plan=second))
                assert status.committed is not None
                assert status.committed.epoch == 2
                many = len(load.seen) + 50
                await eventually(lambda: len(load.seen) > many)
            assert load.failed == []
            assert set(load.seen) == {(names[0], 3.0), (names[1], 30.0)}
            assert load.seen.index((names[1], 30.0)) > 50
            status = await pod.send(Commit(plan=second))
            assert status.flip is not None
            assert status.flip.last_admitted_old is not None
            assert status.flip.first_admitted_new is not None
            assert status.flip.first_admitted_new >= status.flip.last_admitted_old

            forwarded = {"Authorization": f"Bearer {TOKEN}"}
            path = f"/v2/models/churn/versions/{names[1]}/infer"
            async with pod.session.post(pod.url(path, 2), data=infer_body(1, 2), headers=forwarded) as response:
                assert response.status == 200
                assert int(response.headers["Podium-Inference-Microseconds"]) > 0
            async with pod.session.get(pod.url("/metrics", 1)) as response:
                text = await response.text()
                assert f'podium_model_loaded{{deployment="churn",namespace="retention",version="{names[1]}"}} 1.0' in text
                assert "process_resident_memory_bytes" in text
                assert 'podium_build_info{compiled="true",' in text

            pod.process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(pod.process.wait(), 60) == 0


async def test_while_it_drains_clients_that_keep_their_connections_lose_nothing(tmp_path: Path) -> None:
    async with FakeRegistry().running() as registry:
        only = plan(1, digest=registry.add_made(tmp_path / "one", weights=[1, 1]), uri=registry.uri)
        (tmp_path / "record").mkdir()
        (tmp_path / "record" / "commit.json").write_text(KEY.sign(Commit(plan=only)).model_dump_json())
        async with serving(tmp_path, registry, PODIUM_DRAIN_SECONDS="15") as pod:
            await eventually(pod.ready)
            async with Load(pod.url("/v2/models/churn/infer")).running() as load:
                await eventually(lambda: len(load.seen) > 50)
                pod.process.send_signal(signal.SIGTERM)
                await eventually(lambda: _leaves(pod))
                # Endpoints update now; until then everything that comes is answered.
                many = len(load.seen) + 50
                await eventually(lambda: len(load.seen) > many)
            assert load.failed == []
            assert await asyncio.wait_for(pod.process.wait(), 60) == 0


async def _leaves(pod: Process) -> bool:
    return not await pod.ready()


async def test_a_pod_without_a_plan_is_alive_and_not_ready(tmp_path: Path) -> None:
    async with FakeRegistry().running() as registry, serving(tmp_path, registry) as pod:
        await eventually(pod.answers)
        assert not await pod.ready()
        pod.process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(pod.process.wait(), 60) == 0


async def test_a_pod_that_lacks_its_environment_says_what_and_ends() -> None:
    code, _, error = await run("serve")
    assert (code, error) == (2, "podium_serving: PODIUM_NAMESPACE is not set\n")


async def run(*arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "podium_serving",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**shipped(), "PATH": os.environ["PATH"]},
    )
    output, error = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, output.decode(), error.decode()


async def test_one_command_serves_a_package_on_a_laptop(tmp_path: Path) -> None:
    make_package(tmp_path / "sum", weights=[2, 3])
    (port,) = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "podium_serving", "local", "--package", str(tmp_path / "sum"), "--port", str(port)),
        env=os.environ | shipped(),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        lines = [(await asyncio.wait_for(process.stdout.readline(), 60)).decode() for _ in range(3)]
        assert lines[1:] == [
            f"URL    http://127.0.0.1:{port}/v2/models/sum/infer\n",
            f"Docs   http://127.0.0.1:{port}/docs\n",
        ]
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            async with session.get("/openapi.json") as response:
                body = (await response.json())["paths"]["/v2/models/sum/infer"]["post"]["requestBody"]
            example = body["content"]["application/json"]["example"]
            async with session.post("/v2/models/sum/infer", data=json.dumps(example)) as response:
                answer = await response.json()
            assert (answer["model_name"], answer["model_version"]) == ("sum", "1")
            x0, x1 = (tensor["data"][0] for tensor in example["inputs"])
            assert answer["outputs"][0]["data"] == [2 * x0 + 3 * x1]
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@pytest.mark.parametrize(
    ("package", "text"),
    [
        pytest.param({"golden_offset": 1.0}, "8 of 8 golden rows are not reproduced; row ", id="golden"),
        pytest.param({}, "cannot read podium.yaml", id="no-package"),
    ],
)
async def test_a_package_that_cannot_serve_ends_the_command_with_the_reason(
    package: dict[str, float], text: str, tmp_path: Path
) -> None:
    if package:
        make_package(tmp_path, golden_offset=package["golden_offset"])
    code, _, error = await run("local", "--package", str(tmp_path), "--port", "0")
    assert code == 1
    assert text in error
