"""A pool: the Deployment of scoring pods.

The pod template names no version: a hot swap must not roll pods. It passes Pod Security "restricted" with any template that
a user may write.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from podium_crds.names import CONTROL_PORT, FORWARD_PORT, GRPC_PORT, HTTP_PORT, SERVING_CONTRACT
from podium_crds.v1alpha1.model_deployment import PodTemplate, Serving
from podium_operator.kinds import Manifest
from podium_operator.manifests import engine
from podium_operator.manifests.identity import Owner, Pool, child_labels, child_metadata, pool_selector

SCORING_USER = 65532
CACHE_DIR = "/var/lib/podium"
RECORD_DIR = "/etc/podium/record"
SECRET_DIR = "/etc/podium/secret"  # noqa: S105 - a path
CONTAINER = "scoring"

TERMINATION_GRACE_SECONDS = 45
PROGRESS_DEADLINE_SECONDS = 300
"""A pool without a new ready pod for so long is reported as stalled; it goes on trying."""

_AUTOSCALED_CPU_REQUEST = "250m"
"""Utilisation is a share of the request: without one an autoscaler reads nothing."""


@dataclass(frozen=True)
class Surroundings:
    """What the installation gives to all scoring pods."""

    public_keys: tuple[str, ...]
    insecure_registries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plant:
    """What a pool's pods are made from, its count apart."""

    serving: Serving
    template: PodTemplate
    """A challenger may have one of its own; all else is as in `serving`, so that no port of a deployment is open wider than
    another."""
    surroundings: Surroundings


def pool_deployment(owner: Owner, pool: Pool, plant: Plant, replicas: int | None) -> Manifest:
    """`replicas` None: an autoscaler owns the count."""
    selector = pool_selector(owner, pool)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": child_metadata(owner, owner.child(pool.role), pool),
        "spec": {
            **({} if replicas is None else {"replicas": replicas}),
            "selector": {"matchLabels": selector},
            "revisionHistoryLimit": 2,
            "progressDeadlineSeconds": PROGRESS_DEADLINE_SECONDS,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {
                "metadata": {"labels": {**child_labels(owner), **selector}},
                "spec": _pod(owner, pool, plant, autoscaled=replicas is None),
            },
        },
    }


def _pod(owner: Owner, pool: Pool, plant: Plant, *, autoscaled: bool) -> Manifest:
    template = plant.template
    tolerations = [item.model_dump(by_alias=True, exclude_none=True) for item in template.tolerations]
    pull_secrets = [{"name": secret.name} for secret in template.image_pull_secrets]
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": TERMINATION_GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": SCORING_USER,
            "runAsGroup": SCORING_USER,
            "fsGroup": SCORING_USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(owner, pool, plant, autoscaled=autoscaled)],
        "volumes": [*_volumes(owner, pool), *engine.volumes(plant.serving)],
        "topologySpreadConstraints": [
            _spread(owner, pool, "kubernetes.io/hostname"),
            _spread(owner, pool, "topology.kubernetes.io/zone"),
        ],
        **({"nodeSelector": dict(template.node_selector)} if template.node_selector else {}),
        **({"tolerations": tolerations} if tolerations else {}),
        **({"imagePullSecrets": pull_secrets} if pull_secrets else {}),
    }


def _container(owner: Owner, pool: Pool, plant: Plant, *, autoscaled: bool) -> Manifest:
    resources = pod_resources(plant.template, autoscaled=autoscaled)
    scheme = "HTTPS" if plant.serving.tls else "HTTP"
    return {
        "name": CONTAINER,
        "image": pool.image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "podium_serving", "serve", *_contract(plant.serving)],
        "env": _environment(owner, pool, plant),
        "ports": [
            {"name": "http", "containerPort": HTTP_PORT, "protocol": "TCP"},
            {"name": "control", "containerPort": CONTROL_PORT, "protocol": "TCP"},
            {"name": "forward", "containerPort": FORWARD_PORT, "protocol": "TCP"},
            {"name": "grpc", "containerPort": GRPC_PORT, "protocol": "TCP"},
        ],
        **({"resources": resources} if resources else {}),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        # What a pod says that refuses its settings reaches the condition of the ModelDeployment.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        # Two minutes to import and listen on a crowded node. A model that takes longer to load is unready, not dead.
        "startupProbe": _probe("/v2/health/live", scheme, period=1, timeout=2, failures=120),
        "livenessProbe": _probe("/v2/health/live", scheme, period=10, timeout=5, failures=6),
        # Each second: a pod that is behind must leave the Service at once.
        "readinessProbe": _probe("/v2/health/ready", scheme, period=1, timeout=2, failures=2),
        "volumeMounts": [
            {"name": "cache", "mountPath": CACHE_DIR},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a mount in the container
            {"name": "record", "mountPath": RECORD_DIR, "readOnly": True},
            {"name": "secret", "mountPath": SECRET_DIR, "readOnly": True},
            *engine.mounts(plant.serving),
        ],
    }


