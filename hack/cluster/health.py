"""Asks each component whether it works. A probe returns nothing when all is well, and raises with the reason."""

import http.client
import json
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

from cluster import layout
from cluster.layout import NODE_ADDRESS, NODE_NAME, Paths
from cluster.plane import Plane

Probe = Callable[[], None]


class Unhealthy(Exception):
    """The component answered, but not with what it answers when it works."""


NOT_YET = (OSError, http.client.HTTPException, Unhealthy, ValueError, KeyError)
"""What a probe raises while its component comes up."""


def get(address: str, port: int, path: str, tls: ssl.SSLContext | None = None, seconds: float = 3.0) -> bytes:
    connection: http.client.HTTPConnection
    if tls is None:
        connection = http.client.HTTPConnection(address, port, timeout=seconds)
    else:
        connection = http.client.HTTPSConnection(address, port, timeout=seconds, context=tls)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise Unhealthy(f"{path} answers {answer.status}: {body[:200].decode(errors='replace')}")
    return body


def client(pki: Path, authority: str, certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(pki / f"{authority}-ca.crt"))
    context.load_cert_chain(pki / f"{certificate}.crt", pki / f"{certificate}.key")
    return context


def unverified() -> ssl.SSLContext:
    """For health ports on the loopback whose server makes its own certificate at each start."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def plane_probes(plane: Plane) -> dict[str, Probe]:
    """The probes of the three that make a control plane."""
    return {
        "etcd": lambda: etcd_health(plane),
        "kube-apiserver": lambda: api_health(plane),
        "kube-controller-manager": lambda: discard(
            get("127.0.0.1", plane.controller_manager_port, "/healthz", unverified())
        ),
    }


def discard(_: object) -> None:
    """An answer with status 200 is all that is asked for."""


def etcd_health(plane: Plane) -> None:
    answer = json.loads(get("127.0.0.1", plane.etcd_port, "/health", client(plane.pki, "etcd", "apiserver-etcd-client")))
    if answer.get("health") != "true":
        raise Unhealthy(f"etcd says {answer}")


def api_health(plane: Plane) -> None:
    """Ready, and with the namespaces and the roles that its first minute makes: what follows will need them."""
    tls = client(plane.pki, "kubernetes", "admin")
    get(plane.address, plane.api_port, "/readyz", tls)
    get(plane.address, plane.api_port, "/api/v1/namespaces/default", tls)


def api_object(plane: Plane, path: str) -> Mapping[str, object]:
    found = json.loads(get(plane.address, plane.api_port, path, client(plane.pki, "kubernetes", "admin")))
    if not isinstance(found, dict):
        raise Unhealthy(f"{path} is no object")
    return found


def condition(item: Mapping[str, object], kind: str) -> None:
    """Raises unless the object's condition of this type is True."""
    status = item.get("status")
    conditions = status.get("conditions", []) if isinstance(status, dict) else []
    for entry in conditions:
        if entry["type"] == kind:
            if entry["status"] == "True":
                return
            raise Unhealthy(f"{kind} is {entry['status']}: {entry.get('message', '')}")
    raise Unhealthy(f"the condition {kind} is not there yet")


def kubelet_health(plane: Plane) -> None:
    get("127.0.0.1", layout.KUBELET_HEALTH_PORT, "/healthz")
    condition(api_object(plane, f"/api/v1/nodes/{NODE_NAME}"), "Ready")


def containerd_health(paths: Paths) -> None:
    """Its socket speaks HTTP/2: a settings frame must come back, which a frozen process does not send."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(3.0)
        connection.connect(str(paths.containerd_socket))
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
        frame = connection.recv(9)
    if len(frame) < 4 or frame[3] != 4:
        raise Unhealthy(f"containerd answers {frame!r}")


def deployment_health(plane: Plane, name: str) -> None:
    condition(api_object(plane, f"/apis/apps/v1/namespaces/kube-system/deployments/{name}"), "Available")


def metrics_health(plane: Plane) -> None:
    deployment_health(plane, "metrics-server")
    condition(api_object(plane, "/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io"), "Available")


def node_probes(paths: Paths, plane: Plane) -> dict[str, Probe]:
    return {
        "containerd": lambda: containerd_health(paths),
        "registry": lambda: discard(get(NODE_ADDRESS, layout.REGISTRY_PORT, "/v2/")),
        "docker": lambda: discard(
            get(NODE_ADDRESS, layout.DOCKER_PORT, "/_ping", client(paths.pki, "docker", "docker-client"))
        ),
        "kube-scheduler": lambda: discard(get("127.0.0.1", layout.SCHEDULER_PORT, "/healthz", unverified())),
        "kubelet": lambda: kubelet_health(plane),
        "kube-proxy": lambda: discard(get("127.0.0.1", layout.PROXY_HEALTH_PORT, "/healthz")),
    }


def addon_probes(plane: Plane) -> dict[str, Probe]:
    return {"coredns": lambda: deployment_health(plane, "coredns"), "metrics-server": lambda: metrics_health(plane)}
