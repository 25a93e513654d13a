"""Whether this machine can carry the cluster. Everything that is missing is said at once, before anything is started.

`gather` reads the machine; `problems` decides, and reads nothing.
"""

import os
import platform
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from cluster import cgroups, kernel
from cluster.layout import BUILD_BRIDGE, BUILD_NETWORK, LISTENERS, POD_BRIDGE, POD_NETWORK, SERVICE_NETWORK, Paths

LEAST_FREE_BYTES = 15 * 10**9
MACHINES = ("x86_64", "aarch64")
OUR_NETWORKS = (("pods", POD_NETWORK), ("Services", SERVICE_NETWORK), ("builds", BUILD_NETWORK))


@dataclass(frozen=True)
class Listener:
    address: str
    port: int
    pid: int | None = None
    program: str = ""


@dataclass(frozen=True)
class Facts:
    system: str
    machine: str
    user_id: int
    has_apt: bool
    missing_programs: tuple[str, ...]
    overlay_error: str | None
    controllers: frozenset[str]
    listeners: tuple[Listener, ...]
    own_pids: frozenset[int]
    routes: tuple[tuple[str, IPv4Network], ...]
    nameservers: tuple[str, ...]
    free_bytes: int


def problems(facts: Facts) -> list[str]:
    """One sentence per thing that stands in the way; empty means go."""
    if facts.system != "Linux" or facts.machine not in MACHINES:
        return [f"this needs Linux on {' or '.join(MACHINES)}; this is {facts.system} on {facts.machine}"]
    if facts.user_id != 0:
        return ["this needs root: containers, bridges and mounts are made. Run it with sudo or as root"]
    found: list[str] = []
    if facts.missing_programs and not facts.has_apt:
        found.append(
            f"there is no apt-get to install these programs: {', '.join(facts.missing_programs)}; install them yourself"
        )
    if facts.overlay_error is not None:
        found.append(f"the kernel refuses an overlay mount, which images need: {facts.overlay_error}")
    if missing := sorted(set(cgroups.NEEDED) - facts.controllers):
        found.append(f"these control-group controllers are off: {', '.join(missing)}; boot with cgroup_enable=memory")
    if facts.free_bytes < LEAST_FREE_BYTES and not facts.own_pids:  # a running cluster is mended on what there is
        gigabytes = LEAST_FREE_BYTES // 10**9
        found.append(f"{facts.free_bytes / 10**9:.1f} GB of disk are free, {gigabytes} are needed (compiler cache, images)")
    return found + taken_ports(facts) + taken_networks(facts)


def taken_ports(facts: Facts) -> list[str]:
    found: list[str] = []
    for name, address, port in LISTENERS:
        for listener in facts.listeners:
            same = listener.address in {address, "0.0.0.0", "::"} and listener.port == port
            if same and listener.pid not in facts.own_pids:
                holder = f"{listener.program} (pid {listener.pid})" if listener.pid else "another program"
                found.append(f"{name} needs {address}:{port}, which {holder} listens on; stop it first")
    return sorted(set(found))


def taken_networks(facts: Facts) -> list[str]:
    found: list[str] = []
    for purpose, network in OUR_NETWORKS:
        for device, other in facts.routes:
            if device not in {POD_BRIDGE, BUILD_BRIDGE} and network.overlaps(other):
                found.append(f"the addresses for {purpose}, {network}, overlap with the route {other} over {device}")
        for server in facts.nameservers:
            if is_ipv4(server) and IPv4Address(server) in network:
                found.append(f"the name server {server} of this machine lies within the addresses for {purpose}, {network}")
    return found


def is_ipv4(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+){3}", text) is not None


def nameservers(resolv_conf: str) -> tuple[str, ...]:
    return tuple(re.findall(r"^\s*nameserver\s+(\S+)", resolv_conf, flags=re.MULTILINE))


def upstream_resolv_conf(resolv_conf: str, systemd_resolved: str | None) -> str:
    """The resolver file that pods get. A resolver on the host's loopback is none to a pod: then systemd-resolved's own list.

    Its search domains are left out: they make every outside name ask for names inside the user's network first.
    """
    candidates = [text for text in (resolv_conf, systemd_resolved) if text is not None]
    for text in candidates:
        servers = [server for server in nameservers(text) if not server.startswith("127.") and server != "::1"]
        if servers:
            return "".join(f"nameserver {server}\n" for server in servers[:3])
    return ""


def parse_listeners(table: str) -> list[tuple[str, int, int]]:
    """Address, port and socket inode of each listening socket in the text of /proc/net/tcp or tcp6."""
    found: list[tuple[str, int, int]] = []
    for line in table.splitlines()[1:]:
        fields = line.split()
        if fields[3] != "0A":
            continue
        host, _, port = fields[1].partition(":")
        found.append((decode_address(host), int(port, 16), int(fields[9])))
    return found


def decode_address(text: str) -> str:
    """An address of /proc/net/tcp: words of four bytes, each in the machine's order. IPv4 in IPv6 clothes is undressed."""
    if len(text) == 8:
        return str(IPv4Address(bytes.fromhex(text)[::-1]))
    if set(text) == {"0"}:
        return "::"
    if text.startswith("0000000000000000FFFF0000"):
        return str(IPv4Address(bytes.fromhex(text[24:])[::-1]))
    return text.lower()


def read_listeners() -> tuple[Listener, ...]:
    tables = [Path("/proc/net", name) for name in ("tcp", "tcp6")]
    sockets = [entry for table in tables if table.exists() for entry in parse_listeners(table.read_text())]
    owners = socket_owners({inode for _, _, inode in sockets})
    return tuple(Listener(address, port, *owners.get(inode, (None, ""))) for address, port, inode in sockets)


def socket_owners(inodes: set[int]) -> dict[int, tuple[int, str]]:
    """Pid and program of the process that holds each socket, where /proc tells."""
    found: dict[int, tuple[int, str]] = {}
    for folder in Path("/proc").glob("[0-9]*/fd"):
        try:
            for descriptor in folder.iterdir():
                target = os.readlink(descriptor)
                if target.startswith("socket:[") and (inode := int(target[8:-1])) in inodes:
                    found[inode] = (int(folder.parent.name), (folder.parent / "comm").read_text().strip())
        except OSError:
            continue  # it ended, or is not ours to look into
    return found


def gather(paths: Paths, missing_programs: Sequence[str], own_pids: frozenset[int]) -> Facts:
    """Reads the machine. The overlay is tried where the images will lie, and only by root."""
    paths.state.parent.mkdir(parents=True, exist_ok=True)
    resolv_conf = Path("/etc/resolv.conf")
    text = resolv_conf.read_text() if resolv_conf.exists() else ""
    return Facts(
        system=platform.system(),
        machine=platform.machine(),
        user_id=os.geteuid(),
        has_apt=shutil.which("apt-get") is not None,
        missing_programs=tuple(missing_programs),
        overlay_error=kernel.overlay_error(paths.state.parent) if os.geteuid() == 0 else None,
        controllers=cgroups.controllers(),
        listeners=read_listeners(),
        own_pids=own_pids,
        routes=tuple(kernel.networks(Path("/proc/net/route").read_text())),
        nameservers=nameservers(text),
        free_bytes=shutil.disk_usage(paths.state.parent).free,
    )
