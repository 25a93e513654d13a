"""From a watch event to the keys it concerns. Pure but for the references that it learns.

A child tells its owner by label, so that no read is needed; a label that somebody forged costs one idle reconcile.
"""

from podium_crds.names import LABEL_DEPLOYMENT, LABEL_VERSION
from podium_operator.kinds import Key, Manifest
from podium_operator.runtime.references import References, versions_named_by

LABEL_VERSION_NAMESPACE = "podium.dev/model-version-namespace"
"""On build Jobs: they live in the operator's namespace, and this says where their version lives."""


def keys_for(kind: str, manifest: Manifest, *, gone: bool, references: References) -> list[Key]:
    """Whom to reconcile after an event of an object of `kind`. `gone`: it was deleted."""
    namespace, name = manifest["metadata"]["namespace"], manifest["metadata"]["name"]
    if kind == "ModelDeployment":
        key = Key(kind, namespace, name)
        touched = references.learn(key, () if gone else versions_named_by(manifest))
        return [key, *sorted(touched)]
    if kind == "ModelVersion":
        key = Key(kind, namespace, name)
        return [key, *references.users(key)]
    labels = manifest["metadata"].get("labels") or {}
    if kind == "Job":
        owner_namespace = labels.get(LABEL_VERSION_NAMESPACE, namespace)
        return [Key("ModelVersion", owner_namespace, labels[LABEL_VERSION])] if LABEL_VERSION in labels else []
    return [Key("ModelDeployment", namespace, labels[LABEL_DEPLOYMENT])] if LABEL_DEPLOYMENT in labels else []
