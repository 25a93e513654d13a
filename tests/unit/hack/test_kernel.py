"""What is read from the kernel's text files."""

from ipaddress import IPv4Network
from pathlib import Path

from cluster import cgroups, kernel

ROUTES = """Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0
"""

MOUNTS = r"""overlay /state/a overlay rw 0 0
tmpfs /state/a/b\040c tmpfs rw 0 0
tmpfs /state-of-others tmpfs rw 0 0
cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0
cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0
cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0
"""


def test_routes_are_networks_but_for_the_default_one() -> None:
    assert kernel.networks(ROUTES) == [("eth0", IPv4Network("192.0.2.0/24")), ("tun0", IPv4Network("10.0.0.0/8"))]


def test_the_packet_size_is_that_of_the_default_route() -> None:
    assert kernel.default_mtu(ROUTES, {"eth0": 1400, "tun0": 1280}) == 1400


def test_without_a_default_route_the_packet_size_is_the_usual_one() -> None:
    assert kernel.default_mtu("Iface\tDestination\n", {"eth0": 1400}) == 1500


def test_mounts_below_a_folder_come_newest_first_and_leave_neighbours_out() -> None:
    assert kernel.mount_points_below(MOUNTS, Path("/state")) == ["/state/a/b c", "/state/a"]


def test_a_hybrid_machine_uses_version_1() -> None:
    found = cgroups.mounted_hierarchies(MOUNTS)
    assert found["memory"] == Path("/sys/fs/cgroup/memory")
    assert found["cpuacct"] == found["cpu"] == Path("/sys/fs/cgroup/cpu,cpuacct")
    assert "" not in found


def test_version_2_alone_is_one_tree() -> None:
    assert cgroups.mounted_hierarchies("cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\n") == {"": Path("/sys/fs/cgroup")}
