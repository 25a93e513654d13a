"""The cluster's processes: what each is called, how it is started, and starting them so that a second `up` mends the first.

A running process with the same command line is left alone; a dead one, one of an older configuration, and one that runs but
does not answer are started anew.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cluster import cgroups, layout, node, plane, processes
from cluster.build import fingerprint
from cluster.console import Failure, tail
from cluster.debian import SEARCH_PATH, find_program
from cluster.health import NOT_YET, Probe, node_probes, plane_probes
from cluster.layout import Paths
from cluster.plane import Plane
from cluster.processes import Process


@dataclass(frozen=True)
class Component:
    name: str
    address: str
    command: tuple[str, ...]
    probe: Probe
    configuration: Path | None = None
    """The file it reads at its start, if it reads one."""
    stale_files: tuple[Path, ...] = ()
    """Left by a process that was killed, and in the way of the next."""
    environment: Mapping[str, str] = field(default_factory=dict)


def cluster_plane(paths: Paths, binaries: Path) -> Plane:
    return Plane(
        folder=paths.state,
        binaries=binaries,
        address=layout.NODE_ADDRESS,
        api_port=layout.API_PORT,
        etcd_port=layout.ETCD_PORT,
        etcd_peer_port=layout.ETCD_PEER_PORT,
        controller_manager_port=layout.CONTROLLER_MANAGER_PORT,
    )


def plane_components(place: Plane) -> list[Component]:
    probes = plane_probes(place)
    addresses = {
        "etcd": f"127.0.0.1:{place.etcd_port}",
        "kube-apiserver": f"{place.address}:{place.api_port}",
        "kube-controller-manager": f"127.0.0.1:{place.controller_manager_port}",
    }
    commands = {
        "etcd": plane.etcd_command(place),
        "kube-apiserver": plane.api_server_command(place),
        "kube-controller-manager": plane.controller_manager_command(place),
    }
    return [Component(name, addresses[name], tuple(commands[name]), probes[name]) for name in commands]


def node_components(paths: Paths, place: Plane) -> list[Component]:
    probes = node_probes(paths, place)
    at_node = {"registry": layout.REGISTRY_PORT, "docker": layout.DOCKER_PORT, "kubelet": layout.KUBELET_PORT}
    addresses = {name: f"{layout.NODE_ADDRESS}:{port}" for name, port in at_node.items()} | {
        "containerd": str(paths.containerd_socket),
        "kube-scheduler": f"127.0.0.1:{layout.SCHEDULER_PORT}",
        "kube-proxy": f"127.0.0.1:{layout.PROXY_HEALTH_PORT}",
    }
    files = {
        "containerd": paths.config / "containerd.toml",
        "registry": paths.config / "registry.json",
        "docker": paths.config / "docker.json",
        "kubelet": paths.config / "kubelet.json",
        "kube-proxy": paths.config / "kube-proxy.json",
    }
    commands = {
        "containerd": [program("containerd"), "--config", str(files["containerd"])],
        "registry": [program("docker-registry"), "serve", str(files["registry"])],
        "docker": [program("dockerd"), "--config-file", str(files["docker"])],
        "kube-scheduler": node.scheduler_command(place),
        "kubelet": node.kubelet_command(paths, place),
        "kube-proxy": [str(place.binaries / "kube-proxy"), f"--config={files['kube-proxy']}"],
    }
    stale = {"docker": (paths.run / "docker.pid", paths.run / "docker.sock"), "containerd": (paths.containerd_socket,)}
    return [
        Component(
            name,
            addresses[name],
            tuple(commands[name]),
            probes[name],
            configuration=files.get(name),
            stale_files=stale.get(name, ()),
            environment=outward() if name in {"containerd", "docker"} else {},
        )
        for name in commands
    ]


def program(name: str) -> str:
    return find_program(name) or f"/usr/bin/{name}"


def outward() -> dict[str, str]:
    """The user's proxy settings, for those who fetch from outside. No proxy is asked for the cluster's own addresses."""
    proxies = {
        name: value for name, value in os.environ.items() if name.lower() in {"http_proxy", "https_proxy", "no_proxy"}
    }
    if not proxies:
        return {}
    kept = ",".join(filter(None, [proxies.pop("NO_PROXY", ""), proxies.pop("no_proxy", "")]))
    return proxies | {
        "NO_PROXY": ",".join(filter(None, [kept, layout.NODE_ADDRESS, str(layout.POD_NETWORK), str(layout.SERVICE_NETWORK)]))
    }


def environment(component: Component) -> dict[str, str]:
    """A small one: what the user's shell happens to hold must not change the cluster."""
    return {"PATH": SEARCH_PATH, "HOME": "/", "LANG": "C.UTF-8", **component.environment}


def ensure(component: Component, paths: Paths) -> None:
    """Starts the component unless it runs as it should."""
    process = processes.recorded(paths.pids, component.name)
    if process and processes.is_running(process):
        if process.command == component.command and process.configuration == configuration_of(component):
            return
        processes.stop_all([process])
    launch(component, paths)


def configuration_of(component: Component) -> str:
    return fingerprint([component.configuration.read_bytes()]) if component.configuration else ""


def launch(component: Component, paths: Paths) -> Process:
    for file in component.stale_files:
        file.unlink(missing_ok=True)
    process = processes.start(component.command, log_file(paths.logs, component.name), environment(component))
    process = replace(process, configuration=configuration_of(component))
    processes.record(paths.pids, component.name, process)
    cgroups.adopt(process.pid)
    return process


def log_file(folder: Path, name: str) -> Path:
    return folder / f"{name}.log"


def failure(name: str, what: str, log: Path) -> Failure:
    return Failure(f"{name} {what}. The last lines of {log}:\n{tail(log)}")


def wait_ready(name: str, probe: Probe, alive: Callable[[], bool], log: Path, seconds: float) -> None:
    """Returns when the probe is content. Raises Failure at the deadline, or at once when the process has ended."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return probe()
        except NOT_YET as error:
            reason = error
        if not alive():
            raise failure(name, "ended", log)
        if time.monotonic() > deadline:
            raise failure(name, f"is not ready after {seconds:.0f} s ({reason})", log)
        time.sleep(0.1)


def await_component(component: Component, paths: Paths, seconds: float = 30.0) -> None:
    """Waits; one that was running before and does not answer is started anew, once."""
    log = log_file(paths.logs, component.name)

    def alive() -> bool:
        process = processes.recorded(paths.pids, component.name)
        return process is not None and processes.is_running(process)

    try:
        wait_ready(component.name, component.probe, alive, log, seconds)
    except Failure:
        process = processes.recorded(paths.pids, component.name)
        if process is None or age_seconds(process) < seconds:
            raise
        processes.stop_all([process])
        launch(component, paths)
        wait_ready(component.name, component.probe, alive, log, seconds)


def age_seconds(process: Process) -> float:
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    return uptime - process.start_time / os.sysconf("SC_CLK_TCK")
