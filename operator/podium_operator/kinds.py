"""Which kinds the operator touches and where the API server keeps them. Pure.

A fixed table in place of discovery: it is the list that the RBAC rules are checked against, costs no request at start
and writes no cache file.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

from podium_crds.names import API_VERSION, GROUP, VERSION

Manifest = dict[str, Any]
"""A Kubernetes object as JSON. Only at this edge: decisions work on typed values."""


@dataclass(frozen=True)
class Kind:
    group: str
    """Empty for the core group."""
    version: str
    plural: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        """The URL path. Without a namespace: all namespaces."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root, *(["namespaces", namespace] if namespace else []), self.plural, *([name] if name else [])]
        return "/".join([*parts, *([subresource] if subresource else [])])


KINDS: dict[str, Kind] = {
    "ConfigMap": Kind("", "v1", "configmaps"),
    "Pod": Kind("", "v1", "pods"),
    "Secret": Kind("", "v1", "secrets"),
    "Service": Kind("", "v1", "services"),
    "Deployment": Kind("apps", "v1", "deployments"),
    "HorizontalPodAutoscaler": Kind("autoscaling", "v2", "horizontalpodautoscalers"),
    "Job": Kind("batch", "v1", "jobs"),
    "Lease": Kind("coordination.k8s.io", "v1", "leases"),
    "EndpointSlice": Kind("discovery.k8s.io", "v1", "endpointslices"),
    "Event": Kind("events.k8s.io", "v1", "events"),
    "NetworkPolicy": Kind("networking.k8s.io", "v1", "networkpolicies"),
    "PodDisruptionBudget": Kind("policy", "v1", "poddisruptionbudgets"),
    "ModelVersion": Kind(GROUP, VERSION, "modelversions"),
    "ModelDeployment": Kind(GROUP, VERSION, "modeldeployments"),
}


class Key(NamedTuple):
    """What one reconcile works on."""

    kind: str
    """`ModelVersion` or `ModelDeployment`."""
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


def owner_reference(owner: Manifest) -> Manifest:
    """A controller owner reference to `owner`, a ModelVersion, ModelDeployment or Job as the API server gave it."""
    return {
        "apiVersion": owner.get("apiVersion", API_VERSION),
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": False,
    }


def is_owned_by(child: Manifest, uid: str) -> bool:
    """Whether the controller of `child` has this uid. An object of our name without it is a stranger's."""
    return any(ref.get("controller") and ref["uid"] == uid for ref in child["metadata"].get("ownerReferences", []))
