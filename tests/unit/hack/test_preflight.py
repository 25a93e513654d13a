"""What is said about a machine before anything is started on it."""

from dataclasses import replace
from ipaddress import IPv4Network

import pytest

from cluster import preflight
from cluster.preflight import Facts, Listener

GOOD = Facts(
    system="Linux",
    machine="x86_64",
    user_id=0,
    has_apt=True,
    missing_programs=("containerd",),
    overlay_error=None,
    controllers=frozenset({"cpu", "cpuset", "memory", "pids", "blkio"}),
    listeners=(Listener("0.0.0.0", 22, 7, "sshd"), Listener("127.0.0.1", 5000, 8, "flask")),
    own_pids=frozenset(),
    routes=(("eth0", IPv4Network("192.0.2.0/24")), ("podium0", IPv4Network("10.244.0.0/16"))),
    nameservers=("192.0.2.53", "::1"),
    free_bytes=20 * 10**9,
)


def test_a_good_machine_has_no_problem() -> None:
    assert preflight.problems(GOOD) == []


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        pytest.param(replace(GOOD, system="Darwin"), "this is Darwin on x86_64", id="not-linux"),
        pytest.param(replace(GOOD, machine="riscv64"), "this is Linux on riscv64", id="other-processor"),
        pytest.param(replace(GOOD, user_id=1000), "needs root", id="not-root"),
        pytest.param(replace(GOOD, has_apt=False), "no apt-get to install these programs: containerd", id="no-apt"),
        pytest.param(replace(GOOD, overlay_error="unknown filesystem"), "overlay mount", id="no-overlay"),
        pytest.param(
            replace(GOOD, controllers=frozenset({"cpu", "cpuset", "pids"})), "are off: memory", id="no-memory-cgroup"
        ),
        pytest.param(replace(GOOD, free_bytes=3 * 10**9), "3.0 GB of disk are free, 15 are needed", id="disk-full"),
        pytest.param(
            replace(GOOD, listeners=(Listener("0.0.0.0", 6443, 42, "k3s"),)),
            "kube-apiserver needs 10.244.0.1:6443, which k3s (pid 42) listens on",
            id="port-taken-on-all-addresses",
        ),
        pytest.param(
            replace(GOOD, listeners=(Listener("::", 10250),)),
            "kubelet needs 10.244.0.1:10250, which another program listens on",
            id="port-taken-by-somebody-unseen",
        ),
        pytest.param(
            replace(GOOD, routes=(("tun0", IPv4Network("10.0.0.0/8")),)),
            "the addresses for Services, 10.96.0.0/12, overlap with the route 10.0.0.0/8 over tun0",
            id="route-overlaps",
        ),
        pytest.param(
            replace(GOOD, nameservers=("10.96.0.3",)),
            "the name server 10.96.0.3 of this machine lies within the addresses for Services",
            id="name-server-hidden",
        ),
    ],
)
def test_each_obstacle_is_named(facts: Facts, words: str) -> None:
    assert words in "\n".join(preflight.problems(facts))


def test_all_obstacles_are_named_at_once() -> None:
    facts = replace(GOOD, overlay_error="no", free_bytes=0, controllers=frozenset())
    assert len(preflight.problems(facts)) == 3


def test_the_running_clusters_own_ports_and_disk_are_no_obstacle() -> None:
    own = replace(
        GOOD, listeners=(Listener("10.244.0.1", 6443, 42, "kube-apiserver"),), own_pids=frozenset({42}), free_bytes=1
    )
    assert preflight.problems(own) == []


def test_listeners_are_read_from_the_kernels_tables() -> None:
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    listening = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n"
    connected = "   1: 0100007F:1F90 0100007F:0016 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n"
    assert preflight.parse_listeners(head + listening + connected) == [("127.0.0.1", 8080, 4711)]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0100F40A", "10.244.0.1"),
        ("0" * 32, "::"),
        ("0000000000000000FFFF00000100007F", "127.0.0.1"),
    ],
)
def test_addresses_are_decoded(text: str, address: str) -> None:
    assert preflight.decode_address(text) == address


@pytest.mark.parametrize(
    ("resolv_conf", "resolved", "expected"),
    [
        pytest.param("search lan\nnameserver 192.0.2.53\n", None, "nameserver 192.0.2.53\n", id="search-domain-left-out"),
        pytest.param("nameserver 127.0.0.53\n", "nameserver 192.0.2.1\n", "nameserver 192.0.2.1\n", id="stub-of-systemd"),
        pytest.param("nameserver 127.0.0.1\n", None, "", id="loopback-alone-is-none"),
        pytest.param("# nothing\n", None, "", id="empty"),
    ],
)
def test_pods_get_resolvers_they_can_reach(resolv_conf: str, resolved: str | None, expected: str) -> None:
    assert preflight.upstream_resolv_conf(resolv_conf, resolved) == expected
