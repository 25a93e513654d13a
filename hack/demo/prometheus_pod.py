"""What the demo's Prometheus is made of in the cluster."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from demo import discovery, scraping
from demo.manifests import Manifest

PLACE = "podium-prometheus"
"""Its namespace."""
SELECTOR = {"app.kubernetes.io/name": "prometheus"}
NOBODY = 65534
CONTAINER = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
POD = {
    "runAsNonRoot": True,
    "runAsUser": NOBODY,
    "runAsGroup": NOBODY,
    "fsGroup": NOBODY,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@dataclass(frozen=True)
class Images:
    prometheus: str
    python: str = ""
    """For discovery.py, where Prometheus has no Kubernetes discovery of its own."""


def manifests(images: Images, config: Manifest, rules: Manifest) -> list[Manifest]:
    """Of its own namespace, which comes first."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    files = {
        "prometheus.yml": yaml.safe_dump(config, sort_keys=False),
        "rules.yml": yaml.safe_dump(rules, sort_keys=False),
    }
    if images.python:
        files["prometheus.yml"] = yaml.safe_dump(scraping.told_by_http(config, discovery.PORT), sort_keys=False)
        files["discovery.py"] = Path(discovery.__file__).read_text(encoding="utf-8")
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": PLACE, "labels": labels}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata()},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(), "data": files},
        _deployment(images),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _metadata(),
            "spec": {"selector": SELECTOR, "ports": [{"name": "http", "port": 9090}]},
        },
    ]


def _metadata(namespace: str = PLACE) -> Manifest:
    return {"name": "prometheus", "namespace": namespace}


def rights(namespace: str) -> list[Manifest]:
    """What discovery of pods and of EndpointSlices reads, in a namespace that is scraped."""
    reading = ["get", "list", "watch"]
    group = "rbac.authorization.k8s.io"
    return [
        {
            "apiVersion": f"{group}/v1",
            "kind": "Role",
            "metadata": _metadata(namespace),
            "rules": [
                {"apiGroups": [""], "resources": ["pods", "services"], "verbs": reading},
                {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": reading},
            ],
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": _metadata(namespace),
            "roleRef": {"apiGroup": group, "kind": "Role", "name": "prometheus"},
            "subjects": [{"kind": "ServiceAccount", "name": "prometheus", "namespace": PLACE}],
        },
    ]


def _deployment(images: Images) -> Manifest:
    pod = {
        "serviceAccountName": "prometheus",
        "securityContext": POD,
        "containers": [_prometheus(images.prometheus), *([_discovery(images.python)] if images.python else [])],
        "volumes": [
            {"name": "config", "configMap": {"name": "prometheus"}},
            {"name": "data", "emptyDir": {"sizeLimit": "1Gi"}},
        ],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(),
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},  # two at once would each have half of the story
            "selector": {"matchLabels": SELECTOR},
            "template": {"metadata": {"labels": SELECTOR}, "spec": pod},
        },
    }


def _prometheus(image: str) -> Manifest:
    return {
        "name": "prometheus",
        "image": image,
        "args": [
            "--config.file=/etc/prometheus/prometheus.yml",
            "--storage.tsdb.path=/prometheus",
            "--storage.tsdb.retention.time=1d",
        ],
        "ports": [{"name": "http", "containerPort": 9090}],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": "http"}, "periodSeconds": 1, "failureThreshold": 30},
        "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"cpu": "500m", "memory": "384Mi"}},
        "securityContext": CONTAINER,
        "volumeMounts": [
            {"name": "config", "mountPath": "/etc/prometheus", "readOnly": True},
            {"name": "data", "mountPath": "/prometheus"},
        ],
    }


def _discovery(image: str) -> Manifest:
    return {
        "name": "discovery",
        "image": image,
        "command": ["python3", "-B", "/etc/prometheus/discovery.py"],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "96Mi"}},
        "securityContext": CONTAINER,
        "volumeMounts": [{"name": "config", "mountPath": "/etc/prometheus", "readOnly": True}],
    }
