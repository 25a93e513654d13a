"""Real scoring pods on loopback addresses: signed plans, a record that they start from, hot swaps by prepare and commit.

What the operator and the kubelet do is done here: mount a secret and a record, seed the package cache (the benchmark is
not of registries), send signed messages to the control port.
"""

import os
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bench.serving.messages import MODEL
from bench.serving.models import Version
from bench.serving.processes import Started, answers_http, free_ports, started, wait_until
from podium_crds.names import RECORD_KEY
from podium_crds.package import CONFIG_FILE, MANIFEST_FILE, manifest_files, sha256_digest
from podium_crds.plan import (
    Commit,
    ControlStatus,
    DeploymentKey,
    Message,
    Plan,
    PlannedCapture,
    PlannedChampion,
    PlannedRoute,
    PlannedVersion,
    Prepare,
    SigningKey,
)
from podium_crds.slots import allocate
from podium_serving.fetch.cache import Cache
from shipped import shipped

DEPLOYMENT = DeploymentKey(namespace="bench", name=MODEL, uid="bench-uid")
EVERYTHING = PlannedCapture(percent=100)
CHAMPION_HOST = "127.0.0.1"
CHALLENGER_HOST = "127.0.0.2"
TROUBLE_HOST = "127.0.0.3"
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class Ports:
    """Plans name hosts only, so all pods listen on the same ports of different addresses, as in a cluster."""

    http: int
    control: int
    forward: int
    grpc: int


@dataclass(frozen=True)
class Site:
    """What the pods of one run share."""

    folder: Path
    key: SigningKey = field(default_factory=SigningKey.generate)
    ports: Ports = field(default_factory=lambda: Ports(*free_ports(4)))

    def secret(self) -> Path:
        folder = self.folder / "secret"
        if not folder.exists():
            folder.mkdir(parents=True)
            for name in ("salt", "token", "capture-token"):
                (folder / name).write_bytes(os.urandom(16).hex().encode())
        return folder


def route(version: Version, host: str, mode: Literal["Shadow", "Canary"], percent: int, milliseconds: int) -> PlannedRoute:
    name = f"{mode.lower()}-{version.name}"
    slots = allocate({}, {name: percent})[name] if mode == "Canary" else []
    canary = percent if mode == "Canary" else 0
    return PlannedRoute(
        name=name,
        version=_planned(version),
        mode=mode,
        percent=canary,
        timeout_milliseconds=milliseconds,
        host=host,
        slots=slots,
    )


def plan(epoch: int, version: Version, routes: Sequence[PlannedRoute] = (), capture_url: str = "", **more: Any) -> Plan:
    """The champion's plan, capturing what `captured` says if there is a sink. Challengers have theirs by `role`, `pool`."""
    champion = PlannedChampion(version=_planned(version), pool=more.pop("pool", "champion"), host=CHAMPION_HOST)
    captured = more.pop("captured", EVERYTHING)
    capture = captured.model_copy(update={"url": capture_url}) if capture_url else PlannedCapture()
    return Plan(deployment=DEPLOYMENT, term=1, epoch=epoch, champion=champion, routes=list(routes), capture=capture, **more)


def challenger_plan(epoch: int, version: Version) -> Plan:
    return plan(epoch, version, role="challenger", pool="challenger")


def _planned(version: Version) -> PlannedVersion:
    return PlannedVersion(name=version.name, uri="oci://registry.invalid/bench", digest=version.digest, image="none")


