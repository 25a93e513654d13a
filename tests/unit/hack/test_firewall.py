"""The packet filter's rules, as text that iptables-restore reads."""

from cluster import firewall

SAVED = """*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
:KUBE-SERVICES - [0:0]
:KUBE-SVC-A - [0:0]
:PODIUM-POSTROUTING - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -j PODIUM-POSTROUTING
-A KUBE-SERVICES -d 10.96.0.1/32 -j KUBE-SVC-A
COMMIT
*filter
:INPUT ACCEPT [0:0]
:USER - [0:0]
-A INPUT -j USER
COMMIT
"""


def test_chains_are_told_apart_by_table() -> None:
    assert firewall.chains_in(SAVED) == {
        "nat/DOCKER",
        "nat/KUBE-SERVICES",
        "nat/KUBE-SVC-A",
        "nat/PODIUM-POSTROUTING",
        "filter/USER",
    }


def test_only_doomed_chains_and_the_jumps_to_them_are_removed() -> None:
    script = firewall.removal_script(SAVED, {"nat/KUBE-SERVICES", "nat/KUBE-SVC-A"})
    assert script.splitlines() == [
        "*nat",
        '-D PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
        "-F KUBE-SERVICES",
        "-F KUBE-SVC-A",
        "-X KUBE-SERVICES",
        "-X KUBE-SVC-A",
        "COMMIT",
    ]


def test_nothing_doomed_means_nothing_to_do() -> None:
    assert firewall.removal_script(SAVED, set()) == ""


def test_a_jump_is_put_in_once() -> None:
    first = firewall.restore_script(firewall.rules(), "")
    again = firewall.restore_script(firewall.rules(), "*filter\n-A FORWARD -j PODIUM-FORWARD\nCOMMIT\n")
    assert "-I FORWARD 1 -j PODIUM-FORWARD" in first
    assert "-I FORWARD 1 -j PODIUM-FORWARD" not in again
    assert "-I INPUT 1 -j PODIUM-INPUT" in again


def test_every_rule_says_whose_it_is() -> None:
    script = firewall.restore_script(firewall.rules(), "")
    ours = [line for line in script.splitlines() if line.startswith("-")]
    assert ours
    assert all('--comment "podium local cluster"' in line for line in ours)


def test_a_build_is_refused_the_cluster_before_it_is_allowed_a_name_server() -> None:
    forward = [words for name, words in firewall.rules()["filter"] if name == "PODIUM-BUILD-FORWARD"]
    assert forward[:2] == ["-d 10.244.0.0/16 -j REJECT", "-d 10.96.0.0/12 -j REJECT"]
    assert forward[-1] == "-j ACCEPT"
    arriving = [words for name, words in firewall.rules()["filter"] if name == "PODIUM-BUILD-INPUT"]
    assert arriving.index("-d 10.244.0.0/16 -j REJECT") < arriving.index("-p udp --dport 53 -j ACCEPT")
    assert arriving[-1] == "-j REJECT"


def test_a_build_is_kept_from_services_before_their_address_is_rewritten() -> None:
    assert ("PODIUM-PREROUTING", "-i podium-build0 -d 10.96.0.0/12 -j DROP") in firewall.rules()["raw"]
