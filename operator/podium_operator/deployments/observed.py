"""What one observation of a ModelDeployment found, typed. Pure: manifests in, facts out."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from pydantic import ValidationError

from podium_crds.names import LABEL_CHALLENGER, LABEL_POOL, LABEL_ROLE, PENDING_KEY, RECORD_KEY
from podium_crds.plan import ControlStatus, Envelope, Plan
from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec, ModelDeploymentStatus
from podium_operator.deployments.steps import Sealed, Silence
from podium_operator.deployments.versions_seen import VersionSeen
from podium_operator.kinds import Manifest, is_owned_by
from podium_operator.manifests.engine import MountedSecret
from podium_operator.manifests.identity import Owner
from podium_operator.manifests.record import NOTES_KEY, Notes

T = TypeVar("T", Envelope, Plan, Notes)

SERVICE_NAME = "kubernetes.io/service-name"
_MAX_LAST_WORDS = 500


@dataclass(frozen=True)
class Record:
    """The record ConfigMap as read. Without one, or with a page in it that cannot be read, that part is None."""

    manifest: Manifest | None = None
    committed: Sealed | None = None
    pending: Plan | None = None
    notes: Notes = field(default_factory=Notes)


@dataclass(frozen=True)
class PodListed:
    """A pod as the API server lists it."""

    name: str
    uid: str
    pool: str
    challenger: str
    """Empty: a champion pod."""
    address: str
    ready: bool
    terminating: bool
    running: bool
    """Its container runs; else it holds nothing that could be asked for."""
    waiting: str
    """Why it does not run: `CrashLoopBackOff: back-off 10s restarting …`. Empty: nothing to say."""
    manifest: Manifest


@dataclass(frozen=True)
class PoolLive:
    """A pool's Deployment as it stands."""

    id: str
    challenger: str
    replicas: int
    ready_replicas: int
    current: bool
    """Its controller has seen the newest template, and all wished pods are of it and ready."""
    stalled: str
    """Why it does not get on. Empty: it does."""
    manifest: Manifest


@dataclass(frozen=True)
class Observed:
    """Everything that the decisions look at, the clock apart."""

    manifest: Manifest
    owner: Owner
    spec: ModelDeploymentSpec
    status: ModelDeploymentStatus
    generation: int
    versions: Mapping[str, VersionSeen]
    record: Record
    pods: tuple[PodListed, ...]
    answers: Mapping[str, ControlStatus | Silence]
    """By pod uid."""
    pools: Mapping[str, PoolLive]
    """By pool id."""
    children: Mapping[tuple[str, str], Manifest]
    """By kind and name."""
    public_endpoints: frozenset[str]
    """Uids of pods that the public Service sends requests to."""
    missing_secrets: tuple[MountedSecret, ...] = ()
    """Secrets of the user's that the spec names for the pods and that are not there: a pod without them does not start."""
    confirmed: frozenset[str] = frozenset()
    """Uids of pods that were last seen to answer with the committed plan. One that misses a question still answers."""

    @property
    def committed(self) -> Plan | None:
        return self.record.committed.plan if self.record.committed else None

    @property
    def champion_pods(self) -> tuple[PodListed, ...]:
        return tuple(pod for pod in self.pods if not pod.challenger)

    def status_of(self, pod: PodListed) -> ControlStatus | None:
        answer = self.answers.get(pod.uid)
        return answer if isinstance(answer, ControlStatus) else None

    def moving_seconds(self, now: datetime) -> float | None:
        """Since the champion's version moved, while clients still reach a pod of another pool than the champion's."""
        pool = self.committed.champion.pool if self.committed else ""
        if all(pod.pool == pool or pod.uid not in self.public_endpoints for pod in self.champion_pods):
            return None
        try:
            return (now - datetime.fromisoformat(self.record.notes.pool_since or self.record.notes.since)).total_seconds()
        except (ValueError, TypeError):  # somebody edited the notes
            return None

    def in_service(self, pod: PodListed) -> bool:
        """Whether requests may reach it. A terminating pod stays Ready while it drains: there the endpoints decide."""
        return pod.uid in self.public_endpoints or (pod.ready and not pod.terminating)


def read_record(manifest: Manifest | None, opened: Callable[[Envelope], Sealed | None]) -> Record:
    """`opened` checks the signature."""
    if manifest is None:
        return Record()
    data: Mapping[str, str] = manifest.get("data") or {}
    envelope = _parsed(Envelope, data.get(RECORD_KEY))
    return Record(
        manifest,
        opened(envelope) if envelope is not None else None,
        _parsed(Plan, data.get(PENDING_KEY)),
        _parsed(Notes, data.get(NOTES_KEY)) or Notes(),
    )


