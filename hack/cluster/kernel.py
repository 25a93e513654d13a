"""Kernel settings, bridges and mounts: what `up` changes in the machine, and how `down` takes it back."""

import json
import os
import re
import subprocess
import time
from collections.abc import Mapping
from ipaddress import IPv4Network
from pathlib import Path

from cluster.console import Failure, run
from cluster.layout import BUILD_ADDRESS, BUILD_BRIDGE, BUILD_NETWORK, NODE_ADDRESS, POD_BRIDGE, POD_NETWORK, SERVICE_NETWORK

BRIDGES = ((POD_BRIDGE, NODE_ADDRESS, POD_NETWORK), (BUILD_BRIDGE, BUILD_ADDRESS, BUILD_NETWORK))

WANTED_SYSCTLS = {
    "net/ipv4/ip_forward": "1",
    "net/ipv4/conf/all/route_localnet": "1",
    "net/bridge/bridge-nf-call-iptables": "1",
}
WATCHED_SYSCTLS = (
    *WANTED_SYSCTLS,
    "net/bridge/bridge-nf-call-ip6tables",
    "net/ipv4/vs/conntrack",
    "net/ipv6/conf/all/forwarding",
    "net/ipv4/conf/all/accept_redirects",
    "net/ipv4/conf/default/accept_redirects",
    "net/netfilter/nf_conntrack_max",
    "net/netfilter/nf_conntrack_buckets",
    "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
    "net/netfilter/nf_conntrack_tcp_timeout_established",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "fs/inotify/max_user_instances",
    "fs/inotify/max_user_watches",
)
"""Those above, and what kubelet, kube-proxy and the Docker Engine are known to write."""


def sysctl_file(name: str) -> Path:
    return Path("/proc/sys") / name


def read_sysctls() -> dict[str, str]:
    """In the order to write them back: ip_forward resets the forwarding of every device, so it is before those."""
    folder = Path("/proc/sys")
    devices = [str(file.relative_to(folder)) for file in sorted(folder.glob("net/ipv4/conf/*/forwarding"))]
    names = [name for name in (*WATCHED_SYSCTLS, *devices) if sysctl_file(name).exists()]
    return {name: sysctl_file(name).read_text().strip() for name in names}


def write_sysctls(values: Mapping[str, str]) -> None:
    """Writes what differs. A name that is not there is an error only to those who want it."""
    for name, value in values.items():
        file = sysctl_file(name)
        if not file.exists():
            raise Failure(f"the kernel has no setting {name}")
        if file.read_text().strip() != value:
            file.write_text(value)


def set_sysctls() -> None:
    """Bridged packets must pass the packet filter: else a pod's answer to a pod misses the way back through a Service."""
    if not sysctl_file("net/bridge/bridge-nf-call-iptables").exists():
        run(["modprobe", "br_netfilter"])
    write_sysctls(WANTED_SYSCTLS)


def raise_inotify_limits() -> None:
    """Every kubelet, containerd and log follower holds some; a desktop's default of 128 runs out with 40 pods."""
    for name, least in (("fs/inotify/max_user_instances", 1024), ("fs/inotify/max_user_watches", 131072)):
        file = sysctl_file(name)
        if file.exists() and int(file.read_text()) < least:
            file.write_text(str(least))


def restore_sysctls(values: Mapping[str, str]) -> None:
    for name, value in values.items():
        if sysctl_file(name).exists() and sysctl_file(name).read_text().strip() != value:
            sysctl_file(name).write_text(value)


def default_mtu(route_table: str, mtu_of: Mapping[str, int]) -> int:
    """The packet size of the device of the default route, from the text of /proc/net/route; 1500 without one.

    Bridges with a bigger one lose packets in silence where path discovery is filtered.
    """
    for line in route_table.splitlines()[1:]:
        device, destination, *_ = line.split()
        if destination == "00000000" and device in mtu_of:
            return mtu_of[device]
    return 1500


