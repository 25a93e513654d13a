"""What spec.serving says, at the endpoint: certificates, keys of callers, workers, and how a change arrives."""

import asyncio
import json
import ssl
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import aiohttp
import grpc
import pytest

from demo.load import figures
from harness.api import Manifest, eventually
from harness.pod import PodProcess
from harness.questions import answered_by, question
from harness.rpc import infer, sum_request
from harness.site import processes_of
from harness.world import World, condition, message, wait_for
from security_fixtures import Made, make_certificate

pytestmark = pytest.mark.integration

KEY = "loan-desk-0123456789abcdef"
SECURED = {
    "replicas": 2,
    "tls": {"secretRef": {"name": "demo-tls"}},
    "authentication": {"type": "ApiKey", "apiKey": {"secretRef": {"name": "demo-callers"}}},
}


def secret(world: World, name: str, files: Mapping[str, bytes], kind: str = "Opaque") -> Manifest:
    metadata = {"name": name, "namespace": world.namespace}
    data = {key: b64encode(value).decode() for key, value in files.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "data": data}


class Caller:
    """One client that checks the certificate, with or without a key."""

    def __init__(self, session: aiohttp.ClientSession, world: World, trust: ssl.SSLContext) -> None:
        self._session, self._world, self._trust = session, world, trust

    def any_pod(self) -> PodProcess:
        ready = [pod for pod in self._world.pods() if pod.ready]
        if not ready:
            raise LookupError("no pod is ready")
        return ready[0]

    async def ask(self, key: str = "", path: str = "/v2/models/demo/infer", scheme: str = "https") -> tuple[int, str]:
        """Status and version, at any ready pod."""
        headers = {"X-Api-Key": key} if key else {}
        url = f"{scheme}://{self.any_pod().address}:8080{path}"
        method, body = ("POST", question().body) if path.endswith("infer") else ("GET", None)
        async with self._session.request(
            method, url, data=body, headers=headers, ssl=self._trust, server_hostname="localhost"
        ) as answer:
            await answer.read()
            return answer.status, answer.headers.get("Podium-Version", "")


@asynccontextmanager
async def caller(world: World, certificate: Made) -> AsyncIterator[Caller]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session:
        yield Caller(session, world, certificate.client())


async def waits_for_secret(world: World, name: str) -> str:
    async def named() -> str | None:
        found = await world.deployment()
        says = message(found, "Ready")
        return says if condition(found, "Ready") == "False" and f"Secret '{name}'" in says else None

    return str(await eventually(f"Secret '{name}' is asked for", named))


async def test_only_known_callers_are_answered_and_only_over_tls(world: World) -> None:
    world.operator()
    certificate = make_certificate()
    await world.versions("sum-1", "sum-2")
    await world.deploy("sum-1", serving=SECURED)
    assert "of type kubernetes.io/tls, with tls.crt and tls.key" in await waits_for_secret(world, "demo-tls")
    await world.api.create(secret(world, "demo-tls", certificate.files, "kubernetes.io/tls"))
    assert "a key of 22 to 512 characters" in await waits_for_secret(world, "demo-callers")
    await world.api.create(secret(world, "demo-callers", {"loan-desk": KEY.encode()}))
    found = await world.ready("sum-1")
    host = f"demo.{world.namespace}.svc"
    assert found["status"]["endpoint"] == {
        "url": f"https://{host}/v2/models/demo/infer",
        "grpc": f"{host}:9000",
        "docs": f"https://{host}/docs",
    }
    async with caller(world, certificate) as client:
        assert await client.ask(KEY) == (200, "sum-1")
        assert (await client.ask())[0] == 401
        assert (await client.ask(KEY + "x"))[0] == 401
        assert (await client.ask(path="/docs"))[0] == 401
        assert (await client.ask(path="/v2/health/ready"))[0] == 200
        with pytest.raises(aiohttp.ClientError):
            await client.ask(KEY, scheme="http")
        rpc = f"{client.any_pod().address}:9000"
        assert await infer(rpc, sum_request(1.0, 2.0), certificate=certificate, key=KEY) == ("sum-1", 3.0)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await infer(rpc, sum_request(1.0, 2.0), certificate=certificate)
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
        answers: Counter[tuple[int, str]] = Counter()
        asking = asyncio.create_task(ask_all_along(client, answers))

        async def answered(version: str) -> bool:
            return asking.done() or (200, version) in answers

        await eventually("an answer before the swap", lambda: answered("sum-1"))
        await world.deploy("sum-2", serving=SECURED)
        await world.ready("sum-2")
        await eventually("an answer after the swap", lambda: answered("sum-2"))
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
        assert set(answers) == {(200, "sum-1"), (200, "sum-2")}, answers


async def ask_all_along(client: Caller, answers: Counter[tuple[int, str]]) -> None:
    while True:
        answers[await client.ask(KEY)] += 1
        await asyncio.sleep(0.02)


async def test_grpc_answers_beside_http_and_follows_a_swap(world: World) -> None:
    world.operator()
    await world.versions("sum-1", "sum-2")
    await world.deploy("sum-1")
    await world.ready("sum-1")
    (pod,) = world.pods()
    assert await infer(f"{pod.address}:9000", sum_request(1.0, 2.0)) == ("sum-1", 3.0)
    await world.deploy("sum-2")
    await world.ready("sum-2")
    assert await infer(f"{pod.address}:9000", sum_request(1.0, 2.0)) == ("sum-2", 6.0)


async def test_a_change_of_settings_rolls_the_pods_and_loses_no_request(world: World) -> None:
    world.operator()
    await world.versions("sum-1")
    await world.deploy("sum-1", serving={"replicas": 2})
    await world.ready("sum-1")
    before = {pod.name for pod in world.pods()}
    async with world.load(rate=30) as load:
        await wait_for(1)
        await world.deploy("sum-1", serving={"replicas": 2, "batching": {"maxBatchRows": 1}, "accessLog": {}})
        await world.ready("sum-1")

        async def only_new_ones() -> bool:
            return not before & {pod.name for pod in world.pods() if pod.ready}

        await eventually("only pods of the new settings are ready", only_new_ones)
        await eventually("a line of the access log", lambda: logged(world))
    assert figures(load.outcomes).failed == 0, figures(load.outcomes).first_errors


async def logged(world: World) -> bool:
    """Whether a ready pod has a line of JSON in its log. Raises what a line of something else means to a reader of JSON."""
    lines = [line for pod in world.pods() if pod.ready for line in pod.log.read_text().splitlines(keepends=True)]
    return bool([json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")])


async def test_all_workers_of_a_pod_swap(world: World) -> None:
    world.operator()
    await world.versions("sum-1", "sum-2")
    await world.deploy("sum-1", serving={"workers": 2})
    await world.ready("sum-1")
    (pod,) = world.pods()
    assert len(processes_of(pod.name)) >= 3, "a supervisor and two workers"
    async with world.load(rate=60, connections=32) as load:
        await answered_by(load, "sum-1")
        await world.deploy("sum-2", serving={"workers": 2})
        await world.ready("sum-2")
        await answered_by(load, "sum-2")
        await wait_for(1)
    seen = figures(load.outcomes)
    assert seen.failed == 0, seen.first_errors
    assert seen.versions.keys() == {"sum-1", "sum-2"}
    assert [found.name for found in world.pods()] == [pod.name]
    flipped = min(outcome.done_at for outcome in load.outcomes if outcome.version == "sum-2")
    late = [outcome for outcome in load.outcomes if outcome.version == "sum-1" and outcome.sent_at > flipped]
    assert late == []