def _parsed(type_: type[T], text: str | None) -> T | None:
    try:
        return type_.model_validate_json(text) if text else None
    except ValidationError:
        return None


def pod_listed(manifest: Manifest) -> PodListed:
    labels, status = manifest["metadata"].get("labels", {}), manifest.get("status", {})
    containers = status.get("containerStatuses", [])
    return PodListed(
        name=manifest["metadata"]["name"],
        uid=manifest["metadata"]["uid"],
        pool=labels.get(LABEL_POOL, ""),
        challenger=labels.get(LABEL_CHALLENGER, ""),
        address=status.get("podIP", ""),
        ready=_condition(status, "Ready") == "True",
        terminating="deletionTimestamp" in manifest["metadata"],
        running=bool(status.get("podIP")) and any("running" in item.get("state", {}) for item in containers),
        waiting=_waiting(status, containers),
        manifest=manifest,
    )


def _waiting(status: Manifest, containers: Sequence[Manifest]) -> str:
    for item in containers:
        waiting = item.get("state", {}).get("waiting", {})
        if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
            last = item.get("lastState", {}).get("terminated", {})
            return f"{waiting['reason']}: {_last_words(last) or waiting.get('message', '')}".rstrip(": ")
        if (ended := item.get("state", {}).get("terminated")) is not None:
            said = _last_words(ended) or f"exit code {ended.get('exitCode')}"
            return f"{ended.get('reason', 'Error')}: {said}"
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason', 'Unschedulable')}: {condition.get('message', '')}"
    return ""


def _last_words(terminated: Manifest) -> str:
    """The last line that a container wrote, where the kubelet kept it: why it does not start."""
    lines = str(terminated.get("message", "")).strip().splitlines()
    return lines[-1].strip()[:_MAX_LAST_WORDS] if lines else ""


def pool_live(manifest: Manifest) -> PoolLive:
    labels, status = manifest["metadata"].get("labels", {}), manifest.get("status", {})
    replicas = manifest["spec"].get("replicas", 1)
    counts = [status.get(name, 0) for name in ("updatedReplicas", "readyReplicas", "availableReplicas")]
    seen = status.get("observedGeneration", 0) >= manifest["metadata"].get("generation", 1)
    return PoolLive(
        id=labels.get(LABEL_POOL, ""),
        challenger=labels.get(LABEL_CHALLENGER, ""),
        replicas=replicas,
        ready_replicas=status.get("readyReplicas", 0),
        current=seen and min(counts) >= replicas and status.get("replicas", 0) == replicas,
        stalled=_stalled(status),
        manifest=manifest,
    )


def _stalled(status: Manifest) -> str:
    for condition in status.get("conditions", []):
        if condition["type"] == "Progressing" and condition["status"] == "False":
            return str(condition.get("message", condition.get("reason", "")))
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return str(condition.get("message", condition.get("reason", "")))
    return ""


def pools_of(deployments: Sequence[Manifest], owner: Owner) -> dict[str, PoolLive]:
    owned = (
        pool_live(item) for item in deployments if is_owned_by(item, owner.uid) and LABEL_ROLE in item["metadata"]["labels"]
    )
    return {pool.id: pool for pool in owned}


def endpoint_uids(slices: Sequence[Manifest], service: str) -> frozenset[str]:
    """Uids of the pods that this Service's slices call ready; terminating ones are not."""
    return frozenset(
        endpoint["targetRef"]["uid"]
        for piece in slices
        if piece["metadata"].get("labels", {}).get(SERVICE_NAME) == service
        for endpoint in piece.get("endpoints") or []
        if endpoint.get("conditions", {}).get("ready", True) and "uid" in endpoint.get("targetRef", {})
    )


def _condition(status: Manifest, type_: str) -> str:
    return next((str(item["status"]) for item in status.get("conditions", []) if item["type"] == type_), "Unknown")


def status_seen(manifest: Manifest) -> ModelDeploymentStatus:
    """The status that stands there, or an empty one if somebody wrote what we cannot read."""
    try:
        return ModelDeploymentStatus.model_validate_json(json.dumps(manifest.get("status") or {}))
    except ValidationError:
        return ModelDeploymentStatus()
