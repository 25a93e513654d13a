"""Values that tests of the operator's deployments share: a ModelDeployment, plans, pods as seen."""

from collections.abc import Mapping
from typing import Any

from podium_crds.plan import (
    Commit,
    ControlStatus,
    DeploymentKey,
    Failure,
    HeldPlan,
    Plan,
    PlannedChampion,
    PlannedRoute,
    PlannedVersion,
    SigningKey,
)
from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec, ModelDeploymentStatus
from podium_operator.deployments.observed import Observed, PodListed, PoolLive, Record
from podium_operator.deployments.steps import PodSeen, Sealed, Silence
from podium_operator.deployments.versions_seen import Verdict, VersionSeen
from podium_operator.manifests.identity import Owner
from podium_operator.manifests.record import Notes

OWNER = Owner("retention", "churn", "3c1d0f52-0000-4000-8000-000000000001")
KEY = DeploymentKey(namespace="retention", name="churn", uid=OWNER.uid)
SIGNER = SigningKey.generate()
IMAGE = "registry.test/serving@sha256:" + "a" * 64
OTHER_IMAGE = "registry.test/built@sha256:" + "b" * 64
MIB = 2**20


def digest(name: str) -> str:
    return "sha256:" + name.encode().hex().ljust(64, "0")


def planned(name: str, image: str = IMAGE) -> PlannedVersion:
    return PlannedVersion(name=name, uri=f"oci://registry.test:5000/models/{name}", digest=digest(name), image=image)


def version(name: str, verdict: Verdict = Verdict.VERIFIED, **changed: Any) -> VersionSeen:
    facts: dict[str, Any] = {
        "uri": f"oci://registry.test:5000/models/{name}",
        "digest": digest(name),
        "image": IMAGE,
        "peak_memory_bytes": 100 * MIB,
        "contract": 2,
        "schema_digest": "sha256:schema",
        "inputs": "tenure FP32",
        "outputs": "score FP32",
    }
    return VersionSeen(name=name, verdict=verdict, **{**facts, **changed})


def versions(*items: VersionSeen) -> Mapping[str, VersionSeen]:
    return {item.name: item for item in items}


def plan(name: str = "churn-3", *, term: int = 1, epoch: int = 1, pool: str = "abcdef", **changed: Any) -> Plan:
    champion = PlannedChampion(version=changed.pop("version", planned(name)), pool=pool, host="host.retention.svc")
    return Plan(deployment=KEY, term=term, epoch=epoch, champion=champion, **changed)


def route(name: str, version_name: str, percent: int = 0, host: str = "route.retention.svc") -> PlannedRoute:
    return PlannedRoute(
        name=name,
        version=planned(version_name),
        mode="Canary" if percent else "Shadow",
        percent=percent,
        timeout_milliseconds=100,
        host=host,
    )


def sealed(found: Plan) -> Sealed:
    commit = Commit(plan=found)
    return Sealed(commit, SIGNER.sign(commit))


def spec(champion: str = "churn-3", **fields: Any) -> ModelDeploymentSpec:
    return ModelDeploymentSpec.model_validate({"champion": {"modelVersionRef": {"name": champion}}, **fields})


def challenger(name: str, version_name: str, percent: int | None = None, **fields: Any) -> dict[str, Any]:
    canary = {"mode": "Shadow"} if percent is None else {"mode": "Canary", "percent": percent}
    return {"name": name, "modelVersionRef": {"name": version_name}, **canary, **fields}


def held(found: Plan) -> HeldPlan:
    champion = found.champion.version
    return HeldPlan(
        term=found.term,
        epoch=found.epoch,
        plan_digest=found.digest,
        version=champion.name,
        version_digest=champion.digest,
    )


def control_status(
    uid: str = "a",
    *,
    committed: Plan | None = None,
    prepared: Plan | None = None,
    preparing: Plan | None = None,
    failure: Failure | None = None,
    open_requests: dict[int, int] | None = None,
    pool: str = "abcdef",
) -> ControlStatus:
    return ControlStatus(
        pod_uid=uid,
        process_id="p-1",
        pool=pool,
        ready=committed is not None,
        committed=held(committed) if committed else None,
        prepared=held(prepared) if prepared else None,
        preparing=held(preparing) if preparing else None,
        failure=failure,
        open_requests=open_requests or {},
    )


def pod(
    uid: str = "a",
    *,
    committed: Plan | None = None,
    prepared: Plan | None = None,
    preparing: Plan | None = None,
    failure: Failure | None = None,
    silence: Silence | None = None,
    in_service: bool = True,
    pool: str = "abcdef",
    public: bool | None = None,
    **changed: Any,
) -> PodSeen:
    """Clients reach the pods in service of pool abcdef, unless `public` says so."""
    status = control_status(uid, committed=committed, prepared=prepared, preparing=preparing, failure=failure, pool=pool)
    reached = in_service and pool == "abcdef" if public is None else public
    return PodSeen(f"pod-{uid}", uid, pool, silence or status, in_service, reached, **changed)


def failure(found: Plan, fault: Any = "Version", reason: str = "GoldenRowsFailed") -> Failure:
    return Failure(fault=fault, reason=reason, message="row 2 differs", plan_digest=found.digest)


def listed(uid: str = "a", *, pool: str = "abcdef", challenger: str = "", **changed: Any) -> PodListed:
    facts: dict[str, Any] = {
        "address": "10.0.0.1",
        "ready": True,
        "terminating": False,
        "running": True,
        "waiting": "",
        "manifest": {"spec": {"containers": []}},
    }
    return PodListed(name=f"pod-{uid}", uid=uid, pool=pool, challenger=challenger, **{**facts, **changed})


def pool_live(id_: str = "abcdef", *, replicas: int = 2, challenger: str = "", **changed: Any) -> PoolLive:
    facts: dict[str, Any] = {"ready_replicas": replicas, "current": True, "stalled": "", "manifest": {}}
    return PoolLive(id=id_, challenger=challenger, replicas=replicas, **{**facts, **changed})


def owned(kind: str, name: str, **labels: str) -> dict[str, Any]:
    reference = {"kind": "ModelDeployment", "name": OWNER.name, "uid": OWNER.uid, "controller": True}
    metadata = {"name": name, "namespace": OWNER.namespace, "ownerReferences": [reference], "labels": labels}
    return {"kind": kind, "metadata": metadata}


def public_service_of(pool: str) -> dict[str, Any]:
    return {**owned("Service", OWNER.name), "spec": {"selector": {"podium.dev/pool": pool}}}


def observed(committed: Plan | None = None, **changed: Any) -> Observed:
    """Two pods of pool abcdef that answer with the committed plan, and the Service that leads to them."""
    pods = changed.pop("pods", (listed("a"), listed("b")))
    record = Record({"metadata": {}}, sealed(committed) if committed else None, changed.pop("pending", None), Notes())
    facts: dict[str, Any] = {
        "manifest": {"metadata": {"name": OWNER.name, "uid": OWNER.uid}},
        "owner": OWNER,
        "spec": spec("churn-3"),
        "status": ModelDeploymentStatus(),
        "generation": 2,
        "versions": {},
        "record": record,
        "answers": {item.uid: control_status(item.uid, committed=committed, pool=item.pool) for item in pods},
        "pools": {"abcdef": pool_live()},
        "children": {("Service", OWNER.name): public_service_of("abcdef")},
        "public_endpoints": frozenset(item.uid for item in pods if item.pool == "abcdef" and item.ready),
    }
    return Observed(pods=pods, **{**facts, **changed})
