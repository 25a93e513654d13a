"""`up`: from nothing, or from whatever an earlier run or a crash left, to a cluster that answers."""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from cluster import (
    addons,
    cgroups,
    components,
    debian,
    firewall,
    found,
    health,
    images,
    kernel,
    layout,
    node,
    pki,
    preflight,
    processes,
)
from cluster.build import build, exclusive
from cluster.components import Component, await_component, cluster_plane, ensure
from cluster.console import Failure, run, say, step
from cluster.images import Image
from cluster.layout import NODE_ADDRESS, Paths
from cluster.node import Machine
from cluster.plane import Plane, kubeconfig

CAP_SYS_RESOURCE = 24
KUBECONFIGS = {
    "admin": "admin",
    "controller-manager": "controller-manager",
    "scheduler": "scheduler",
    "proxy": "proxy",
    "kubelet-client": "kubelet-client",
}
RESOLVED = Path("/run/systemd/resolve/resolv.conf")


def up(paths: Paths, with_metrics_server: bool) -> None:
    started = time.monotonic()
    check_machine(paths)
    with exclusive(paths.cache / "cluster.lock"):
        if missing := debian.missing_packages():
            debian.install(missing, paths.cache)
        folders = build(paths.cache)
        begun = time.monotonic()
        bring_up(paths, folders, with_metrics_server)
    seconds, in_all = time.monotonic() - begun, time.monotonic() - started
    say(f'the cluster is up ({seconds:.0f} s, {in_all:.0f} s in all). To use it: eval "$(python3 hack/cluster env)"')


def check_machine(paths: Paths) -> None:
    if paths.state.is_dir() and any(paths.state.iterdir()) and found.load(paths) is None:
        raise Failure(f"{paths.state} is not empty and holds no cluster; set PODIUM_CLUSTER_DIR to a folder of its own")
    own = frozenset(process.pid for process in processes.all_recorded(paths.pids).values() if processes.is_running(process))
    if problems := preflight.problems(preflight.gather(paths, debian.missing_packages(), own)):
        raise Failure("this machine is not ready for the cluster:\n" + "\n".join(f"  - {problem}" for problem in problems))


def bring_up(paths: Paths, folders: dict[str, Path], with_metrics_server: bool) -> None:
    place = cluster_plane(paths, folders["kubernetes"])
    machine = this_machine()
    with step("network, packet filter, control groups, certificates"):
        prepare_machine(paths, machine)
        pki.make_pki(paths.pki, [*pki.control_plane_certificates(NODE_ADDRESS), *pki.node_certificates(NODE_ADDRESS)])
        pause = images.program_image("pause", folders["pause"] / "pause", "/pause", "65535:65535")
        write_files(paths, place, machine, pause.reference, folders)
    base = images.base_image(paths.cache)
    (paths.state / "base-image").write_text(base.reference + "\n")
    everything = {
        item.name: item for item in [*components.plane_components(place), *components.node_components(paths, place)]
    }
    start_servers(paths, everything)
    coredns = images.program_image("coredns", folders["coredns"] / "coredns", "/coredns", "65532:65532")
    metrics = images.program_image(
        "metrics-server", folders["metrics-server"] / "metrics-server", "/metrics-server", "65532:65532"
    )
    push_images([pause, coredns, *([metrics] if with_metrics_server else []), base])
    start_node(paths, everything)
    start_addons(place, paths, coredns, metrics if with_metrics_server else None)


def this_machine() -> Machine:
    plugins = debian.cni_plugins()
    if plugins is None:
        raise Failure(f"no CNI plugins in {' or '.join(map(str, debian.CNI_FOLDERS))}")
    capabilities = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("CapEff:"))
    return Machine(plugins, kernel.machine_mtu(), bool(int(capabilities.split()[1], 16) >> CAP_SYS_RESOURCE & 1))


def prepare_machine(paths: Paths, machine: Machine) -> None:
    """The record comes first: whatever fails afterwards, `down` knows what to put back."""
    os.umask(0o022)
    firewall.check()
    found.record(paths)
    for folder in (paths.run, paths.logs, paths.pids, paths.bin, paths.config):
        folder.mkdir(parents=True, exist_ok=True)
    cgroups.prepare()
    kernel.make_bridges(machine.mtu)
    firewall.install()
    kernel.set_sysctls()
    kernel.raise_inotify_limits()


