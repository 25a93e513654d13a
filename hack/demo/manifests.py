"""What the demo applies, as a user would write it."""

from typing import Any

Manifest = dict[str, Any]

NAMESPACE = "podium-demo"
NODE_PORT = 30880
HEADER = "X-Customer-Id"


def namespace() -> Manifest:
    """Pod Security "restricted" is enforced: every pod that Podium makes has to pass it."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


def model_version(name: str, uri: str, digest: str, *, built: bool = False) -> Manifest:
    spec: Manifest = {"artifact": {"uri": uri, "digest": digest}}
    if built:
        spec["image"] = {"type": "Built"}
    return {
        "apiVersion": "podium.dev/v1alpha1",
        "kind": "ModelVersion",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": spec,
    }


def challenger(version: str, mode: str, percent: int | None = None) -> Manifest:
    """The version with the requirement of its own, in the shadow or as a canary."""
    found: Manifest = {
        "name": "contract-value",
        "modelVersionRef": {"name": version},
        "mode": mode,
        "timeoutMilliseconds": 300,
    }
    return found if percent is None else found | {"percent": percent}


def model_deployment(champion: str, *challengers: Manifest, replicas: int = 3) -> Manifest:
    """The endpoint `churn`: customers stick to their arm by a header of the app."""
    return {
        "apiVersion": "podium.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": "churn", "namespace": NAMESPACE},
        "spec": {
            "champion": {"modelVersionRef": {"name": champion}},
            "challengers": list(challengers),
            "stickyBy": {"type": "Header", "header": HEADER},
            "serving": {
                "replicas": replicas,
                "template": {"resources": {"requests": {"cpu": "50m", "memory": "160Mi"}, "limits": {"memory": "640Mi"}}},
            },
        },
    }


def node_port() -> Manifest:
    """A way in from outside of the cluster, as an Ingress or HTTPRoute would be: all champion pods, whatever their pool."""
    selector = {"podium.dev/deployment": "churn", "podium.dev/role": "champion"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "churn-from-outside", "namespace": NAMESPACE},
        "spec": {
            "type": "NodePort",
            "selector": selector,
            "ports": [{"name": "http", "port": 80, "targetPort": 8080, "nodePort": NODE_PORT}],
        },
    }
