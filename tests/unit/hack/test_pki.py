"""Certificates, made by the real openssl program and read by the standard library."""

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from cluster import pki

pytestmark = pytest.mark.process

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


def test_names_and_addresses_are_told_apart() -> None:
    assert pki.alternative_names(["localhost", "10.96.0.1"]) == "DNS:localhost,IP:10.96.0.1"


def test_docker_and_etcd_trust_authorities_of_their_own() -> None:
    certificates = [*pki.control_plane_certificates("10.244.0.1"), *pki.node_certificates("10.244.0.1")]
    owners = {certificate.name: certificate.authority for certificate in certificates}
    assert {owners[name] for name in ("docker", "docker-client")} == {"docker"}
    assert {owners[name] for name in ("etcd", "apiserver-etcd-client")} == {"etcd"}
    assert owners["kubelet-client"] == "kubernetes"


def test_names_are_given_once() -> None:
    names = [c.name for c in [*pki.control_plane_certificates("127.0.0.1"), *pki.node_certificates("127.0.0.1")]]
    assert len(names) == len(set(names))


@needs_openssl
def test_leaves_are_verified_by_their_authority_and_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    pki.make_pki(folder, pki.control_plane_certificates("10.244.0.1"))

    def verifies(authority: str, leaf: str) -> bool:
        command = [
            "openssl",
            "verify",
            "-x509_strict",
            "-CAfile",
            str(folder / f"{authority}-ca.crt"),
            str(folder / f"{leaf}.crt"),
        ]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    assert verifies("kubernetes", "apiserver")
    assert not verifies("etcd", "apiserver")
    ssl.create_default_context(cafile=str(folder / "kubernetes-ca.crt")).load_cert_chain(
        folder / "admin.crt", folder / "admin.key"
    )
    assert (folder / "admin.key").stat().st_mode & 0o077 == 0


@needs_openssl
def test_a_second_call_keeps_what_is_there(tmp_path: Path) -> None:
    pki.make_pki(tmp_path / "pki", [])
    before = (tmp_path / "pki" / "service-account.key").read_bytes()
    pki.make_pki(tmp_path / "pki", [])
    assert (tmp_path / "pki" / "service-account.key").read_bytes() == before
