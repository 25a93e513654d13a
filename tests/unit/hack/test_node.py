"""What the node's programs are told."""

import tomllib
from pathlib import Path

import pytest

from cluster import node
from cluster.components import cluster_plane, node_components, plane_components
from cluster.layout import LISTENERS, Paths
from cluster.node import Machine

PATHS = Paths(state=Path("/state"), run=Path("/run/ours"), cache=Path("/cache"))
MACHINE = Machine(cni_plugins=Path("/usr/lib/cni"), mtu=1400, may_lower_oom_score=False)
STRONG = Machine(cni_plugins=Path("/usr/lib/cni"), mtu=1400, may_lower_oom_score=True)
PLANE = cluster_plane(PATHS, Path("/cache/kubernetes"))
REACHABLE = ("10.244.0.1", "127.0.0.1")


def test_containerd_keeps_everything_in_folders_of_ours() -> None:
    config = tomllib.loads(node.containerd_config(PATHS, MACHINE, "r/pause:1"))
    cri = config["plugins"]["io.containerd.grpc.v1.cri"]
    assert (config["root"], config["state"], config["grpc"]["address"]) == (
        "/state/containerd",
        "/run/ours/containerd",
        "/run/ours/containerd.sock",
    )
    assert cri["netns_mounts_under_state_dir"] is True
    assert cri["containerd"]["runtimes"]["runc"]["options"] == {"SystemdCgroup": False, "Root": "/run/ours/runc"}
    assert cri["sandbox_image"] == "r/pause:1"


@pytest.mark.parametrize(("machine", "restricted", "score"), [(MACHINE, True, 0), (STRONG, False, -999)])
def test_scores_are_lowered_only_where_that_is_allowed(machine: Machine, restricted: bool, score: int) -> None:
    config = tomllib.loads(node.containerd_config(PATHS, machine, "r/pause:1"))
    assert config["plugins"]["io.containerd.grpc.v1.cri"]["restrict_oom_score_adj"] is restricted
    assert node.kubelet_config(PATHS, machine)["oomScoreAdj"] == score
    assert node.proxy_config(PLANE, machine)["oomScoreAdj"] == score


def test_docker_leaves_the_packet_filter_to_us() -> None:
    config = node.docker_config(PATHS, MACHINE, ["192.0.2.53"])
    assert {config[name] for name in ("iptables", "ip6tables", "ip-forward", "ip-masq")} == {False}
    assert config["bridge"] == "podium-build0"
    assert config["dns"] == ["192.0.2.53"]


def test_docker_listens_with_certificates_alone() -> None:
    config = node.docker_config(PATHS, MACHINE, [])
    assert config["hosts"] == ["unix:///run/ours/docker.sock", "tcp://10.244.0.1:2376"]
    assert config["tlsverify"] is True


def test_the_kubelet_asks_the_api_server_who_may_do_what() -> None:
    config = node.kubelet_config(PATHS, MACHINE)
    assert config["authorization"] == {"mode": "Webhook"}
    assert config["address"] == "10.244.0.1"
    assert config["readOnlyPort"] == 0


def test_node_ports_answer_on_the_loopback_alone() -> None:
    assert node.proxy_config(PLANE, MACHINE)["nodePortAddresses"] == ["127.0.0.0/8"]


def test_bridges_carry_packets_no_bigger_than_the_machines() -> None:
    plugins = node.cni_config(PATHS, MACHINE)["plugins"]
    assert isinstance(plugins, list)
    assert plugins[0]["mtu"] == node.docker_config(PATHS, MACHINE, [])["mtu"] == 1400


def test_nothing_listens_beyond_the_loopback_and_the_bridge() -> None:
    assert {address for _, address, _ in LISTENERS} == set(REACHABLE)
    components = [*plane_components(PLANE), *node_components(PATHS, PLANE)]
    network = [component.address for component in components if component.name != "containerd"]
    assert all(address.startswith(REACHABLE) for address in network)


def test_preflight_asks_for_every_port_that_is_used() -> None:
    used = {component.address for component in [*plane_components(PLANE), *node_components(PATHS, PLANE)]}
    asked = {f"{address}:{port}" for _, address, port in LISTENERS}
    assert used - {"/run/ours/containerd.sock"} <= asked
