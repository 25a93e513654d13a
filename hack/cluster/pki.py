"""The cluster's private certificates, made once per state folder with the openssl program.

Four authorities, because a server accepts every certificate of the authority it trusts: one for all would let a kubelet's
certificate command etcd or the Docker Engine.
"""

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

from cluster.console import run
from cluster.layout import API_SERVICE_ADDRESS, NODE_NAME

AUTHORITIES = ("kubernetes", "front-proxy", "etcd", "docker")
DAYS = "3650"


@dataclass(frozen=True)
class Certificate:
    """One leaf certificate, for a client unless `usage` says otherwise. `hosts` are a server's names and addresses."""

    name: str
    authority: str
    common_name: str
    organization: str = ""
    hosts: tuple[str, ...] = ()
    usage: str = "clientAuth"


def control_plane_certificates(address: str) -> list[Certificate]:
    """What etcd, the API server and its clients need when the API server listens on `address`."""
    names = (
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
    )
    hosts = (*names, API_SERVICE_ADDRESS, address, "127.0.0.1")
    return [
        Certificate("apiserver", "kubernetes", "kube-apiserver", hosts=hosts, usage="serverAuth"),
        Certificate("apiserver-kubelet-client", "kubernetes", "kube-apiserver-kubelet-client", "system:masters"),
        Certificate("admin", "kubernetes", "podium-admin", "system:masters"),
        Certificate("controller-manager", "kubernetes", "system:kube-controller-manager"),
        Certificate("front-proxy-client", "front-proxy", "front-proxy-client"),
        Certificate("etcd", "etcd", "etcd", hosts=("127.0.0.1", "localhost"), usage="serverAuth,clientAuth"),
        Certificate("apiserver-etcd-client", "etcd", "kube-apiserver-etcd-client"),
    ]


def node_certificates(address: str) -> list[Certificate]:
    """What the node's own programs and the Docker Engine need."""
    return [
        Certificate("scheduler", "kubernetes", "system:kube-scheduler"),
        Certificate("proxy", "kubernetes", "system:kube-proxy"),
        Certificate("kubelet-client", "kubernetes", f"system:node:{NODE_NAME}", "system:nodes"),
        Certificate("kubelet", "kubernetes", NODE_NAME, hosts=(NODE_NAME, address), usage="serverAuth"),
        Certificate("docker", "docker", "docker", hosts=(address,), usage="serverAuth"),
        Certificate("docker-client", "docker", "podium-builder"),
    ]


def alternative_names(hosts: Sequence[str]) -> str:
    return ",".join(f"{'IP' if is_address(host) else 'DNS'}:{host}" for host in hosts)


def is_address(host: str) -> bool:
    try:
        IPv4Address(host)
    except AddressValueError:
        return False
    return True


def openssl_config(certificate: Certificate | None) -> str:
    """The extensions of a leaf, or of an authority for None. In full: the machine's openssl.cnf must not add its own."""
    if certificate is None:
        extensions = ["basicConstraints = critical, CA:TRUE", "keyUsage = critical, keyCertSign, cRLSign, digitalSignature"]
    else:
        extensions = [
            "basicConstraints = critical, CA:FALSE",
            "keyUsage = critical, digitalSignature",
            f"extendedKeyUsage = {certificate.usage}",
        ]
        if certificate.hosts:
            extensions.append(f"subjectAltName = {alternative_names(certificate.hosts)}")
    extensions.append("subjectKeyIdentifier = hash")
    return "\n".join(
        ["[req]", "distinguished_name = name", "x509_extensions = extensions", "[name]", "[extensions]", *extensions, ""]
    )


def issue(folder: Path, name: str, subject: str, config: str, authority: str = "") -> None:
    """Makes <name>.key and <name>.crt; without an authority it signs itself."""
    config_file = folder / f"{name}.cnf"
    config_file.write_text(config)
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256"]
    command += ["-days", DAYS, "-subj", subject, "-config", str(config_file)]
    command += ["-keyout", str(folder / f"{name}.key"), "-out", str(folder / f"{name}.crt")]
    if authority:
        command += ["-CA", str(folder / f"{authority}-ca.crt"), "-CAkey", str(folder / f"{authority}-ca.key")]
    run(command)
    config_file.unlink()


def make_pki(folder: Path, certificates: Sequence[Certificate]) -> None:
    """All authorities, certificates and the service-account key, unless the folder is there: it appears complete."""
    if folder.is_dir():
        return
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o700)

    def authority(name: str) -> None:
        issue(partial, f"{name}-ca", f"/CN=podium-{name}-ca", openssl_config(None))

    def leaf(certificate: Certificate) -> None:
        organization = f"/O={certificate.organization}" if certificate.organization else ""
        subject = f"{organization}/CN={certificate.common_name}"
        issue(partial, certificate.name, subject, openssl_config(certificate), certificate.authority)

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        list(pool.map(authority, AUTHORITIES))
        list(pool.map(leaf, certificates))
    secret, public = partial / "service-account.key", partial / "service-account.pub"
    run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-out", secret])
    run(["openssl", "pkey", "-in", secret, "-pubout", "-out", public])
    partial.rename(folder)
