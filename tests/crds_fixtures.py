"""Manifests as a user would write them, and what the API server answers to them."""

import json
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client
from kubernetes.client.exceptions import ApiException

Manifest = dict[str, Any]
DIGEST = "sha256:" + "4f" * 32
PLURALS = {"ModelDeployment": "modeldeployments", "ModelVersion": "modelversions"}


def manifest(kind: str, name: str, spec: Any) -> Manifest:
    whole = {"apiVersion": "podium.dev/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": "default"}}
    return whole if spec is None else {**whole, "spec": spec}


def deployment(name: str = "churn", **spec: Any) -> Manifest:
    return manifest("ModelDeployment", name, {"champion": {"modelVersionRef": {"name": "churn-3"}}, **spec})


def challenger(name: str, version: str) -> Manifest:
    return {"name": name, "modelVersionRef": {"name": version}, "mode": "Shadow"}


def version(name: str = "churn-3", artifact: Manifest | None = None, **spec: Any) -> Manifest:
    good = {"uri": "oci://registry.example.com/models/churn:3", "digest": DIGEST}
    return manifest("ModelVersion", name, {"artifact": {**good, **(artifact or {})}, **spec})


def unchecked(says: str) -> str:
    """What the API server adds when the shape is so wrong that it did not try the CEL rules."""
    noise = "some validation rules were not checked because the object was invalid"
    return f"[{says}, <nil>: Invalid value: null: {noise}; correct the existing errors to complete validation]"


def table(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return rows


def answer(row: dict[str, Any]) -> str:
    says = row["says"]
    return unchecked(says) if row.get("unchecked") else says


def refusal(api: client.CustomObjectsApi, manifest: Manifest, field_validation: str = "Strict") -> str:
    """What a dry run is answered, after `<kind> "<name>" is invalid: `. Nothing if the API server would take it."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    namespace = manifest["metadata"]["namespace"]
    try:
        api.create_namespaced_custom_object(
            "podium.dev", "v1alpha1", namespace, PLURALS[kind], manifest, dry_run="All", field_validation=field_validation
        )
    except ApiException as refused:
        return str(json.loads(refused.body or "{}")["message"]).removeprefix(f'{kind}.podium.dev "{name}" is invalid: ')
    return ""
