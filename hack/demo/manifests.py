"""What the demo applies, as a user would write it."""

from typing import Any

Manifest = dict[str, Any]

NAMESPACE = "podium-demo"
NODE_PORT = 30880
HEADER = "X-Customer-Id"
LABEL_HORIZON_SECONDS = 180


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
                # A small machine that is node, builder and client at once may stand still for more than the usual second.
                "timeoutMilliseconds": 8000,
                "template": {"resources": {"requests": {"cpu": "50m", "memory": "160Mi"}, "limits": {"memory": "640Mi"}}},
            },
        },
    }


def watched_deployment(champion: str, shadow: str) -> Manifest:
    """The endpoint with everything that the monitor should look at, and a former champion in the shadow."""
    found = model_deployment(champion, {"name": "former", "modelVersionRef": {"name": shadow}, "mode": "Shadow"})
    found["spec"] |= {
        "capture": {"percent": 100},
        "promotion": {"metric": {"type": "LogLoss", "minimumImprovement": "0.01", "alpha": "0.05"}},
        "monitoring": {
            # A real one is weeks: a customer has not left before the contract ends. Labels must come within it.
            "labels": {"horizonSeconds": LABEL_HORIZON_SECONDS},
            "drift": {"windowSeconds": 3600},
            "performance": [{"metric": "Auc", "minimum": "0.83"}],
            "segments": ["contract"],
            "fairness": {"protected": ["senior_citizen"], "minimumRatio": "0.8"},
            "business": [
                # A call to a customer who was to leave keeps a third of them, worth 600; each call costs 20.
                {"name": "kept", "unit": "EUR", "expression": "if(prediction = '1', if(label = '1', 200, 0) - 20, 0)"}
            ],
        },
    }
    return found


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
