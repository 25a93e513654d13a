"""Which children there shall be, and which may go. Pure.

A pool goes when no plan names it, no endpoint leads to it, and no request is open that could still need it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from podium_crds.names import LABEL_POOL
from podium_crds.plan import Plan, PlannedChampion
from podium_crds.v1alpha1.model_deployment import PodTemplate
from podium_operator.deployments.observed import Observed, PodListed, PoolLive
from podium_operator.deployments.wish import Wish
from podium_operator.kinds import Manifest, is_owned_by
from podium_operator.manifests import engine
from podium_operator.manifests.autoscaler import autoscaler
from podium_operator.manifests.disruption import disruption_budget
from podium_operator.manifests.identity import Pool, challenger_pool
from podium_operator.manifests.network import network_policy, registry_port
from podium_operator.manifests.pods import Plant, Surroundings, pool_deployment
from podium_operator.manifests.secret import labels_secret, serving_secret
from podium_operator.manifests.services import forward_service, peers_service, public_service


@dataclass(frozen=True)
class Installation:
    """What children take from the installation."""

    surroundings: Surroundings
    operator_namespace: str
    collector_url: str
    secret_root: bytes
    collector_key: bytes


@dataclass(frozen=True)
class PoolWish:
    pool: Pool
    template: PodTemplate
    replicas: int
    """How many pods it starts with."""
    autoscaled: bool = False
    """An autoscaler owns the count afterwards."""


def pool_wishes(seen: Observed, wish: Wish) -> dict[str, PoolWish]:
    """Pools that shall be up, by id. Champion pools exist only once the record does: pods start on it."""
    wanted: dict[str, PoolWish] = {}
    for champion in _planned_champions(seen, wish):
        pool = Pool(id=champion.pool, image=champion.version.image)
        wanted[pool.id] = PoolWish(pool, seen.spec.serving.template, _champion_replicas(seen), _is_autoscaled(seen))
    challengers = {item.name: item for item in seen.spec.challengers}
    for item in wish.challengers if seen.committed else ():
        if item.pool is not None:
            spec = challengers[item.name]
            wanted[item.pool.id] = PoolWish(item.pool, spec.template or seen.spec.serving.template, spec.replicas)
    return wanted


def _planned_champions(seen: Observed, wish: Wish) -> Iterator[PlannedChampion]:
    if seen.committed is None:
        return
    yield seen.committed.champion
    if wish.plan is not None:
        yield wish.plan.champion


def _is_autoscaled(seen: Observed) -> bool:
    return seen.spec.serving.autoscaling is not None


def _champion_replicas(seen: Observed) -> int:
    """Under autoscaling a second pool starts with as many pods as the first one has come to."""
    scaling = seen.spec.serving.autoscaling
    if scaling is None:
        return seen.spec.serving.replicas or 1
    serving = seen.pools.get(seen.committed.champion.pool) if seen.committed else None
    return min(max(serving.replicas if serving else 0, scaling.min_replicas), scaling.max_replicas)


def replicas_to_hold(seen: Observed, wished: PoolWish, live: Manifest, *, ours: bool) -> int | None:
    """The count to be held for an autoscaled pool that stands; None: it is left alone. `ours`: podium-operator holds it yet.

    An autoscaler looks after the serving pool only. One that is on its way in grows with the serving one, and gets its count
    here also if its maker died before it was held: else it would never be large enough to take over.
    """
    count: int = live["spec"].get("replicas", 1)
    serves = seen.committed is not None and wished.pool.id == seen.committed.champion.pool
    if not serves and count < wished.replicas:
        return wished.replicas
    return count if ours else None


def kept_pools(seen: Observed, wished: Mapping[str, PoolWish]) -> set[str]:
    """Ids of the pools that some plan names, or that are wished."""
    plans = [plan for plan in (seen.committed, seen.record.pending) if plan is not None]
    routes = [route for plan in plans for route in plan.routes]
    challengers = {challenger_pool(route.name, route.version.image, route.version.digest).id for route in routes}
    return {*wished, *(plan.champion.pool for plan in plans), *challengers}


def shared_children(seen: Observed, wish: Wish, installation: Installation) -> list[Manifest]:
    """Everything but the pools, the public Service and the record."""
    owner = seen.owner
    secret = seen.children.get(("Secret", owner.child("serving")), {})
    children = [
        serving_secret(owner, installation.secret_root, installation.collector_key, secret.get("data") or {}),
        network_policy(owner, installation.operator_namespace, _called_ports(seen, wish), installation.collector_url),
        disruption_budget(owner),
    ]
    if seen.spec.capture.percent and installation.collector_url:
        # It stays when capture is turned off: what was captured may still be labelled.
        children.append(labels_secret(owner, installation.collector_key, installation.collector_url))
    if seen.committed is not None:
        pool = Pool(id=seen.committed.champion.pool, image=seen.committed.champion.version.image)
        children.append(peers_service(owner, pool))
        if seen.spec.serving.autoscaling is not None:
            children.append(autoscaler(owner, pool, seen.spec.serving.autoscaling))
    return children


def _called_ports(seen: Observed, wish: Wish) -> set[int]:
    """Of registries, and of what spec.serving names."""
    plans = [plan for plan in (seen.committed, wish.plan) if plan is not None]
    uris = [plan.champion.version.uri for plan in plans] + [route.version.uri for plan in plans for route in plan.routes]
    uris += [item.planned.uri for item in wish.challengers if item.planned]
    return {registry_port(uri) for uri in uris} | engine.called_ports(seen.spec.serving)


def pool_children(seen: Observed, wished: PoolWish, surroundings: Surroundings) -> list[Manifest]:
    """A pool's Services first: its pods find each other by them."""
    owner, pool = seen.owner, wished.pool
    replicas = None if wished.autoscaled else wished.replicas
    return [
        *([peers_service(owner, pool)] if pool.challenger else []),
        forward_service(owner, pool),
        pool_deployment(owner, pool, Plant(seen.spec.serving, wished.template, surroundings), replicas),
    ]