@dataclass
class Pod:
    """A serving process in pod mode."""

    site: Site
    started: Started
    host: str
    folder: Path
    capture_url: str = ""
    ready_seconds: float = 0.0
    """From the start of the process to the first 200 of /v2/health/ready."""

    @property
    def address(self) -> str:
        return f"{self.host}:{self.site.ports.http}"

    @property
    def grpc_address(self) -> str:
        return f"{self.host}:{self.site.ports.grpc}"

    def hold(self, version: Version) -> None:
        """Puts the package into the pod's cache. What no plan needs is pruned after each commit, so say it each time."""
        seed(self.folder / "cache", version)

    def send(self, message: Message) -> ControlStatus:
        """Raises HTTPError when the pod refuses."""
        body = self.site.key.sign(message).model_dump_json().encode()
        url = f"http://{self.host}:{self.site.ports.control}/control/v1/messages"
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=_TIMEOUT_SECONDS) as response:
            return ControlStatus.model_validate_json(response.read())

    def prepare(self, to: Plan) -> None:
        """Sends Prepare until the pod holds the plan. Raises RuntimeError saying why it does not."""
        end = time.monotonic() + _TIMEOUT_SECONDS
        while True:
            status = self.send(Prepare(plan=to, expires_at=time.time() + 60))
            if status.prepared is not None and status.prepared.epoch == to.epoch:
                return
            if status.failure is not None or time.monotonic() > end:
                raise RuntimeError(f"the pod does not prepare epoch {to.epoch}: {status.failure}")
            time.sleep(0.02)

    def commit(self, to: Plan) -> ControlStatus:
        return self.send(Commit(plan=to))

    def swap(self, to: Plan) -> ControlStatus:
        self.prepare(to)
        return self.commit(to)

    def metrics(self) -> dict[str, float]:
        """Samples of the control port by name and labels, e.g. `podium_shadow_requests_total{challenger="a",...}`."""
        with urllib.request.urlopen(f"http://{self.host}:{self.site.ports.control}/metrics", timeout=10) as response:
            lines = response.read().decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line and line[0] != "#"}

    def total(self, name: str, label: str = "") -> float:
        """The sum of a metric's samples whose labels hold the text `label`."""
        return sum(value for sample, value in self.metrics().items() if sample.split("{")[0] == name and label in sample)


@contextmanager
def pod(
    site: Site,
    core: int,
    first: Plan,
    version: Version,
    host: str = CHAMPION_HOST,
    **environment: str,
) -> Iterator[Pod]:
    """A pod that serves `first` from its record, on one core, until the block ends."""
    name = f"pod-{host.rpartition('.')[2]}-{time.monotonic_ns()}"
    folder = site.folder / name
    record = folder / "record"
    record.mkdir(parents=True)
    (record / RECORD_KEY).write_text(site.key.sign(Commit(plan=first)).model_dump_json())
    seed(folder / "cache", version)
    variables = _environment(site, first, host, folder) | shipped() | environment
    begun = time.monotonic()
    with started(name, [sys.executable, "-m", "podium_serving", "serve"], core, folder, variables) as process:
        one = Pod(site, process, host, folder, first.capture.url)
        wait_until(lambda: answers_http(host, site.ports.http, "/v2/health/ready"), process, "it does not become ready")
        one.ready_seconds = time.monotonic() - begun
        if not one.total("podium_build_info", 'compiled="true"'):
            raise RuntimeError("the pod runs from its sources: what would be measured is not what ships")
        yield one


def _environment(site: Site, first: Plan, host: str, folder: Path) -> dict[str, str]:
    return {
        "PODIUM_NAMESPACE": DEPLOYMENT.namespace,
        "PODIUM_DEPLOYMENT": DEPLOYMENT.name,
        "PODIUM_DEPLOYMENT_UID": DEPLOYMENT.uid,
        "PODIUM_ROLE": first.role,
        "PODIUM_POOL": first.champion.pool,
        "PODIUM_POD_UID": folder.name,
        "PODIUM_POD_IP": host,
        "PODIUM_PUBLIC_KEYS": site.key.public,
        "PODIUM_RECORD_DIR": str(folder / "record"),
        "PODIUM_SECRET_DIR": str(site.secret()),
        "PODIUM_CACHE_DIR": str(folder / "cache"),
        "PODIUM_HTTP_PORT": str(site.ports.http),
        "PODIUM_CONTROL_PORT": str(site.ports.control),
        "PODIUM_FORWARD_PORT": str(site.ports.forward),
        "PODIUM_GRPC_PORT": str(site.ports.grpc),
        "PODIUM_BIND": host,
        "PODIUM_CPU_LIMIT": "1",
        "PODIUM_DRAIN_SECONDS": "0",
        # Modules are compiled once, as they are in the image.
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(site.folder.parent / "compiled"),
    }


def seed(folder: Path, version: Version) -> None:
    """Fills a pod's package cache as a fetch would."""
    cache = Cache(folder)
    manifest = (version.folder / MANIFEST_FILE).read_bytes()
    for name in [*(entry.name for entry in manifest_files(manifest)), CONFIG_FILE, MANIFEST_FILE]:
        content = (version.folder / name).read_bytes()
        cache.write(sha256_digest(content), content)
