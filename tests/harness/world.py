"""What an integration test of the operator needs: API server, pods as processes, registry, operators, packages.

The API server, its controllers, the registry and the serving processes are real; `node` says what stands in for a kubelet.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cluster.processes import dying_with
from demo.load import Load
from harness.api import Api, Manifest, Refusal, eventually
from harness.api_proxy import ApiProxy
from harness.network import PodNetwork
from harness.node import Node
from harness.operator_process import OperatorProcess
from harness.pod import PodProcess
from harness.questions import TIMEOUT_MILLISECONDS, question
from ports import free_port
from serving_fixtures import make_package

SCORING_IMAGE = "registry.test/podium/serving@sha256:" + "a" * 64
OPERATOR_IMAGE = "registry.test/podium/operator@sha256:" + "b" * 64
SHORT_LEASE_SECONDS = 15.0
"""For an operator that is killed or frozen: so long the next one waits."""
CRDS = sorted((Path(__file__).parents[2] / "crds").glob("podium.dev_*.yaml"))


@dataclass(frozen=True)
class Package:
    name: str
    uri: str
    digest: str
    weights: tuple[float, ...]

    def answer(self, *values: float) -> float:
        return sum(weight * value for weight, value in zip(self.weights, values, strict=True))

    def manifest(self, namespace: str, name: str = "", digest: str = "") -> Manifest:
        return {
            "apiVersion": "podium.dev/v1alpha1",
            "kind": "ModelVersion",
            "metadata": {"name": name or self.name, "namespace": namespace},
            "spec": {"artifact": {"uri": self.uri, "digest": digest or self.digest}},
        }


class Registry:
    """Debian's docker-registry on the pods' bridge."""

    def __init__(self, address: str, folder: Path) -> None:
        self._folder = folder
        self.host = f"{address}:{free_port()}"  # none of the kernel's own: it is stopped, and started again
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        config = self._folder / "config.yml"
        config.write_text(
            f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {self._folder}/data}}, delete: {{enabled: true}}}}\n"
            f"http: {{addr: '{self.host}'}}\n"
        )
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["docker-registry", "serve", str(config)], stdout=log, stderr=log, preexec_fn=dying_with(os.getpid())
            )
        end = time.monotonic() + 120
        address, port = self.host.split(":")
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex((address, int(port))) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError(f"docker-registry did not listen on {self.host}: {(self._folder / 'log').read_text()[-500:]}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(60)
            self._process = None

    def push(self, folder: Path, repository: str, tag: str) -> str:
        uri = f"oci://{self.host}/{repository}:{tag}"
        subprocess.run(
            [sys.executable, "-m", "podium_cli.main", "push", str(folder), uri, "--insecure"],
            check=True,
            capture_output=True,
        )
        return uri


def make_packages(registry: Registry, folder: Path) -> dict[str, Package]:
    """sum-1, sum-2, sum-3 answer differently; `bad-golden` claims answers it does not give; `wide` takes other inputs."""
    packages = {}
    for name, weights, offset in [
        ("sum-1", (1.0, 1.0), 0.0),
        ("sum-2", (2.0, 2.0), 0.0),
        ("sum-3", (3.0, 3.0), 0.0),
        ("bad-golden", (5.0, 5.0), 1.0),
        ("wide", (1.0, 1.0, 1.0), 0.0),
    ]:
        place = folder / name
        digest = make_package(place, name="sum", version=name, weights=weights, golden_offset=offset)
        packages[name] = Package(name, registry.push(place, f"models/{name}", "1"), digest, weights)
    return packages


@dataclass
class World:
    api: Api
    network: PodNetwork
    node: Node
    registry: Registry
    packages: dict[str, Package]
    kubeconfig: Path
    folder: Path
    namespace: str
    proxy: ApiProxy
    operators: list[OperatorProcess] = field(default_factory=list)

    def operator(
        self, name: str = "operator-a", *, lease_seconds: float = 60.0, scoring_image: str = SCORING_IMAGE, **variables: str
    ) -> OperatorProcess:
        """Who renews late ends: short leases are for tests that wait for one to lapse."""
        kubeconfig = self.proxy.kubeconfig(self.folder / f"{name}.kubeconfig")
        lease = {
            "PODIUM_LEASE_SECONDS": f"{lease_seconds:g}",
            "PODIUM_LEASE_RENEW_SECONDS": f"{lease_seconds * 0.75:g}",
            "PODIUM_LEASE_RETRY_SECONDS": "0.5",
        }
        environment = self.environment() | lease | {"PODIUM_SCORING_IMAGE": scoring_image} | variables
        made = OperatorProcess(name, kubeconfig, self.folder, environment)
        made.start()
        self.operators.append(made)
        return made

    def environment(self) -> dict[str, str]:
        return {
            "PODIUM_NAMESPACE": self.namespace,
            "PODIUM_WATCH_NAMESPACES": self.namespace,
            "PODIUM_SCORING_IMAGE": SCORING_IMAGE,
            "PODIUM_OPERATOR_IMAGE": OPERATOR_IMAGE,
            "PODIUM_INSECURE_REGISTRIES": self.registry.host,
            "PODIUM_HEALTH_PORT": str(free_port()),
            "PODIUM_HEALTH_BIND": "127.0.0.1",
        }

    async def versions(self, *names: str) -> None:
        for name in names:
            await self.api.apply(self.packages[name].manifest(self.namespace))

    async def deploy(self, champion: str, name: str = "demo", **spec: Any) -> Manifest:
        """Applies a ModelDeployment as a user would who knows how slow this machine is; other absent fields are absent."""
        spec["serving"] = {"timeoutMilliseconds": TIMEOUT_MILLISECONDS} | spec.get("serving", {})
        return await self.api.apply(
            {
                "apiVersion": "podium.dev/v1alpha1",
                "kind": "ModelDeployment",
                "metadata": {"name": name, "namespace": self.namespace},
                "spec": {"champion": {"modelVersionRef": {"name": champion}}, **spec},
            }
        )

    async def deployment(self, name: str = "demo") -> Manifest:
        found = await self.api.get("ModelDeployment", name, self.namespace)
        assert found is not None
        return found

    async def ready(self, champion: str, name: str = "demo", seconds: float = 240.0) -> Manifest:
        """Waits until the deployment says that `champion` serves and is Ready for its newest generation."""

        async def look() -> Manifest | None:
            found = await self.deployment(name)
            status = found.get("status", {})
            settled = (
                condition(found, "Ready") == "True"
                and status.get("observedGeneration") == found["metadata"]["generation"]
                and status.get("champion", {}).get("modelVersion") == champion
            )
            return found if settled else None

        try:
            return await eventually(f"{name} ready with {champion}", look, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{await self.report(name)}") from None

    async def refused(self, reason: str, name: str = "demo", seconds: float = 240.0) -> Manifest:
        async def look() -> Manifest | None:
            found = await self.deployment(name)
            return found if found.get("status", {}).get("reason") == reason else None

        try:
            return await eventually(f"{name} refused with {reason}", look, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{await self.report(name)}") from None

    async def report(self, name: str = "demo") -> str:
        """What a person would look at when a test fails."""
        found = await self.api.get("ModelDeployment", name, self.namespace)
        pods = [(pod.name, pod.ready, pod.restarts) for pod in self.node.pods.values()]
        logs = "\n".join(f"--- {operator.name}\n{operator.tail()}" for operator in self.operators)
        pod_logs = "\n".join(
            f"--- {pod.name}\n{pod.log.read_text(errors='replace')[-1500:]}"
            for pod in self.node.pods.values()
            if pod.log.exists()
        )
        return f"{json.dumps((found or {}).get('status'), indent=1)}\npods: {pods}\n{logs}\n{pod_logs}"

    def pods(self, role: str = "champion", name: str = "demo") -> list[PodProcess]:
        wanted = {"podium.dev/deployment": name, "podium.dev/role": role}
        return [
            pod
            for pod in self.node.pods.values()
            if pod.namespace == self.namespace and wanted.items() <= pod.manifest["metadata"].get("labels", {}).items()
        ]

    def any_pod_url(self, name: str = "demo") -> str:
        """The inference URL of the next ready pod that the public Service leads to."""
        selector = self.node.selectors.get((self.namespace, name), {}).items()
        ready = [pod for pod in self.pods(name=name) if pod.ready and selector <= pod.manifest["metadata"]["labels"].items()]
        if not ready:
            raise LookupError(f"{name} has no ready pod")
        self._turn = getattr(self, "_turn", 0) + 1
        return f"http://{ready[self._turn % len(ready)].address}:8080/v2/models/{name}/infer"

    def load(self, rate: float, connections: int = 16) -> Load:
        """A steady load on `demo`. Late answers are none that fail: how late they come is for benchmarks."""
        return Load(self.any_pod_url, [question()], rate=rate, connections=connections, timeout_seconds=120)

    async def record(self, name: str = "demo") -> Manifest | None:
        found = await self.api.list("ConfigMap", self.namespace, f"podium.dev/deployment={name}")
        return next((item for item in found if f"{name}-record-" in item["metadata"]["name"]), None)

    async def close(self) -> None:
        for operator in self.operators:
            operator.stop()
        self.node.alive()
        for name in [item["metadata"]["name"] for item in await self.api.list("ModelDeployment", self.namespace)]:
            await self.api.delete("ModelDeployment", name, self.namespace)
        await self.api.delete("Namespace", self.namespace)

        async def no_pods() -> bool:
            return not [pod for pod in self.node.pods.values() if pod.namespace == self.namespace]

        for pod in [pod for pod in self.node.pods.values() if pod.namespace == self.namespace]:
            pod.thaw()
            with_grace = await self.api.get("Pod", pod.name, self.namespace)
            if with_grace is not None:
                await self.api.delete("Pod", pod.name, self.namespace, grace_seconds=0)
        await eventually("all pods of the test gone", no_pods)
        await self.proxy.stop()
        await self.api.__aexit__(None, None, None)


def condition(manifest: Manifest, kind: str) -> str:
    for found in manifest.get("status", {}).get("conditions") or []:
        if found["type"] == kind:
            return str(found["status"])
    return "Absent"


def message(manifest: Manifest, kind: str) -> str:
    for found in manifest.get("status", {}).get("conditions") or []:
        if found["type"] == kind:
            return str(found["message"])
    return ""


async def install_crds(api: Api) -> None:
    import yaml

    for path in CRDS:
        manifest = yaml.safe_load(path.read_text())
        try:
            await api.create(manifest)
        except Refusal as refusal:
            if refusal.code != 409:
                raise
        name = manifest["metadata"]["name"]

        async def established(name: str = name) -> bool:
            found = await api.get("CustomResourceDefinition", name)
            return found is not None and condition(found, "Established") == "True"

        await eventually(f"{name} established", established)


async def wait_for(seconds: float) -> None:
    """Lets `seconds` pass where a test asserts that nothing happens in that time."""
    await asyncio.sleep(seconds)