def machine_mtu() -> int:
    devices = {
        folder.name: int((folder / "mtu").read_text())
        for folder in Path("/sys/class/net").iterdir()
        if (folder / "mtu").exists()
    }
    return default_mtu(Path("/proc/net/route").read_text(), devices)


def make_bridges(mtu: int) -> None:
    for bridge, address, network in BRIDGES:
        folder = Path("/sys/class/net", bridge)
        if not folder.exists():
            run(["ip", "link", "add", bridge, "type", "bridge"])
        # No IPv6: a link-local address would be a way past the rules, which are for IPv4.
        disable = Path("/proc/sys/net/ipv6/conf", bridge, "disable_ipv6")
        if disable.exists():
            disable.write_text("1")
        run(["ip", "address", "replace", f"{address}/{network.prefixlen}", "dev", bridge])
        run(["ip", "link", "set", bridge, "mtu", str(mtu), "up"])
    # A Service's address that nobody rewrites (kube-proxy is down) must end here and not leave by the default route:
    # a transparent proxy out there answered one, and the API server kept that connection. Goes with the bridge.
    run(["ip", "route", "replace", str(SERVICE_NETWORK), "dev", POD_BRIDGE, "src", NODE_ADDRESS])


def remove_bridges() -> None:
    """The bridges and what is plugged into them: the host's ends of pods' and builds' cables."""
    for bridge, _, _ in BRIDGES:
        ports = Path("/sys/class/net", bridge, "brif")
        for port in sorted(ports.iterdir()) if ports.exists() else []:
            subprocess.run(["ip", "link", "delete", port.name], capture_output=True, check=False)
        if ports.parent.exists():
            run(["ip", "link", "delete", bridge])


def mount_points_below(mounts: str, folder: Path) -> list[str]:
    """Mount points at or below a folder, the newest first, from the text of /proc/mounts (blanks are written \\040)."""
    points = [re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), line.split()[1]) for line in mounts.splitlines()]
    return [point for point in reversed(points) if Path(point).is_relative_to(folder)]


def unmount_below(folder: Path) -> None:
    """Unmounts everything below, and makes sure of it: what is deleted afterwards must be ours, and no mounted folder."""
    for _ in range(20):
        points = mount_points_below(Path("/proc/mounts").read_text(), folder)
        if not points:
            return
        for point in points:
            subprocess.run(["umount", point], capture_output=True, check=False)
        time.sleep(0.05)
    for point in mount_points_below(Path("/proc/mounts").read_text(), folder):
        subprocess.run(["umount", "--lazy", point], capture_output=True, check=False)
    if left := mount_points_below(Path("/proc/mounts").read_text(), folder):
        raise Failure(f"still mounted: {', '.join(left)}; unmount by hand, then run this again")


def overlay_error(folder: Path) -> str | None:
    """Tries a real overlay mount below the folder; None if it works."""
    trial = folder / f".overlay-{os.getpid()}"
    names = ["lower", "upper", "work", "merged"]
    for name in names:
        (trial / name).mkdir(parents=True)
    lower, upper, work, merged = (trial / name for name in names)
    options = f"lowerdir={lower},upperdir={upper},workdir={work}"
    command = ["mount", "-t", "overlay", "overlay", "-o", options, str(merged)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        subprocess.run(["umount", str(merged)], capture_output=True, check=False)
    run(["rm", "-rf", "--one-file-system", str(trial)])
    return None if done.returncode == 0 else done.stderr.strip()


def networks(routes: str) -> list[tuple[str, IPv4Network]]:
    """Device and network of each route but the default, from the text of /proc/net/route (hexadecimal, bytes reversed)."""
    found: list[tuple[str, IPv4Network]] = []
    for line in routes.splitlines()[1:]:
        fields = line.split()
        address, mask = (int.from_bytes(bytes.fromhex(fields[column])[::-1], "big") for column in (1, 7))
        if mask:
            found.append((fields[0], IPv4Network((address & mask, mask.bit_count()))))
    return found


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def dump(content: object) -> str:
    return json.dumps(content, indent=2) + "\n"
