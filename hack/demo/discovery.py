"""Tells Prometheus by HTTP which pods and endpoints there are, with the labels of its own Kubernetes discovery.

Debian builds Prometheus without that discovery (its dependencies are not packaged), so this runs beside it in its pod, on
the base image's Python with nothing else; it must stay one file of the standard library. The labels are those of
https://prometheus.io/docs/prometheus/latest/configuration/configuration/#kubernetes_sd_config that the configurations of
scraping.py ask for; the answer is https://prometheus.io/docs/prometheus/latest/http_sd/.

    GET /pod/NAMESPACE              each port of each pod
    GET /endpointslice/NAMESPACE    each port of each endpoint of each Service
"""

import json
import os
import re
import signal
import ssl
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PORT = 9091
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
META = "__meta_kubernetes_"
LISTS = {"pods": "/api/v1", "services": "/api/v1", "endpointslices": "/apis/discovery.k8s.io/v1"}

Object = dict[str, Any]


def of_pods(pods: list[Object]) -> list[Object]:
    """Target groups, one per port of a pod that has an address."""
    return [
        _group(pod["status"]["podIP"], port["containerPort"], _pod(pod, name, port))
        for pod in pods
        if pod.get("status", {}).get("podIP")
        for name, port in _ports(pod)
    ]


def of_slices(slices: list[Object], services: list[Object], pods: list[Object]) -> list[Object]:
    """Target groups, one per port of an endpoint; with the labels of its Service, and of its pod if there is one."""
    service_by = {service["metadata"]["name"]: service for service in services}
    pod_by = {pod["metadata"]["name"]: pod for pod in pods}
    groups = []
    for one in slices:
        service = service_by.get(one["metadata"].get("labels", {}).get("kubernetes.io/service-name", ""))
        for endpoint in one.get("endpoints") or []:
            pod = pod_by.get(endpoint.get("targetRef", {}).get("name", ""))
            for port in one.get("ports") or []:
                labels = {f"{META}endpointslice_port_name": port.get("name", "")}
                labels |= _service(service) if service else {}
                labels |= _pod_behind(pod, port["port"]) if pod else {}
                labels[f"{META}namespace"] = one["metadata"]["namespace"]
                groups += [_group(address, port["port"], labels) for address in endpoint["addresses"]]
    return groups


def _ports(pod: Object) -> list[tuple[str, Object]]:
    """Each with its container's name."""
    return [(one["name"], port) for one in pod["spec"]["containers"] for port in one.get("ports", [])]


def _pod(pod: Object, container: str, port: Object) -> dict[str, str]:
    return {
        f"{META}namespace": pod["metadata"]["namespace"],
        f"{META}pod_name": pod["metadata"]["name"],
        f"{META}pod_phase": pod["status"].get("phase", ""),
        f"{META}pod_container_name": container,
        f"{META}pod_container_port_name": port.get("name", ""),
        **_labels("pod", pod),
    }


def _pod_behind(pod: Object, number: int) -> dict[str, str]:
    named = [(name, port) for name, port in _ports(pod) if port["containerPort"] == number]
    return _pod(pod, *named[0]) if named else {}


def _service(service: Object) -> dict[str, str]:
    return {f"{META}service_name": service["metadata"]["name"], **_labels("service", service)}


def _labels(kind: str, found: Object) -> dict[str, str]:
    told = {}
    for name, value in found["metadata"].get("labels", {}).items():
        plain = re.sub(r"[^a-zA-Z0-9_]", "_", name)
        told[f"{META}{kind}_label_{plain}"] = value
        told[f"{META}{kind}_labelpresent_{plain}"] = "true"
    return told


def _group(address: str, port: int, labels: dict[str, str]) -> Object:
    host = f"[{address}]" if ":" in address else address
    return {"targets": [f"{host}:{port}"], "labels": labels}


def listed(namespace: str, what: str) -> list[Object]:
    """From the API server, with the pod's own account. Raises OSError."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    url = f"https://{host}:{port}{LISTS[what]}/namespaces/{namespace}/{what}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"})
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=5, context=trust) as answer:
        found: list[Object] = json.load(answer)["items"]
    return found


def groups(path: str) -> list[Object] | None:
    """What a path asks for; None for any other."""
    match path.strip("/").split("/"):
        case ["pod", namespace]:
            return of_pods(listed(namespace, "pods"))
        case ["endpointslice", namespace]:
            return of_slices(*(listed(namespace, what) for what in ("endpointslices", "services", "pods")))
    return None


class Handler(BaseHTTPRequestHandler):
    """Prometheus keeps the targets that it has where the answer is none."""

    def do_GET(self) -> None:
        try:
            found = groups(self.path)
            status, text = (404, "no such list") if found is None else (200, json.dumps(found))
        except OSError as error:
            status, text = 502, f"the API server does not answer: {error}"
            print(text, file=sys.stderr, flush=True)
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if status == 200 else "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *values: Any) -> None:
        """Every five seconds the same: nobody reads it."""


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())  # the first process of a container has no handler by itself
    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