def public_child(seen: Observed) -> Manifest | None:
    """The public Service. It leads to the committed pool as soon as that pool's pods hold the committed plan.

    All that are ready: one that missed the commit still forwards to the pool before, which let go of its model.
    """
    if seen.committed is None:
        return None
    wanted = seen.committed.champion.pool
    live = seen.children.get(("Service", seen.owner.name), {}).get("spec", {}).get("selector", {}).get(LABEL_POOL, "")
    stays = live in seen.pools and live != wanted and bool(_ready_pods(seen, live)) and not _has_taken_over(seen, wanted)
    return public_service(seen.owner, live if stays else wanted, tls=seen.spec.serving.tls is not None)


def _ready_pods(seen: Observed, pool: str) -> list[PodListed]:
    return [pod for pod in seen.champion_pods if pod.pool == pool and pod.ready and not pod.terminating]


def _has_taken_over(seen: Observed, pool: str) -> bool:
    """Whether all ready pods of the committed pool, one at least, hold the committed plan. A silent one that was seen with
    it does; one of which nobody knows is sent the commit, or replaced."""
    pods = _ready_pods(seen, pool)
    return bool(pods) and all(_holds_committed(seen, pod) for pod in pods)


def _holds_committed(seen: Observed, pod: PodListed) -> bool:
    committed, status = seen.committed, seen.status_of(pod)
    assert committed is not None
    if status is None:
        return pod.uid in seen.confirmed
    return status.committed is not None and status.committed.epoch >= committed.epoch


def removable_pools(seen: Observed, kept: set[str]) -> list[PoolLive]:
    """Pools that nobody needs any more."""
    if seen.committed is None:
        return []
    settled = all(_is_done_with_the_past(seen, seen.committed, uid) for uid in (pod.uid for pod in seen.champion_pods))
    return [pool for pool in seen.pools.values() if pool.id not in kept and settled and not _is_used(seen, pool)]


def _is_done_with_the_past(seen: Observed, committed: Plan, uid: str) -> bool:
    """Whether no request admitted under an earlier plan is open: it could still be forwarded to an old pool."""
    pod = next(pod for pod in seen.champion_pods if pod.uid == uid)
    status = seen.status_of(pod)
    if status is None:
        return not seen.in_service(pod)
    if seen.in_service(pod) and (status.committed is None or status.committed.epoch < committed.epoch):
        return False
    return not any(count for epoch, count in status.open_requests.items() if epoch < committed.epoch)


def _is_used(seen: Observed, pool: PoolLive) -> bool:
    pods = [pod for pod in seen.pods if pod.pool == pool.id]
    selected = seen.children.get(("Service", seen.owner.name), {}).get("spec", {}).get("selector", {}).get(LABEL_POOL)
    if selected == pool.id or any(pod.uid in seen.public_endpoints for pod in pods):
        return True
    statuses = [status for pod in pods if (status := seen.status_of(pod))]
    return any(sum(status.open_requests.values()) for status in statuses)


def children_of_pool(seen: Observed, pool_id: str) -> list[Manifest]:
    """Everything that goes with a pool."""
    return [
        child
        for child in seen.children.values()
        if child["metadata"].get("labels", {}).get(LABEL_POOL) == pool_id and is_owned_by(child, seen.owner.uid)
    ]


def unwanted_children(seen: Observed, kept: set[str]) -> list[Manifest]:
    """Children that an earlier spec asked for: an autoscaler, or what is left of a pool whose Deployment is gone."""
    unwanted = [
        child
        for pool_id in {child["metadata"].get("labels", {}).get(LABEL_POOL, "") for child in seen.children.values()}
        if pool_id and pool_id not in kept and pool_id not in seen.pools
        for child in children_of_pool(seen, pool_id)
    ]
    found = seen.children.get(("HorizontalPodAutoscaler", seen.owner.child("autoscaler")))
    if found is not None and not _is_autoscaled(seen) and is_owned_by(found, seen.owner.uid):
        unwanted.append(found)
    return unwanted


def foreign_children(seen: Observed, wanted: list[Manifest]) -> list[Manifest]:
    """Objects that stand where a child should be and belong to somebody else."""
    found = (seen.children.get((item["kind"], item["metadata"]["name"])) for item in wanted)
    return [child for child in found if child is not None and not is_owned_by(child, seen.owner.uid)]
