"""For tests of fetching and hot swap: plans, a registry that fails on request, and whole pods on loopback addresses."""

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from podium_crds.package import CONFIG_FILE, MANIFEST_FILE, MANIFEST_MEDIA_TYPE, manifest_files, sha256_digest
from podium_crds.plan import (
    Abort,
    Commit,
    ControlStatus,
    DeploymentKey,
    Message,
    Plan,
    PlannedChampion,
    PlannedRoute,
    PlannedVersion,
    Prepare,
    SigningKey,
)
from podium_serving.control.running import HotSwap
from podium_serving.metrics import Metrics
from podium_serving.settings import Secrets, Settings
from podium_serving.state import ServingState
from podium_serving.swap.surroundings import Limits
from podium_serving.traffic.factory import ResponderFactory
from ports import free_port
from serving_fixtures import make_package, weighted_sum_descriptor, write_package

UID = "0b8f6a1e-uid"
KEY = SigningKey.generate()
DEPLOYMENT = DeploymentKey(namespace="retention", name="churn", uid=UID)
TOKEN = "peers-token"


def plan(
    epoch: int,
    *,
    digest: str = "sha256:" + "1" * 64,
    uri: str = "oci://registry/churn",
    term: int = 1,
    pool: str = "a",
    **more: Any,
) -> Plan:
    """A plan whose version is named after its digest."""
    version = PlannedVersion(name=f"churn-{digest[7:11]}", uri=uri, digest=digest, image="scoring@sha256:0")
    champion = PlannedChampion(version=version, pool=pool, host="churn-forward.retention.svc")
    return Plan(deployment=DEPLOYMENT, term=term, epoch=epoch, champion=champion, **more)


def shadow(name: str = "neural-net") -> PlannedRoute:
    version = PlannedVersion(
        name="churn-9", uri="oci://registry/churn", digest="sha256:" + "9" * 64, image="scoring@sha256:0"
    )
    return PlannedRoute(
        name=name, version=version, mode="Shadow", percent=0, timeout_milliseconds=100, host="challenger.svc"
    )


def prepare(of: Plan, **more: Any) -> Prepare:
    return Prepare(plan=of, expires_at=time.time() + 60, **more)


def abort(of: Plan, term: int | None = None) -> Abort:
    term = of.term if term is None else term
    return Abort(deployment=DEPLOYMENT, term=term, epoch=of.epoch, plan_digest=of.digest, expires_at=time.time() + 60)


