"""`status`, `kubeconfig` and `env`: what is there, for people and for shells."""

import os
import shlex
from dataclasses import dataclass

from cluster import components, health, layout, processes
from cluster.build import PROGRAMS, SOURCES, folder_name
from cluster.console import Failure
from cluster.health import NOT_YET, Probe
from cluster.layout import Paths


@dataclass(frozen=True)
class Line:
    name: str
    pid: int | None
    problem: str | None
    address: str


def lines(paths: Paths) -> list[Line]:
    """One per component. An add-on is a pod: it has no pid of its own here, and is left out when it was not asked for."""
    place = components.cluster_plane(paths, paths.cache / folder_name(PROGRAMS[0], SOURCES))
    found: list[Line] = []
    if paths.pki.is_dir():
        for component in [*components.plane_components(place), *components.node_components(paths, place)]:
            process = processes.recorded(paths.pids, component.name)
            pid = process.pid if process and processes.is_running(process) else None
            problem = "not running" if pid is None else trouble(component.probe)
            found.append(Line(component.name, pid, problem, component.address))
        probes = health.addon_probes(place)
        addresses = {"coredns": f"{layout.DNS_SERVICE_ADDRESS}:53", "metrics-server": "kube-system/metrics-server"}
        wanted = (paths.state / "addons").read_text().split() if (paths.state / "addons").exists() else []
        found += [Line(name, None, trouble(probes[name]), addresses[name]) for name in wanted]
    return found


def trouble(probe: Probe) -> str | None:
    try:
        probe()
    except NOT_YET as error:
        return str(error) or type(error).__name__
    return None


def status(paths: Paths) -> bool:
    """Prints the table; true if everything is well."""
    if paths.pki.is_dir() and not os.access(paths.pki, os.R_OK | os.X_OK):
        raise Failure(f"this needs root: it asks each component with the certificates in {paths.pki}")
    table = lines(paths)
    if not table:
        print("no cluster is there; `python3 hack/cluster up` makes one")
        return False
    print(f"{'COMPONENT':<26}{'PID':<9}{'HEALTHY':<9}ADDRESS")
    for line in table:
        print(f"{line.name:<26}{line.pid or '-':<9}{'no' if line.problem else 'yes':<9}{line.address}")
    for line in table:
        if line.problem:
            log = components.log_file(paths.logs, line.name)
            print(f"{line.name}: {line.problem}" + (f" (log: {log})" if log.exists() else ""))
    return all(line.problem is None for line in table)


def environment(paths: Paths) -> str:
    """Lines for `eval`. PATH is extended, not replaced, at the time they are evaluated."""
    base = paths.state / "base-image"
    if not base.exists():
        raise Failure("no cluster is there; `python3 hack/cluster up` makes one")
    values = {
        "KUBECONFIG": str(paths.kubeconfig),
        "PODIUM_REGISTRY": layout.REGISTRY,
        "PODIUM_BASE_IMAGE": base.read_text().strip(),
        "DOCKER_HOST": f"tcp://{layout.NODE_ADDRESS}:{layout.DOCKER_PORT}",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(paths.docker_client),
    }
    exports = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    return "\n".join([*exports, f'export PATH={shlex.quote(str(paths.bin))}:"$PATH"']) + "\n"
