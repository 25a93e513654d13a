"""The real cluster as an end-to-end test sees it: manifests applied, load through a NodePort, faults by hand."""

import itertools
import os
import re
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cluster.layout import paths
from demo.kubectl import Kubectl, Manifest
from demo.load import BackgroundLoad, Load, Question
from demo.where import Where
from harness.questions import TIMEOUT_MILLISECONDS, question

T = TypeVar("T")
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 2
_ports = itertools.count(31_000 + _worker * 800 + os.getpid() % 40 * 20)
"""NodePorts. Twenty for each process: two workers always differ, and from a run before, whose namespaces may still be going,
nearly always."""


@dataclass(frozen=True)
class Model:
    """A pushed package of a two-input sum: answers w0 * x0 + w1 * x1."""

    name: str
    uri: str
    digest: str
    built: bool = False

    def manifest(self, namespace: str) -> Manifest:
        spec: Manifest = {"artifact": {"uri": self.uri, "digest": self.digest}}
        if self.built:
            spec["image"] = {"type": "Built"}
        return {
            "apiVersion": "podium.dev/v1alpha1",
            "kind": "ModelVersion",
            "metadata": {"name": self.name, "namespace": namespace},
            "spec": spec,
        }


def push(where: Where, folder: Path, name: str, digest: str, *, built: bool = False) -> Model:
    uri = f"oci://{where.registry}/tests/{name}:{digest[7:19]}"
    where.run(sys.executable, "-m", "podium_cli.main", "push", str(folder), uri, "--insecure")
    return Model(name, uri, digest, built)


@dataclass
class Site:
    """One namespace with one deployment called `demo` and a NodePort to its champion pods."""

    where: Where
    namespace: str = field(default_factory=lambda: f"e2e-{secrets.token_hex(3)}")
    port: int = field(default_factory=lambda: next(_ports))

    def __post_init__(self) -> None:
        self.kubectl = Kubectl(self.where, self.namespace)

    def up(self) -> None:
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        selector = {"podium.dev/deployment": "demo", "podium.dev/role": "champion"}
        self.kubectl.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels}},
        )
        self.kubectl.apply(
            {
                "apiVersion": "v1",
                "kind": "Service",
                "metadata": {"name": "outside", "namespace": self.namespace},
                "spec": {
                    "type": "NodePort",
                    "selector": selector,
                    "ports": [{"port": 80, "targetPort": 8080, "nodePort": self.port}],
                },
            }
        )

    def down(self) -> None:
        self.kubectl("delete", "mdep", "--all", "--timeout=60s", check=False)
        self.kubectl("delete", "namespace", self.namespace, "--wait=false", check=False)

    def versions(self, *models: Model) -> None:
        self.kubectl.apply(*(model.manifest(self.namespace) for model in models))
        for model in models:
            self.kubectl.wait_ready("mv", model.name, 300)

    def deploy(self, champion: Model, *, replicas: int = 2, memory: str = "512Mi", **spec: object) -> None:
        """Applies the whole manifest anew, as a user does."""
        resources = {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": memory}}
        template = {"resources": resources} | spec.pop("template", {})  # type: ignore[operator]  # a mapping by convention
        self.kubectl.apply(
            {
                "apiVersion": "podium.dev/v1alpha1",
                "kind": "ModelDeployment",
                "metadata": {"name": "demo", "namespace": self.namespace},
                "spec": {
                    "champion": {"modelVersionRef": {"name": champion.name}},
                    "serving": {"replicas": replicas, "timeoutMilliseconds": TIMEOUT_MILLISECONDS, "template": template},
                    **spec,
                },
            }
        )

    def serving(self, champion: Model, seconds: float = 180) -> Manifest:
        status: Manifest = self.kubectl.wait_serving("demo", champion.name, seconds)["status"]
        return status

    def wait(self, what: str, look: Callable[[], T | None], seconds: float = 120) -> T:
        return self.kubectl.wait(what, look, seconds)

    def load(self, rate: float = 40, questions: list[Question] | None = None, key_header: str = "") -> BackgroundLoad:
        url = f"http://127.0.0.1:{self.port}/v2/models/demo/infer"
        return BackgroundLoad(Load(url, questions or [question()], rate=rate, key_header=key_header, timeout_seconds=60))

    # --- faults -------------------------------------------------------------------------------------------------

    def pods(self, role: str = "champion") -> list[Manifest]:
        return self.kubectl.list("pods", f"podium.dev/deployment=demo,podium.dev/role={role}")

    def ready_pods(self, role: str = "champion") -> list[Manifest]:
        return [pod for pod in self.pods(role) if is_ready(pod) and not pod["metadata"].get("deletionTimestamp")]

    def record(self) -> dict[str, str]:
        """The data of the champion's record ConfigMap."""
        for found in self.kubectl.list("configmap", "podium.dev/deployment=demo"):
            if re.match(r"demo-record-[a-z2-7]{6}$", found["metadata"]["name"]):
                return dict(found.get("data") or {})
        return {}


def is_ready(pod: Manifest) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod.get("status", {}).get("conditions", []))


def processes_of(pod: str) -> list[int]:
    """Pids of the scoring processes of a pod of the local cluster, children included; by their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            environment = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"PODIUM_POD_NAME=" + pod.encode() in environment:
            found.append(int(path.parent.name))
    return sorted(found)


def send_signal(pod: str, number: signal.Signals) -> None:
    for pid in processes_of(pod):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def cut_network(pod: str) -> None:
    """The pod lives on and answers nobody: its interface goes down."""
    pid = processes_of(pod)[0]
    subprocess.run(["nsenter", "-t", str(pid), "-n", "ip", "link", "set", "eth0", "down"], check=True)


def registry_pid() -> int:
    """The local cluster's docker-registry: other tests start some too."""
    state = bytes(paths(os.environ).state)
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"docker-registry") and any(word.startswith(state) for word in words[1:]):
            return int(path.parent.name)
    raise RuntimeError("the local cluster's docker-registry does not run")


def let_pass(seconds: float) -> None:
    """For observing a load over some time; nothing is waited for."""
    time.sleep(seconds)
