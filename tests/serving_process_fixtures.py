"""A scoring container's process for tests: its environment, its ports, and what the operator would send it."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from podium_crds.plan import ControlStatus, Message
from ports import free_ports
from shipped import shipped
from swap_fixtures import KEY, UID, FakeRegistry

TOKEN = "pod-token"


@dataclass
class Process:
    """A scoring container's process."""

    process: asyncio.subprocess.Process
    ports: list[int]
    session: aiohttp.ClientSession

    def url(self, path: str, port: int = 0) -> str:
        return f"http://127.0.0.1:{self.ports[port]}{path}"

    async def ready(self) -> bool:
        try:
            async with self.session.get(self.url("/v2/health/ready")) as response:
                return response.status == 200
        except aiohttp.ClientConnectionError:
            assert self.process.returncode is None, "the process ended"
            return False

    async def answers(self) -> bool:
        """Whether it is alive."""
        try:
            async with self.session.get(self.url("/v2/health/live")) as response:
                return response.status == 200
        except aiohttp.ClientConnectionError:
            return False

    async def send(self, message: Message) -> ControlStatus:
        body = KEY.sign(message).model_dump_json()
        async with self.session.post(self.url("/control/v1/messages", 1), data=body) as response:
            assert response.status == 200, await response.text()
            return ControlStatus.model_validate(await response.json())


@contextlib.asynccontextmanager
async def serving(folder: Path, registry: FakeRegistry, **changes: str) -> AsyncIterator[Process]:
    secret = folder / "secret"
    secret.mkdir()
    for name, content in {"salt": os.urandom(32), "token": TOKEN.encode(), "capture-token": b"c"}.items():
        (secret / name).write_bytes(content)
    ports = free_ports(4)
    environment = {
        **shipped(),
        "PATH": os.environ["PATH"],
        "PODIUM_NAMESPACE": "retention",
        "PODIUM_DEPLOYMENT": "churn",
        "PODIUM_DEPLOYMENT_UID": UID,
        "PODIUM_POOL": "a",
        "PODIUM_POD_UID": "pod-1",
        "PODIUM_PUBLIC_KEYS": KEY.public,
        "PODIUM_RECORD_DIR": str(folder / "record"),
        "PODIUM_SECRET_DIR": str(secret),
        "PODIUM_CACHE_DIR": str(folder / "cache"),
        "PODIUM_INSECURE_REGISTRIES": registry.address,
        "PODIUM_HTTP_PORT": str(ports[0]),
        "PODIUM_CONTROL_PORT": str(ports[1]),
        "PODIUM_FORWARD_PORT": str(ports[2]),
        "PODIUM_GRPC_PORT": str(ports[3]),
        "PODIUM_BIND": "127.0.0.1",
        "PODIUM_DRAIN_SECONDS": "0.5",
        **changes,
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "podium_serving", "serve", env=environment)
    try:
        async with aiohttp.ClientSession() as session:
            yield Process(process, ports, session)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