def write_files(paths: Paths, place: Plane, machine: Machine, pause_image: str, folders: dict[str, Path]) -> None:
    resolved = RESOLVED.read_text() if RESOLVED.exists() else None
    resolv_conf = preflight.upstream_resolv_conf(Path("/etc/resolv.conf").read_text(), resolved)
    texts = {
        "containerd.toml": node.containerd_config(paths, machine, pause_image),
        f"registries/{layout.REGISTRY}/hosts.toml": node.registry_hosts(),
        "cni/podium.conflist": kernel.dump(node.cni_config(paths, machine)),
        "kubelet.json": kernel.dump(node.kubelet_config(paths, machine)),
        "kube-proxy.json": kernel.dump(node.proxy_config(place, machine)),
        "docker.json": kernel.dump(node.docker_config(paths, machine, preflight.nameservers(resolv_conf))),
        "registry.json": kernel.dump(node.registry_config(paths)),
        "resolv.conf": resolv_conf,
    }
    for name, text in texts.items():
        (paths.config / name).parent.mkdir(parents=True, exist_ok=True)
        write_changed(paths.config / name, text)
    for name in KUBECONFIGS:
        write_secret(place.kubeconfig(name), kubeconfig(place, name))
    paths.docker_client.mkdir(exist_ok=True)
    for source, target in (("docker-ca.crt", "ca.pem"), ("docker-client.crt", "cert.pem"), ("docker-client.key", "key.pem")):
        write_secret(paths.docker_client / target, (paths.pki / source).read_text())
    hand_over([place.kubeconfig("admin"), *paths.docker_client.iterdir()])
    for name, folder in (("kubectl", "kubernetes"), ("helm", "helm"), ("kubeconform", "kubeconform")):
        link = paths.bin / name
        link.unlink(missing_ok=True)
        link.symlink_to(folders[folder] / name)


def write_changed(file: Path, text: str) -> None:
    """Leaves an equal file untouched: kube-proxy ends when its configuration is written, whatever is in it."""
    if not file.exists() or file.read_text() != text:
        file.write_text(text)


def write_secret(file: Path, text: str) -> None:
    """Readable by its owner alone from its first byte on."""
    partial = file.with_name(f"{file.name}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as output:
        output.write(text)
    partial.replace(file)


def hand_over(files: Sequence[Path]) -> None:
    """Who ran `up` with sudo gets the keys to what it made: kubectl and docker then need no sudo."""
    user, group = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if user and group:
        for file in files:
            os.chown(file, int(user), int(group))


def start_servers(paths: Paths, everything: dict[str, Component]) -> None:
    """All that wait for each other by themselves are started together, then waited for."""
    with step("etcd, API server, containerd, registry"):
        first = ("etcd", "containerd", "registry", "kube-apiserver")
        for name in first:
            ensure(everything[name], paths)
        for name in first:
            await_component(everything[name], paths)


def push_images(wanted: Sequence[Image]) -> None:
    with step("images into the registry"):
        for image in wanted:
            images.push(image)


def start_node(paths: Paths, everything: dict[str, Component]) -> None:
    with step("controller manager, scheduler, kubelet, kube-proxy, Docker Engine"):
        rest = ("docker", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
        for name in rest:
            ensure(everything[name], paths)
        for name in rest:
            await_component(everything[name], paths)


def start_addons(place: Plane, paths: Paths, coredns: Image, metrics: Image | None) -> None:
    names = "CoreDNS and metrics-server" if metrics else "CoreDNS"
    with step(names):
        has_upstream = bool((paths.config / "resolv.conf").read_text())
        items = addons.coredns(coredns.reference, has_upstream) + (
            addons.metrics_server(metrics.reference) if metrics else []
        )
        (paths.state / "addons").write_text("coredns metrics-server\n" if metrics else "coredns\n")
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        kubectl: list[str | Path] = [place.binaries / "kubectl", f"--kubeconfig={paths.kubeconfig}"]
        run(
            [*kubectl, "apply", "--server-side", "--force-conflicts", "--field-manager=podium-cluster", "-f", "-"], text=text
        )
        probes = health.addon_probes(place)
        for name in ["coredns", *(["metrics-server"] if metrics else [])]:
            components.wait_ready(name, probes[name], lambda: True, paths.logs / "kubelet.log", 90.0)
