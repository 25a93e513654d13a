"""Applies children and removes those that nobody needs. What the API server refuses is a fact to report, not an end."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from podium_crds.names import FIELD_MANAGER
from podium_crds.plan import Plan, PlannedCapture, PlannedChampion
from podium_operator.deployments.children import (
    Installation,
    PoolWish,
    children_of_pool,
    foreign_children,
    kept_pools,
    pool_children,
    pool_wishes,
    public_child,
    removable_pools,
    replicas_to_hold,
    shared_children,
    unwanted_children,
)
from podium_operator.deployments.control import ControlClient
from podium_operator.deployments.observed import Observed, read_record
from podium_operator.deployments.steps import Sealed
from podium_operator.deployments.wish import ChallengerWish, Wish
from podium_operator.errors import Forbidden, Invalid
from podium_operator.kinds import Manifest
from podium_operator.manifests.record import challenger_record
from podium_operator.manifests.services import forward_host
from podium_operator.runtime.context import Context

log = logging.getLogger(__name__)

REPLICAS_MANAGER = "podium-operator-replicas"
"""Holds an autoscaled pool's replica count until the autoscaler does: a field that nobody holds falls back to 1."""

_CHALLENGER_TIMEOUT_MILLISECONDS = 300_000
"""A forward brings its own deadline; a challenger's record must not change with the deployment's timeout."""


@dataclass(frozen=True)
class Applied:
    problems: tuple[str, ...] = ()
    conflict: str = ""
    rolls: bool = False
    """A pool got another template or count just now: what was observed of its pods is out of date."""


class _Written(NamedTuple):
    """What became of one child."""

    problem: str = ""
    """What the API server has against it; empty: nothing."""
    changed: bool = False
    """It stood, and its spec is another one now."""


class ChildAppliers:
    def __init__(self, context: Context, control: ControlClient, installation: Installation) -> None:
        self._cluster = context.cluster
        self._term = context.term
        self._control = control
        self._installation = installation

    async def apply(self, seen: Observed, wish: Wish) -> Applied:
        """Raises ClusterError, but for refusals that concern one child: those are the problems."""
        public = public_child(seen)
        shared = [*shared_children(seen, wish, self._installation), *([public] if public else [])]
        wished = pool_wishes(seen, wish)
        foreign = foreign_children(seen, shared)
        taken = {(child["kind"], child["metadata"]["name"]) for child in foreign}
        ours = [child for child in shared if (child["kind"], child["metadata"]["name"]) not in taken]
        shared_written = await self._apply_all(seen, ours)
        pools_written = await self._apply_pools(seen, wished.values())
        problems = tuple(found.problem for found in [*shared_written, *pools_written] if found.problem)
        return Applied(problems, _conflict(seen, foreign), any(found.changed for found in pools_written))

    async def remove_unneeded(self, seen: Observed, wish: Wish) -> bool:
        """Deletes pools that are drained and what was left behind. Whether any pool is still to go."""
        kept = kept_pools(seen, pool_wishes(seen, wish))
        removable = removable_pools(seen, kept)
        for pool in removable:
            for child in children_of_pool(seen, pool.id):
                await self._cluster.delete(child)
        for child in unwanted_children(seen, kept):
            await self._cluster.delete(child)
        return any(pool not in kept for pool in seen.pools)

    async def challenger_records(self, seen: Observed, wish: Wish) -> dict[str, Sealed]:
        """By pool id: each challenger pool's signed plan. Written where it is missing or not ours, before its pods start."""
        found = {}
        for item in wish.challengers:
            if item.pool is not None and item.planned is not None and seen.committed is not None:
                found[item.pool.id] = await self._challenger_record(seen, item)
        return found

    async def _challenger_record(self, seen: Observed, item: ChallengerWish) -> Sealed:
        assert item.pool is not None
        assert item.planned is not None
        owner = seen.owner
        live = seen.children.get(("ConfigMap", owner.child(item.pool.record_role)))
        held = read_record(live, lambda envelope: self._control.opened(envelope, owner.key)).committed
        champion = PlannedChampion(version=item.planned, pool=item.pool.id, host=forward_host(owner, item.pool))
        if held is not None and held.plan.champion == champion:
            return held
        plan = Plan(
            deployment=owner.key,
            term=self._term,
            epoch=held.plan.epoch + 1 if held else 1,
            role="challenger",
            champion=champion,
            timeout_milliseconds=_CHALLENGER_TIMEOUT_MILLISECONDS,
            # Its pods capture nothing, for they answer no client; they bring the version's reference to the collector.
            capture=PlannedCapture(url=self._installation.collector_url if seen.spec.capture.percent else ""),
        )
        sealed = self._control.seal(plan)
        await self._cluster.apply(challenger_record(owner, item.pool, sealed.envelope), seen=live)
        return sealed

    async def _apply_all(self, seen: Observed, children: Iterable[Manifest]) -> list[_Written]:
        return list(await asyncio.gather(*(self._apply_child(seen, child) for child in children)))

    async def _apply_pools(self, seen: Observed, wished: Iterable[PoolWish]) -> list[_Written]:
        written: list[_Written] = []
        for pool in wished:
            children = pool_children(seen, pool, self._installation.surroundings)
            if pool.autoscaled:
                await self._hand_replicas_over(seen, pool, children[-1])
            written += await self._apply_all(seen, children)
            if pool.autoscaled and ("Deployment", children[-1]["metadata"]["name"]) not in seen.children:
                await self._hold_replicas(children[-1], pool.replicas)
        return written

    async def _hand_replicas_over(self, seen: Observed, pool: PoolWish, deployment: Manifest) -> None:
        """Before podium-operator lets go of the count, the other manager holds it."""
        live = seen.children.get(("Deployment", deployment["metadata"]["name"]))
        replicas = replicas_to_hold(seen, pool, live, ours=_owns_replicas(live)) if live is not None else None
        if replicas is not None:
            await self._hold_replicas(deployment, replicas)

    async def _hold_replicas(self, deployment: Manifest, replicas: int) -> None:
        metadata = {name: deployment["metadata"][name] for name in ("name", "namespace")}
        held = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": replicas}}
        await self._cluster.apply_as(REPLICAS_MANAGER, held)

    async def _apply_child(self, seen: Observed, child: Manifest) -> _Written:
        kind, name = child["kind"], child["metadata"]["name"]
        live = seen.children.get((kind, name))
        try:
            after = await self._cluster.apply(child, seen=live)
        except (Forbidden, Invalid) as error:
            log.warning("%s %s was refused: %s", kind, name, error)
            return _Written(f"{kind} '{name}': {error.why}")
        # Kinds without a generation do not count it.
        changed = live is not None and live["metadata"].get("generation") != after["metadata"].get("generation")
        return _Written(changed=changed)


def _owns_replicas(live: Manifest) -> bool:
    return any(
        entry.get("manager") == FIELD_MANAGER and "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
        for entry in live["metadata"].get("managedFields", [])
    )


def _conflict(seen: Observed, foreign: list[Manifest]) -> str:
    if not foreign:
        return ""
    kind, name = foreign[0]["kind"], foreign[0]["metadata"]["name"]
    return (
        f"{kind} '{name}' is there already and does not belong to this ModelDeployment: delete it, or give the "
        "ModelDeployment another name"
    )
