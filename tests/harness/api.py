"""A few REST calls to the API server, as the tests' own user: what a test sees must not pass through the code under test."""

import asyncio
import base64
import json
import ssl
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import yaml

Manifest = dict[str, Any]
T = TypeVar("T")

PATHS = {
    "Namespace": "api/v1/namespaces",
    "Node": "api/v1/nodes",
    "Pod": "api/v1/{ns}/pods",
    "Service": "api/v1/{ns}/services",
    "ConfigMap": "api/v1/{ns}/configmaps",
    "Secret": "api/v1/{ns}/secrets",
    "Event": "apis/events.k8s.io/v1/{ns}/events",
    "EndpointSlice": "apis/discovery.k8s.io/v1/{ns}/endpointslices",
    "Deployment": "apis/apps/v1/{ns}/deployments",
    "Job": "apis/batch/v1/{ns}/jobs",
    "Lease": "apis/coordination.k8s.io/v1/{ns}/leases",
    "CustomResourceDefinition": "apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "PodDisruptionBudget": "apis/policy/v1/{ns}/poddisruptionbudgets",
    "NetworkPolicy": "apis/networking.k8s.io/v1/{ns}/networkpolicies",
    "HorizontalPodAutoscaler": "apis/autoscaling/v2/{ns}/horizontalpodautoscalers",
    "ModelVersion": "apis/podium.dev/v1alpha1/{ns}/modelversions",
    "ModelDeployment": "apis/podium.dev/v1alpha1/{ns}/modeldeployments",
}


@dataclass(frozen=True)
class Refusal(Exception):
    """The API server said no. `message` is what a user reads."""

    code: int
    reason: str
    message: str


@dataclass(frozen=True)
class Target:
    server: str
    tls: ssl.SSLContext | None


def target_of(kubeconfig: Path) -> Target:
    """Server and client certificate of the kubeconfig's only cluster and user."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    if not cluster["server"].startswith("https"):
        return Target(cluster["server"], None)
    with tempfile.TemporaryDirectory() as folder:
        ca = _file(cluster, "certificate-authority", Path(folder) / "ca")
        cert, key = (_file(user, name, Path(folder) / name) for name in ("client-certificate", "client-key"))
        context = ssl.create_default_context(cafile=str(ca))
        context.load_cert_chain(cert, key)
    return Target(cluster["server"], context)


def _file(section: dict[str, str], name: str, path: Path) -> Path:
    if name in section:
        return Path(section[name])
    path.write_bytes(base64.b64decode(section[f"{name}-data"]))
    return path


class Api:
    def __init__(self, kubeconfig: Path) -> None:
        self._target = target_of(kubeconfig)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        assert self._session is not None
        await self._session.close()

    async def call(self, method: str, path: str, body: Any = None, content_type: str = "application/json") -> Manifest:
        assert self._session is not None
        url = f"{self._target.server}/{path}"
        sent = None if body is None else json.dumps(body)
        tls: ssl.SSLContext | bool = self._target.tls if self._target.tls is not None else True
        async with self._session.request(
            method, url, data=sent, headers={"Content-Type": content_type}, ssl=tls
        ) as response:
            answer: Manifest = await response.json(content_type=None)
            if response.status >= 400:
                raise Refusal(response.status, answer.get("reason", ""), answer.get("message", ""))
            return answer

    async def get(self, kind: str, name: str, namespace: str = "") -> Manifest | None:
        try:
            return await self.call("GET", f"{_path(kind, namespace)}/{name}")
        except Refusal as refusal:
            if refusal.code == 404:
                return None
            raise

    async def list(self, kind: str, namespace: str = "", selector: str = "") -> list[Manifest]:
        query = f"?labelSelector={selector}" if selector else ""
        return (await self.call("GET", _path(kind, namespace) + query))["items"] or []

    async def create(self, manifest: Manifest) -> Manifest:
        kind, namespace = manifest["kind"], manifest["metadata"].get("namespace", "")
        return await self.call("POST", f"{_path(kind, namespace)}?fieldValidation=Strict", manifest)

    async def apply(self, manifest: Manifest, manager: str = "a-user") -> Manifest:
        """As `kubectl apply --server-side` does."""
        kind, metadata = manifest["kind"], manifest["metadata"]
        path = f"{_path(kind, metadata.get('namespace', ''))}/{metadata['name']}"
        query = f"?fieldManager={manager}&force=true&fieldValidation=Strict"
        return await self.call("PATCH", path + query, manifest, "application/apply-patch+yaml")

    async def patch(self, kind: str, name: str, change: Any, namespace: str = "", subresource: str = "") -> Manifest:
        path = f"{_path(kind, namespace)}/{name}" + (f"/{subresource}" if subresource else "")
        return await self.call("PATCH", path, change, "application/merge-patch+json")

    async def delete(self, kind: str, name: str, namespace: str = "", grace_seconds: int | None = None) -> None:
        body = {"propagationPolicy": "Background"} | ({} if grace_seconds is None else {"gracePeriodSeconds": grace_seconds})
        try:
            await self.call("DELETE", f"{_path(kind, namespace)}/{name}", body)
        except Refusal as refusal:
            if refusal.code != 404:
                raise


def _path(kind: str, namespace: str) -> str:
    template = PATHS[kind]
    if not namespace:
        return template.replace("{ns}/", "")
    return template.replace("{ns}", f"namespaces/{namespace}")


async def eventually(what: str, look: Callable[[], Awaitable[T | None]], seconds: float = 180.0, every: float = 0.1) -> T:
    """The first answer of `look` that is neither None nor False. Fails naming `what` after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        found = await look()
        if found is not None and found is not False:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        await asyncio.sleep(every)
