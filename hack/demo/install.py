"""Podium into the cluster: images built and pushed, the Helm chart installed with them."""

import json
import sys
from typing import Any

from demo.kubectl import Kubectl
from demo.where import ROOT, Where

SYSTEM = "podium-system"
BUILDER_SECRET = "podium-builder"
VALUES = ROOT / ".build" / "values.json"
"""What the chart was last installed with."""


def build_images(where: Where) -> dict[str, str]:
    """References by digest of the operator, serving and monitor images."""
    where.show(sys.executable, "hack/images")
    images: dict[str, str] = json.loads((ROOT / ".build" / "images.json").read_text())
    return images


def values(where: Where, images: dict[str, str], *, monitor: bool = True) -> dict[str, Any]:
    found: dict[str, Any] = {
        "images": {part: {"reference": reference} for part, reference in images.items()},
        # Open: nobody signs in to a demo. A pause of 5 s instead of 30: nobody waits for one either.
        "monitor": {"enabled": monitor, "signIn": {"type": "Open"}, "evaluator": {"pauseSeconds": 5}},
    }
    if where.local:
        found["insecureRegistries"] = [where.registry]
        found["monitor"]["storage"] = {"type": "EmptyDir", "size": "1Gi"}  # the local cluster has no storage class
        found["builder"] = {
            "dockerHost": where.environment["DOCKER_HOST"],
            "certificatesSecret": BUILDER_SECRET,
            "repository": f"{where.registry}/podium/built",
            "caConfigMap": "podium-build-ca",
        }
    return found


def install(where: Where, images: dict[str, str], *, extra: dict[str, Any] | None = None) -> None:
    """`helm upgrade --install`, waiting until operator and monitor are ready."""
    kubectl = Kubectl(where, SYSTEM)
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM, "labels": labels}})
    if where.local:
        _give_builder_access(where, kubectl)
    chosen = values(where, images) | (extra or {})
    VALUES.write_text(json.dumps(chosen, indent=2))
    where.run(
        *("helm", "upgrade", "--install", "podium", "charts/podium", "--namespace", SYSTEM),
        *("--values", str(VALUES), "--wait", "--timeout", "4m"),
    )


def _give_builder_access(where: Where, kubectl: Kubectl) -> None:
    """The Docker Engine's client certificate, and the CA bundle of this machine for `pip install` in a build."""
    folder = where.environment["DOCKER_CERT_PATH"]
    secret = kubectl(
        *("create", "secret", "generic", BUILDER_SECRET, "--dry-run=client", "-o", "json"),
        *(f"--from-file={name}={folder}/{name}" for name in ("ca.pem", "cert.pem", "key.pem")),
    )
    bundle = kubectl(
        *("create", "configmap", "podium-build-ca", "--dry-run=client", "-o", "json"),
        "--from-file=ca.crt=/etc/ssl/certs/ca-certificates.crt",
    )
    kubectl.apply(json.loads(secret), json.loads(bundle))


def uninstall(where: Where) -> None:
    where.run("helm", "uninstall", "podium", "--namespace", SYSTEM, "--ignore-not-found", "--wait")
    where.run("kubectl", "delete", "namespace", SYSTEM, "--ignore-not-found", "--timeout=120s")
