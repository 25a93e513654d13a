"""The command lines of etcd, the API server and the controller manager: the same for the full cluster and for tests.

Pure: values in, command lines and kubeconfigs out. Files are JSON where YAML is read, for JSON is YAML.
"""

import base64
import json
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from cluster.layout import SERVICE_NETWORK


@dataclass(frozen=True)
class Plane:
    """One control plane: where its files are and where it listens. etcd and the controller manager stay on the loopback."""

    folder: Path
    binaries: Path
    address: str
    api_port: int
    etcd_port: int
    etcd_peer_port: int
    controller_manager_port: int

    @property
    def pki(self) -> Path:
        return self.folder / "pki"

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.api_port}"

    def kubeconfig(self, name: str) -> Path:
        return self.folder / f"{name}.kubeconfig"


def kubeconfig(plane: Plane, certificate: str) -> str:
    """A kubeconfig that carries its certificates in itself: it may be copied anywhere."""

    def encoded(file: str) -> str:
        return base64.b64encode((plane.pki / file).read_bytes()).decode()

    cluster = {"server": plane.url, "certificate-authority-data": encoded("kubernetes-ca.crt")}
    user = {"client-certificate-data": encoded(f"{certificate}.crt"), "client-key-data": encoded(f"{certificate}.key")}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "podium", "cluster": cluster}],
        "users": [{"name": certificate, "user": user}],
        "contexts": [{"name": "podium", "context": {"cluster": "podium", "user": certificate}}],
        "current-context": "podium",
    }
    return json.dumps(content, indent=2) + "\n"


def etcd_command(plane: Plane) -> list[str]:
    """Without fsync: a machine that loses power loses a cluster that `up` makes anew within a minute."""
    client, peer = f"https://127.0.0.1:{plane.etcd_port}", f"http://127.0.0.1:{plane.etcd_peer_port}"
    return [
        str(plane.binaries / "etcd"),
        "--name=podium",
        f"--data-dir={plane.folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=podium={peer}",
        "--client-cert-auth",
        f"--trusted-ca-file={plane.pki / 'etcd-ca.crt'}",
        f"--cert-file={plane.pki / 'etcd.crt'}",
        f"--key-file={plane.pki / 'etcd.key'}",
        "--unsafe-no-fsync",
        "--logger=zap",
        "--log-level=warn",
    ]


def api_server_command(plane: Plane) -> list[str]:
    """No pod could use a loopback address, and Kubernetes refuses it as an endpoint: then none is written."""
    pki = plane.pki
    if IPv4Address(plane.address).is_loopback:
        endpoints = ["--endpoint-reconciler-type=none"]
    else:
        endpoints = [f"--advertise-address={plane.address}"]
    return [
        str(plane.binaries / "kube-apiserver"),
        f"--bind-address={plane.address}",
        f"--secure-port={plane.api_port}",
        *endpoints,
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        f"--etcd-servers=https://127.0.0.1:{plane.etcd_port}",
        f"--etcd-cafile={pki / 'etcd-ca.crt'}",
        f"--etcd-certfile={pki / 'apiserver-etcd-client.crt'}",
        f"--etcd-keyfile={pki / 'apiserver-etcd-client.key'}",
        f"--cert-dir={pki}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'kubernetes-ca.crt'}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki / 'service-account.pub'}",
        f"--service-account-signing-key-file={pki / 'service-account.key'}",
        f"--kubelet-certificate-authority={pki / 'kubernetes-ca.crt'}",
        f"--kubelet-client-certificate={pki / 'apiserver-kubelet-client.crt'}",
        f"--kubelet-client-key={pki / 'apiserver-kubelet-client.key'}",
        "--kubelet-preferred-address-types=InternalIP",
        f"--requestheader-client-ca-file={pki / 'front-proxy-ca.crt'}",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki / 'front-proxy-client.crt'}",
        f"--proxy-client-key-file={pki / 'front-proxy-client.key'}",
        "--profiling=false",
    ]


def controller_manager_command(plane: Plane) -> list[str]:
    """No election: there is one, and a restarted one must not wait for its own old lease."""
    config = plane.kubeconfig("controller-manager")
    return [
        str(plane.binaries / "kube-controller-manager"),
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--bind-address=127.0.0.1",
        f"--secure-port={plane.controller_manager_port}",
        "--leader-elect=false",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={plane.pki / 'service-account.key'}",
        f"--root-ca-file={plane.pki / 'kubernetes-ca.crt'}",
        f"--cluster-signing-cert-file={plane.pki / 'kubernetes-ca.crt'}",
        f"--cluster-signing-key-file={plane.pki / 'kubernetes-ca.key'}",
        "--kube-api-qps=100",
        "--kube-api-burst=200",
        "--profiling=false",
    ]
