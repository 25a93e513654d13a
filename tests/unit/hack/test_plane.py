"""The command lines of a control plane."""

import base64
import json
from dataclasses import replace
from pathlib import Path

from cluster import plane
from cluster.plane import Plane

PLANE = Plane(Path("/cp"), Path("/bin"), "10.244.0.1", 6443, 2379, 2380, 10257)


def test_an_address_that_pods_can_use_is_advertised() -> None:
    assert "--advertise-address=10.244.0.1" in plane.api_server_command(PLANE)


def test_a_loopback_address_is_no_endpoint() -> None:
    command = plane.api_server_command(replace(PLANE, address="127.0.0.1"))
    assert "--endpoint-reconciler-type=none" in command
    assert not [word for word in command if word.startswith("--advertise-address")]


def test_nodes_and_roles_are_authorized() -> None:
    command = plane.api_server_command(PLANE)
    assert "--authorization-mode=Node,RBAC" in command
    assert "--enable-admission-plugins=NodeRestriction" in command


def test_etcd_takes_no_caller_without_a_certificate() -> None:
    command = plane.etcd_command(PLANE)
    assert "--client-cert-auth" in command
    assert "--listen-client-urls=https://127.0.0.1:2379" in command


def test_a_kubeconfig_carries_its_certificates(tmp_path: Path) -> None:
    place = replace(PLANE, folder=tmp_path)
    place.pki.mkdir()
    for name in ("kubernetes-ca.crt", "admin.crt", "admin.key"):
        (place.pki / name).write_text(f"the {name}")
    content = json.loads(plane.kubeconfig(place, "admin"))
    assert content["clusters"][0]["cluster"]["server"] == "https://10.244.0.1:6443"
    assert base64.b64decode(content["users"][0]["user"]["client-key-data"]) == b"the admin.key"
