"""Reads the world of one ModelDeployment: the API server first, then the pods. All I/O of an observation is here."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence

from podium_crds.names import LABEL_DEPLOYMENT
from podium_crds.plan import ControlStatus, DeploymentKey
from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec
from podium_operator.cluster import Cluster
from podium_operator.deployments.control import Answer, ControlClient
from podium_operator.deployments.observed import (
    SERVICE_NAME,
    Observed,
    PodListed,
    Record,
    endpoint_uids,
    pod_listed,
    pools_of,
    read_record,
    status_seen,
)
from podium_operator.deployments.steps import Sealed, Silence
from podium_operator.deployments.versions_seen import VersionSeen, version_seen
from podium_operator.errors import Forbidden
from podium_operator.kinds import Key, Manifest
from podium_operator.manifests.engine import MountedSecret, mounted_secrets
from podium_operator.manifests.identity import Owner
from podium_operator.manifests.secret import LABELS_ROLE

Address = tuple[str, str]
"""Kind and name."""

_CONSISTENT = ("Deployment", "Service", "ConfigMap")
_CACHED = ("NetworkPolicy", "PodDisruptionBudget", "HorizontalPodAutoscaler")
"""Nothing is decided on these; an apply reads what it needs."""


class Observer:
    def __init__(self, cluster: Cluster, control: ControlClient) -> None:
        self._cluster = cluster
        self._control = control

    async def observe(self, key: Key) -> Observed | None:
        """None: it is gone, or going. Raises ClusterError."""
        manifest = await self._cluster.get("ModelDeployment", key.namespace, key.name)
        if manifest is None or "deletionTimestamp" in manifest["metadata"]:
            return None
        manifest = {"apiVersion": "podium.dev/v1alpha1", "kind": "ModelDeployment", **manifest}
        owner = Owner(key.namespace, key.name, manifest["metadata"]["uid"])
        spec = ModelDeploymentSpec.model_validate(manifest["spec"])
        # The record before the pods: a pod that a newer record brought along is then never taken for one that is ahead.
        children = await self._children(owner)
        record = self._record(owner, children)
        pods, slices, versions = await asyncio.gather(
            self._cluster.list("Pod", owner.namespace, {LABEL_DEPLOYMENT: owner.name}),
            self._cluster.list("EndpointSlice", owner.namespace, {SERVICE_NAME: owner.name}),
            self._versions(owner.namespace, _version_names(spec, record)),
        )
        listed = tuple(pod_listed(pod) for pod in pods)
        missing = await self._missing_secrets(owner.namespace, spec)
        return Observed(
            manifest=manifest,
            owner=owner,
            spec=spec,
            status=status_seen(manifest),
            generation=manifest["metadata"]["generation"],
            versions=versions,
            record=record,
            pods=listed,
            answers=await self.ask(listed, owner.key),
            pools=pools_of([child for (kind, _), child in children.items() if kind == "Deployment"], owner),
            children=children,
            public_endpoints=endpoint_uids(slices, owner.name),
            missing_secrets=missing,
        )

    async def _missing_secrets(self, namespace: str, spec: ModelDeploymentSpec) -> tuple[MountedSecret, ...]:
        """An installation may let the operator read fewer Secrets: of those it says nothing, and the pods do."""

        async def is_missing(secret: MountedSecret) -> bool:
            try:
                return not await self._cluster.exists("Secret", namespace, secret.name)
            except Forbidden:
                return False

        secrets = mounted_secrets(spec.serving)
        missing = await asyncio.gather(*(is_missing(secret) for secret in secrets))
        return tuple(secret for secret, gone in zip(secrets, missing, strict=True) if gone)

    async def ask(self, pods: Sequence[PodListed], key: DeploymentKey) -> dict[str, ControlStatus | Silence]:
        """All at once. A pod whose container does not run is not asked."""

        async def one(pod: PodListed) -> Answer:
            return await self._control.inquire(pod.address, pod.uid, key) if pod.running else Silence.NOT_STARTED

        answers = await asyncio.gather(*(one(pod) for pod in pods))
        return {pod.uid: answer for pod, answer in zip(pods, answers, strict=True)}

    async def highest_peer_commit(self, seen: Observed, token: str) -> Sealed | None:
        """The highest signed commit that any champion pod holds."""
        pods = [pod for pod in seen.champion_pods if seen.status_of(pod) is not None]
        key = seen.owner.key
        found = await asyncio.gather(*(self._control.peer_commit(pod.address, token, key) for pod in pods))
        return max((commit for commit in found if commit), key=lambda commit: commit.plan.order, default=None)

    def _record(self, owner: Owner, children: Mapping[Address, Manifest]) -> Record:
        manifest = children.get(("ConfigMap", owner.child("record")))
        return read_record(manifest, lambda envelope: self._control.opened(envelope, owner.key))

    async def _children(self, owner: Owner) -> dict[Address, Manifest]:
        labels = {LABEL_DEPLOYMENT: owner.name}
        lists = await asyncio.gather(
            *(self._cluster.list(kind, owner.namespace, labels) for kind in _CONSISTENT),
            *(self._cluster.list(kind, owner.namespace, labels, cached=True) for kind in _CACHED),
        )
        found = {(child["kind"], child["metadata"]["name"]): child for children in lists for child in children}
        # Secrets the operator may not list. The public Service may be a stranger's, and a record may have lost its labels.
        by_name = {
            ("Secret", owner.child("serving")),
            ("Secret", owner.child(LABELS_ROLE)),
            ("Service", owner.name),
            ("ConfigMap", owner.child("record")),
        }
        missing = sorted(by_name - found.keys())
        got = await asyncio.gather(*(self._cluster.get(kind, owner.namespace, name) for kind, name in missing))
        return found | {address: child for address, child in zip(missing, got, strict=True) if child is not None}

    async def _versions(self, namespace: str, names: Iterable[str]) -> dict[str, VersionSeen]:
        found = await asyncio.gather(*(self._cluster.get("ModelVersion", namespace, name) for name in sorted(names)))
        return {version["metadata"]["name"]: version_seen(version) for version in found if version is not None}


def _version_names(spec: ModelDeploymentSpec, record: Record) -> set[str]:
    """Those of the spec, and the committed ones: their pods may ask for a credential."""
    committed = record.committed.plan if record.committed else None
    planned = [committed.champion.version, *(route.version for route in committed.routes)] if committed else []
    return {
        spec.champion.model_version_ref.name,
        *(challenger.model_version_ref.name for challenger in spec.challengers),
        *(version.name for version in planned),
    }