@dataclass
class FakeRegistry:
    """Serves packages by digest as a registry would. Faults are switched on by its attributes."""

    manifests: dict[str, bytes] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    authentication: str = ""
    """"", basic or bearer."""
    username: str = "puller"
    password: str = "secret-word"
    failures: int = 0
    """So many requests are answered with 503, counted down."""
    truncate: bool = False
    gate: asyncio.Event | None = None
    """Blobs wait for it."""
    requests: list[str] = field(default_factory=list)
    address: str = ""

    @property
    def uri(self) -> str:
        return f"oci://{self.address}/team/churn"

    def add(self, folder: Path) -> str:
        manifest = (folder / MANIFEST_FILE).read_bytes()
        names = [entry.name for entry in manifest_files(manifest)] + [CONFIG_FILE]
        for name in names:
            content = (folder / name).read_bytes()
            self.blobs[sha256_digest(content)] = content
        digest = sha256_digest(manifest)
        self.manifests[digest] = manifest
        return digest

    def add_made(self, folder: Path, **more: Any) -> str:
        make_package(folder, **more)
        return self.add(folder)

    def add_edited(self, folder: Path, name: str, content: bytes) -> str:
        """The package with one file's content changed, under a manifest that says so."""
        manifest = (folder / MANIFEST_FILE).read_bytes()
        contents = {entry.name: (folder / entry.name).read_bytes() for entry in manifest_files(manifest)}
        write_package(folder, weighted_sum_descriptor(), contents | {name: content})
        return self.add(folder)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["FakeRegistry"]:
        application = web.Application()
        application.add_routes(
            [
                web.get("/token", self._token),
                web.get("/v2/team/churn/manifests/{reference}", self._manifest),
                web.get("/v2/team/churn/blobs/{digest}", self._blob),
            ]
        )
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.address = "{}:{}".format(*runner.addresses[0][:2])
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _token(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != self._basic():
            return web.Response(status=401)
        assert request.query["scope"] == "repository:team/churn:pull"
        return web.json_response({"token": "short-lived"})

    async def _manifest(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        reference = request.match_info["reference"]
        content = self.manifests.get(self.tags.get(reference, reference))
        if content is None:
            return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, status=404)
        headers = {"Docker-Content-Digest": sha256_digest(content), "Content-Type": MANIFEST_MEDIA_TYPE}
        return web.Response(body=content, headers=headers)

    async def _blob(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        if self.gate is not None:
            await self.gate.wait()
        content = self.blobs.get(request.match_info["digest"])
        if content is None:
            return web.Response(status=404)
        if self.truncate:
            response = web.StreamResponse(headers={"Content-Length": str(len(content))})
            await response.prepare(request)
            await response.write(content[: len(content) // 2])
            assert request.transport is not None
            request.transport.abort()
            return response
        return web.Response(body=content)

    def _basic(self) -> str:
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def _refusal(self, request: web.Request) -> web.Response | None:
        self.requests.append(f"{request.method} {request.path}")
        if self.failures > 0:
            self.failures -= 1
            return web.Response(status=503)
        wanted = {"": None, "basic": self._basic(), "bearer": "Bearer short-lived"}[self.authentication]
        if wanted is None or request.headers.get("Authorization") == wanted:
            return None
        realm = f'realm="http://{self.address}/token",service="registry"'
        return web.Response(status=401, headers={"WWW-Authenticate": f"{self.authentication.title()} {realm}"})


@dataclass
class Pod:
    """The swapping half of a scoring pod, listening on its own loopback address."""

    address: str
    state: ServingState
    hot_swap: HotSwap
    session: aiohttp.ClientSession
    port: int

    async def send(self, message: Message, key: SigningKey = KEY) -> tuple[int, dict[str, Any]]:
        body = key.sign(message).model_dump_json()
        async with self.session.post(self.url("/control/v1/messages"), data=body) as response:
            return response.status, await response.json()

    async def status_after(self, message: Message) -> ControlStatus:
        status, body = await self.send(message)
        assert status == 200, body
        return ControlStatus.model_validate(body)

    async def preparation_of(self, to: Plan) -> ControlStatus:
        """The status once it has an outcome. A Prepare is answered after 5 s even if it has none, and is sent again."""
        while (status := await self.status_after(prepare(to))).preparing is not None:
            pass
        return status

    def url(self, path: str) -> str:
        return f"http://{self.address}:{self.port}{path}"

    @property
    def epoch(self) -> int:
        """What it answers with, 0 when it does not."""
        return self.state.current.plan.epoch if self.state.current is not None and self.state.ready else 0


@dataclass
class Pods:
    """Starts pods that know each other, on 127.0.<n>.<1...>, all with one port as in a cluster."""

    folder: Path
    insecure: tuple[str, ...]
    session: aiohttp.ClientSession
    port: int
    running: dict[str, Pod] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    """Addresses that the peers' name does not resolve to."""

    async def start(self, address: str, *, limits: Limits | None = None, pool: str = "a", **more: Any) -> Pod:
        settings = Settings(
            namespace="retention",
            deployment="churn",
            deployment_uid=UID,
            pool=pool,
            pod_uid=f"pod-{address}",
            pod_ip=address,
            public_keys=(KEY.public,),
            peers_host="churn-peers",
            record_dir=self.folder / "record",
            cache_dir=self.folder / address,
            insecure_registries=self.insecure,
            control_port=self.port,
            bind=address,
            secrets=Secrets(salt=b"salt", token=TOKEN, capture_token="capture"),
            **more,
        )
        state, metrics = ServingState(), Metrics("retention", "churn", process=False)
        factory = ResponderFactory(settings, metrics)
        hot_swap = await HotSwap.start(settings, state, metrics, factory, limits=limits, resolve=self._resolve)
        pod = self.running[address] = Pod(address, state, hot_swap, self.session, self.port)
        return pod

    async def stop(self, pod: Pod) -> None:
        del self.running[pod.address]
        await pod.hot_swap.close()

    async def all(self, message: Message) -> list[ControlStatus]:
        return list(await asyncio.gather(*(pod.status_after(message) for pod in self.running.values())))

    async def swap_to(self, to: Plan) -> list[ControlStatus]:
        for status in await asyncio.gather(*(pod.preparation_of(to) for pod in self.running.values())):
            assert status.prepared is not None, status
            assert status.prepared.epoch == to.epoch
        return await self.all(Commit(plan=to))

    def record(self, committed: Plan) -> None:
        (self.folder / "record").mkdir(exist_ok=True)
        (self.folder / "record" / "commit.json").write_text(KEY.sign(Commit(plan=committed)).model_dump_json())

    async def _resolve(self, host: str, port: int) -> list[str]:
        assert host == "churn-peers"
        return [address for address in self.running if address not in self.hidden]


@contextlib.asynccontextmanager
async def pods(folder: Path, registry: FakeRegistry) -> AsyncIterator[Pods]:
    async with aiohttp.ClientSession() as session:
        group = Pods(folder, (registry.address,), session, free_port())
        try:
            yield group
        finally:
            for pod in list(group.running.values()):
                await group.stop(pod)


async def eventually(true: Callable[[], bool | Awaitable[bool]], seconds: float = 60.0) -> None:
    """Returns when `true()` is; fails after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        result = true()
        if result if isinstance(result, bool) else await result:
            return
        assert time.monotonic() < end, "it did not become true in time"
        await asyncio.sleep(0.02)
