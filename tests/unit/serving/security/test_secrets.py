"""A whole pod with certificate, keys, log and tracing: what it says of itself holds no key, no token and no secret."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from observation_fixtures import FakeCollector, values
from podium_crds.plan import Commit
from ports import free_ports
from security_fixtures import FakeIssuer, Made, jwk, make_certificate, mount, rsa_key
from serving_fixtures import make_package
from serving_lane_fixtures import infer_body
from shipped import shipped
from swap_fixtures import KEY, UID, FakeRegistry, eventually, plan

pytestmark = pytest.mark.process

API_KEY = "api-key-of-at-least-22-characters"
OTHER_KEY = "other-key-of-at-least-22-characters"
WRONG = "guessed-key-of-at-least-22-characters"
TOKEN = "forward-token-of-this-deployment"
CAPTURE_TOKEN = "capture-token-of-this-deployment"
IN_BODY = "do-not-log-this-value"


class Running:
    """A process and what it wrote."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output = b""
        self.errors = b""

    async def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(60):
            self.output, self.errors = await self.process.communicate()


@contextlib.asynccontextmanager
async def started(*arguments: str, **environment: str) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "podium_serving", *arguments),
        env={**shipped(), "PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Running(process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def answers(session: aiohttp.ClientSession, url: str, made: Made) -> bool:
    try:
        async with session.get(url, ssl=made.client()) as response:
            return response.status == 200
    except aiohttp.ClientConnectionError:
        return False


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_pod_with_everything_on_tells_no_secret(tmp_path: Path, workers: int) -> None:
    made = make_certificate()
    mount(tmp_path / "tls", made.files)
    mount(tmp_path / "keys", {"retention-app": API_KEY.encode(), "weak": b"hunter2"})
    secret = tmp_path / "secret"
    secret.mkdir()
    salt = os.urandom(16).hex()
    for name, content in {"salt": salt, "token": TOKEN, "capture-token": CAPTURE_TOKEN}.items():
        (secret / name).write_text(content)
    (tmp_path / "record").mkdir()
    http, control, forward, grpc = free_ports(4)
    async with (
        FakeRegistry().running() as registry,
        FakeCollector().running() as collector,
        aiohttp.ClientSession() as session,
    ):
        committed = plan(1, digest=registry.add_made(tmp_path / "one", weights=[1, 1]), uri=registry.uri)
        (tmp_path / "record" / "commit.json").write_text(KEY.sign(Commit(plan=committed)).model_dump_json())
        settings = {
            "PODIUM_WORKERS": str(workers),
            "PODIUM_NAMESPACE": "retention",
            "PODIUM_DEPLOYMENT": "churn",
            "PODIUM_DEPLOYMENT_UID": UID,
            "PODIUM_POOL": "a",
            "PODIUM_PUBLIC_KEYS": KEY.public,
            "PODIUM_RECORD_DIR": str(tmp_path / "record"),
            "PODIUM_SECRET_DIR": str(secret),
            "PODIUM_CACHE_DIR": str(tmp_path / "cache"),
            "PODIUM_INSECURE_REGISTRIES": registry.address,
            "PODIUM_HTTP_PORT": str(http),
            "PODIUM_CONTROL_PORT": str(control),
            "PODIUM_FORWARD_PORT": str(forward),
            "PODIUM_GRPC_PORT": str(grpc),
            "PODIUM_BIND": "127.0.0.1",
            "PODIUM_DRAIN_SECONDS": "0.1",
            "PODIUM_TLS_DIR": str(tmp_path / "tls"),
            "PODIUM_AUTHENTICATION": "ApiKey",
            "PODIUM_API_KEYS_DIR": str(tmp_path / "keys"),
            "PODIUM_OTLP_ENDPOINT": collector.url,
            "PODIUM_TRACE_PERCENT": "100",
            "PODIUM_ACCESS_LOG_PERCENT": "100",
        }
        async with started("serve", **settings) as pod:
            base = f"https://127.0.0.1:{http}"
            await eventually(lambda: answers(session, f"{base}/v2/health/ready", made))
            statuses = await _asked(session, f"{base}/v2/models/churn/infer?key={API_KEY}", made)
            assert statuses == [200, 200, 401, 401, 400]
            version = committed.champion.version.name
            path = f"http://127.0.0.1:{forward}/v2/models/churn/versions/{version}/infer"
            for token, status in ((TOKEN, 200), (WRONG, 401)):
                headers = {"Authorization": f"Bearer {token}"}
                async with session.post(path, data=infer_body(1, 2), headers=headers) as response:
                    assert response.status == status
            mount(tmp_path / "keys", {"retention-app": OTHER_KEY.encode()})
            await eventually(lambda: _lets_in(session, f"{base}/v2", made, OTHER_KEY))
            await eventually(lambda: len(collector.spans) >= 9)
            await pod.end()
        lines = [json.loads(line) for line in pod.output.splitlines()]
        assert sorted(line["status"] for line in lines if line["path"].endswith("/infer")) == sorted(statuses)
        assert {line.get("caller", "") for line in lines} == {"", "retention-app"}
        assert b"API key 'weak' has 7 characters" in pod.errors
        spans = str([values(span.attributes) for span in collector.spans])
        told = pod.output.decode() + pod.errors.decode() + spans
        for kept in (API_KEY, OTHER_KEY, WRONG, TOKEN, CAPTURE_TOKEN, salt, "hunter2", IN_BODY, "PRIVATE KEY"):
            assert kept not in told


async def _asked(session: aiohttp.ClientSession, url: str, made: Made) -> list[int]:
    """Statuses: a key in each of its headers, two that are none, and a body that does not fit."""
    good, bad = {"X-Api-Key": API_KEY}, {"X-Api-Key": WRONG}
    bodies: list[tuple[dict[str, str], Any]] = [
        (good, infer_body(1, 2)),
        ({"Authorization": f"Bearer {API_KEY}"}, infer_body(1, 2)),
        (bad, infer_body(1, 2)),
        ({"Authorization": f"Bearer {WRONG}"}, infer_body(1, 2)),
        (good, json.dumps({"inputs": [{"name": "x0", "datatype": "FP32", "shape": [1, 1], "data": [IN_BODY]}]})),
    ]
    statuses = []
    for headers, body in bodies:
        async with session.post(url, data=body, headers=headers, ssl=made.client()) as response:
            statuses.append(response.status)
    return statuses


async def _lets_in(session: aiohttp.ClientSession, url: str, made: Made, key: str) -> bool:
    async with session.get(url, headers={"X-Api-Key": key}, ssl=made.client()) as response:
        return response.status == 200


async def test_a_laptop_asks_for_tokens_when_its_environment_says_so(tmp_path: Path) -> None:
    make_package(tmp_path / "package", weights=[1, 1])
    key = rsa_key()
    [port] = free_ports(1)
    async with FakeIssuer([jwk(key, "a")]).running() as issuer, aiohttp.ClientSession() as session:
        token = issuer.token(key, "a", "RS256")
        settings = {
            "PODIUM_AUTHENTICATION": "Jwt",
            "PODIUM_JWT_ISSUER": issuer.url,
            "PODIUM_JWT_AUDIENCES": "churn",
            "PODIUM_ACCESS_LOG_PERCENT": "100",
        }
        arguments = ("local", "--package", str(tmp_path / "package"), "--port", str(port))
        async with started(*arguments, **settings) as laptop:
            base = f"http://127.0.0.1:{port}"
            await eventually(lambda: answers(session, f"{base}/v2/health/ready", make_certificate()))
            for shown, status in ((token, 200), (token[:-2], 401)):
                async with session.get(f"{base}/v2", headers={"Authorization": f"Bearer {shown}"}) as response:
                    assert response.status == status
            await laptop.end()
    told = laptop.output.decode() + laptop.errors.decode()
    assert '"caller":"retention-app"' in told
    assert token.rpartition(".")[2] not in told


def test_what_is_not_configured_is_not_imported() -> None:
    """Each is several megabytes in every pod, whoever needs them."""
    code = "import sys, podium_serving.running, podium_serving.swap.loading; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    heavy = {"aiohttp", "fastapi", "jwt", "opentelemetry", "prometheus_client", "cryptography.x509", "urllib.request"}
    assert heavy.isdisjoint(done.stdout.split())