def _contract(serving: Serving) -> list[str]:
    """An image of an earlier Podium would take no notice of these settings, and answer without asking for a key. It does not
    know this option either: so its pods do not start, and those that run go on."""
    return ["--contract", str(SERVING_CONTRACT)] if engine.engine_environment(serving) else []


def pod_resources(template: PodTemplate, *, autoscaled: bool) -> Manifest:
    given: Manifest = template.resources.model_dump(by_alias=True, exclude_none=True) if template.resources else {}
    if "nvidia.com/gpu" in given.get("limits", {}):
        # As the API server gives it back.
        given["limits"]["nvidia.com/gpu"] = str(given["limits"]["nvidia.com/gpu"])
    if autoscaled and not any(given.get(kind, {}).get("cpu") for kind in ("requests", "limits")):
        given["requests"] = {**given.get("requests", {}), "cpu": _AUTOSCALED_CPU_REQUEST}
    return given


def _environment(owner: Owner, pool: Pool, plant: Plant) -> list[Manifest]:
    surroundings = plant.surroundings
    values = {
        "PODIUM_NAMESPACE": owner.namespace,
        "PODIUM_DEPLOYMENT": owner.name,
        "PODIUM_DEPLOYMENT_UID": owner.uid,
        "PODIUM_ROLE": pool.pod_role,
        "PODIUM_POOL": pool.id,
        "PODIUM_PUBLIC_KEYS": ",".join(surroundings.public_keys),
        "PODIUM_PEERS_HOST": owner.host(owner.child(pool.peers_role)),
        "PODIUM_RECORD_DIR": RECORD_DIR,
        "PODIUM_SECRET_DIR": SECRET_DIR,
        "PODIUM_CACHE_DIR": CACHE_DIR,
        "PODIUM_INSECURE_REGISTRIES": ",".join(surroundings.insecure_registries),
        **engine.engine_environment(plant.serving),
    }
    downward = {
        "PODIUM_POD_NAME": "metadata.name",
        "PODIUM_POD_UID": "metadata.uid",
        "PODIUM_POD_IP": "status.podIP",
    }
    return [
        *({"name": variable.name, "value": variable.value} for variable in plant.template.env),
        *({"name": name, "value": value} for name, value in values.items()),
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in downward.items()),
        *_limits(plant.template),
    ]


def _limits(template: PodTemplate) -> list[Manifest]:
    """Only where there is a limit: the downward API gives the node's capacity in its place, which limits nothing."""
    limits = template.resources.limits if template.resources else None
    found = []
    if limits and limits.memory:
        reference = {"containerName": CONTAINER, "resource": "limits.memory"}
        found.append({"name": "PODIUM_MEMORY_LIMIT_BYTES", "valueFrom": {"resourceFieldRef": reference}})
    if limits and limits.cpu:
        # In thousandths and divided there would be a rounding each: the divisor 1 rounds up to whole CPUs.
        reference = {"containerName": CONTAINER, "resource": "limits.cpu"}
        found.append({"name": "PODIUM_CPU_LIMIT", "valueFrom": {"resourceFieldRef": reference}})
    return found


def _volumes(owner: Owner, pool: Pool) -> Sequence[Manifest]:
    return [
        {"name": "cache", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
        # Optional: with its record deleted a pod still starts, and asks its peers.
        {"name": "record", "configMap": {"name": owner.child(pool.record_role), "optional": True}},
        {"name": "secret", "secret": {"secretName": owner.child("serving"), "defaultMode": 0o440}},
    ]


def _spread(owner: Owner, pool: Pool, topology: str) -> Manifest:
    return {
        "maxSkew": 1,
        "topologyKey": topology,
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": pool_selector(owner, pool)},
        "matchLabelKeys": ["pod-template-hash"],
    }


def _probe(path: str, scheme: str, *, period: int, timeout: int, failures: int) -> Manifest:
    return {
        "httpGet": {"path": path, "port": "http", "scheme": scheme},
        "periodSeconds": period,
        "timeoutSeconds": timeout,
        "failureThreshold": failures,
    }
