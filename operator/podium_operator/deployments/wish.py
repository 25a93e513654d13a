"""What the spec asks for, as a plan, or why it cannot be. Pure.

The manifest is one unit: when its champion is refused, nothing of it changes for the callers, and the committed plan
goes on. A challenger's trouble is its own: it is left out, and everything else goes ahead.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from podium_crds.names import SERVING_CONTRACT
from podium_crds.plan import (
    DeploymentKey,
    Failure,
    Plan,
    PlannedCapture,
    PlannedChampion,
    PlannedJoinKey,
    PlannedRoute,
    PlannedSticky,
    PlannedVersion,
)
from podium_crds.slots import Ranges, allocate
from podium_crds.v1alpha1.capture import Capture, JoinKey
from podium_crds.v1alpha1.model_deployment import Challenger, ModelDeploymentSpec, StickyBy
from podium_operator.deployments.pools import Room, champion_pool
from podium_operator.deployments.resolved import Refusal, is_outdated, resolved
from podium_operator.deployments.versions_seen import VersionSeen
from podium_operator.manifests.identity import Owner, Pool, challenger_pool
from podium_operator.manifests.record import Notes
from podium_operator.manifests.services import forward_host


@dataclass(frozen=True)
class FailedPlan:
    """A plan that the pods could not prepare. It is not tried again now, nor is its champion in another plan."""

    plan: Plan
    failure: Failure

    def concerns(self, version: PlannedVersion) -> bool:
        failed = self.plan.champion.version
        return (failed.digest, failed.image) == (version.digest, version.image)

    @property
    def refusal(self) -> Refusal:
        """A pod's fault may pass by itself (a registry comes back), a version's does not."""
        name, terminal = self.plan.champion.version.name, self.failure.fault == "Version"
        message = f"the pods could not prepare version '{name}': {self.failure.message}"
        return Refusal(self.failure.reason, message, terminal)


@dataclass(frozen=True)
class WishInput:
    owner: Owner
    spec: ModelDeploymentSpec
    versions: Mapping[str, VersionSeen]
    """By name; a missing name is a ModelVersion that is not there."""
    committed: Plan | None
    notes: Notes
    ready_pools: frozenset[str]
    """Ids of challenger pools with a ready pod."""
    rooms: tuple[Room, ...] = ()
    """What champion pods have for their versions, as they run and as they are wished."""
    capture_url: str = ""
    failed: FailedPlan | None = None
    may_move: bool = False
    """It is this deployment's turn to take its champion to an image of today."""


ChallengerState = Literal["Serving", "Starting", "Waiting", "Refused"]


@dataclass(frozen=True)
class ChallengerWish:
    name: str
    version: str
    mode: Literal["Shadow", "Canary"]
    state: ChallengerState
    message: str = ""
    reason: str = ""
    pool: Pool | None = None
    """The pool that shall be up; None when refused or when its image is not known."""
    planned: PlannedVersion | None = None
    route: PlannedRoute | None = None
    """Slots are still empty."""


@dataclass(frozen=True)
class Wish:
    plan: Plan | None
    """Term 0 and epoch 1 stand for "not yet". None: refused, the committed plan goes on."""
    refusal: Refusal | None
    challengers: tuple[ChallengerWish, ...] = ()
    champion: VersionSeen | None = None
    """The wished champion's facts where it is accepted and its ModelVersion is there."""


def wish(seen: WishInput) -> Wish:
    champion = wished_champion(seen)
    if isinstance(champion, Refusal):
        return Wish(None, champion, _kept_challengers(seen, champion))
    facts = seen.versions.get(champion.name)
    challengers = tuple(_challenger(seen, champion, item) for item in seen.spec.challengers)
    plan = Plan(
        deployment=_key(seen.owner),
        term=0,
        epoch=1,
        champion=_planned_champion(seen, champion, facts),
        routes=_routes(seen.committed, challengers),
        sticky=_sticky(seen.spec.sticky_by),
        timeout_milliseconds=seen.spec.serving.timeout_milliseconds,
        capture=planned_capture(seen.spec.capture, seen.capture_url),
    )
    if seen.failed and seen.failed.plan.says_the_same(plan):
        return Wish(None, seen.failed.refusal, _kept_challengers(seen, seen.failed.refusal))
    return Wish(plan, None, challengers, facts)


def wants_move(seen: WishInput) -> bool:
    """Whether the champion serves in an image of an earlier contract, and was verified in one of today."""
    if seen.committed is None or seen.notes.contract >= SERVING_CONTRACT:
        return False
    committed = seen.committed.champion.version
    found = seen.versions.get(committed.name)
    if found is None or (seen.failed is not None and seen.failed.concerns(found.planned)):
        return False
    return seen.spec.champion.model_version_ref.name == committed.name and is_outdated(committed, found)


def wished_champion(seen: WishInput) -> PlannedVersion | Refusal:
    name = seen.spec.champion.model_version_ref.name
    committed = seen.committed.champion.version if seen.committed else None
    chosen = resolved(name, seen.versions.get(name), committed, moves=seen.may_move and wants_move(seen))
    if isinstance(chosen, Refusal) or chosen == committed:
        return chosen
    if seen.failed and seen.failed.concerns(chosen):
        return seen.failed.refusal
    return _schema_refusal(seen, name) or chosen


def _schema_refusal(seen: WishInput, name: str) -> Refusal | None:
    wished, serving = seen.versions[name], seen.notes
    if seen.committed is None or not serving.schema_digest or wished.schema_digest == serving.schema_digest:
        return None
    before = seen.committed.champion.version.name
    message = (
        f"version '{name}' takes {wished.inputs} and gives {wished.outputs}, but '{before}', which serves, takes "
        f"{serving.inputs} and gives {serving.outputs}: callers would break; deploy it under another name"
    )
    return Refusal("SchemaChanged", message, terminal=True)


def _planned_champion(seen: WishInput, version: PlannedVersion, facts: VersionSeen | None) -> PlannedChampion:
    committed = seen.committed.champion if seen.committed else None
    wished_peak = facts.peak_memory_bytes if facts else 0
    pool = champion_pool(committed, version, seen.notes.peak_memory_bytes, wished_peak, seen.rooms)
    return PlannedChampion(version=version, pool=pool, host=forward_host(seen.owner, Pool(id=pool, image=version.image)))


def _challenger(seen: WishInput, champion: PlannedVersion, wanted: Challenger) -> ChallengerWish:
    name = wanted.model_version_ref.name
    route = _committed_route(seen.committed, wanted.name)
    serving = route.version if route else None
    version = resolved(name, seen.versions.get(name), serving, moves=True)
    old = route if route and route.version.digest != champion.digest else None
    if isinstance(version, Refusal):
        kept = None if version.terminal or old is None else _route(wanted, old.version, old.host)
        state: ChallengerState = "Refused" if version.terminal else "Waiting"
        return ChallengerWish(
            wanted.name,
            name,
            wanted.mode,
            state,
            version.message,
            version.reason,
            pool=_pool_of(wanted.name, kept),
            route=kept,
        )
    if refusal := _clash(seen, champion, version):
        return ChallengerWish(wanted.name, name, wanted.mode, "Refused", refusal.message, refusal.reason)
    pool = challenger_pool(wanted.name, version.image, version.digest)
    host = forward_host(seen.owner, pool)
    serves = pool.id in seen.ready_pools or (route is not None and route.host == host)
    if serves:
        ready_route = _route(wanted, version, host)
        return ChallengerWish(wanted.name, name, wanted.mode, "Serving", pool=pool, planned=version, route=ready_route)
    kept = _route(wanted, old.version, old.host) if old else None
    message = f"waiting for a ready pod with version '{name}'" + (f"; '{old.version.name}' goes on meanwhile" if old else "")
    return ChallengerWish(
        wanted.name, name, wanted.mode, "Starting", message, "PoolStarting", pool=pool, planned=version, route=kept
    )


def _pool_of(name: str, route: PlannedRoute | None) -> Pool | None:
    return challenger_pool(name, route.version.image, route.version.digest) if route else None


def _clash(seen: WishInput, champion: PlannedVersion, version: PlannedVersion) -> Refusal | None:
    if version.digest == champion.digest:
        message = f"'{version.name}' is the champion's own package ({version.digest}): nothing could be learned from it"
        return Refusal("SameAsChampion", message, terminal=True)
    own, wanted = seen.versions.get(version.name), _schema(seen, champion)
    if own is not None and own.schema_digest and wanted.digest and own.schema_digest != wanted.digest:
        message = (
            f"version '{version.name}' takes {own.inputs} and gives {own.outputs}, but the champion '{champion.name}' takes "
            f"{wanted.inputs} and gives {wanted.outputs}: a challenger must take and give the same"
        )
        return Refusal("SchemaChanged", message, terminal=True)
    return None


class _Schema(NamedTuple):
    digest: str
    inputs: str
    outputs: str


def _schema(seen: WishInput, champion: PlannedVersion) -> _Schema:
    """The champion's schema: from its ModelVersion, or from the record's notes when that is gone."""
    found = seen.versions.get(champion.name)
    if found is not None and found.digest == champion.digest and found.schema_digest:
        return _Schema(found.schema_digest, found.inputs, found.outputs)
    if seen.committed is not None and seen.committed.champion.version.digest == champion.digest:
        return _Schema(seen.notes.schema_digest, seen.notes.inputs, seen.notes.outputs)
    return _Schema("", "", "")


def _route(wanted: Challenger, version: PlannedVersion, host: str) -> PlannedRoute:
    return PlannedRoute(
        name=wanted.name,
        version=version,
        mode=wanted.mode,
        percent=(wanted.percent or 0) if wanted.mode == "Canary" else 0,
        timeout_milliseconds=wanted.timeout_milliseconds,
        host=host,
    )


def _routes(committed: Plan | None, challengers: tuple[ChallengerWish, ...]) -> list[PlannedRoute]:
    """Ordered by name, with slots: a plan must not change because a list was reordered."""
    wanted = sorted((item.route for item in challengers if item.route), key=lambda route: route.name)
    previous: dict[str, Ranges] = {route.name: route.slots for route in committed.routes} if committed else {}
    slots = allocate(previous, {route.name: route.percent for route in wanted if route.mode == "Canary"})
    return [route.model_copy(update={"slots": slots.get(route.name, [])}) for route in wanted]


def _committed_route(committed: Plan | None, name: str) -> PlannedRoute | None:
    return next((route for route in committed.routes if route.name == name), None) if committed else None


def _kept_challengers(seen: WishInput, refusal: Refusal) -> tuple[ChallengerWish, ...]:
    """While the champion is refused, routes stay as committed, and no pool is started."""
    kept = []
    for wanted in seen.spec.challengers:
        route = _committed_route(seen.committed, wanted.name)
        name = wanted.model_version_ref.name
        if route is not None and route.version.name == name:
            pool = _pool_of(wanted.name, route)
            kept.append(
                ChallengerWish(wanted.name, name, route.mode, "Serving", pool=pool, planned=route.version, route=route)
            )
        else:
            message = f"waits for the champion, which is refused: {refusal.reason}"
            kept.append(ChallengerWish(wanted.name, name, wanted.mode, "Waiting", message, "ChampionRefused"))
    return tuple(kept)


def _sticky(sticky: StickyBy) -> PlannedSticky:
    if sticky.type == "Header":
        return PlannedSticky(type="Header", name=(sticky.header or "").lower())
    return PlannedSticky(type=sticky.type, name=sticky.input or "" if sticky.type == "Input" else "")


def planned_capture(capture: Capture, url: str) -> PlannedCapture:
    """Names are sorted: a plan must not change because a list was reordered. Without a collector nothing is captured."""
    if not url or not (capture.percent or capture.always):
        return PlannedCapture()
    return PlannedCapture(
        percent=capture.percent,
        url=url,
        redact=sorted(capture.redact),
        hash=sorted(capture.hash),
        join_key=_join_key(capture.join_key),
        always=sorted(capture.always),
    )


def _join_key(key: JoinKey) -> PlannedJoinKey:
    return PlannedJoinKey(type=key.type, name=key.input or (key.header or "").lower())


def _key(owner: Owner) -> DeploymentKey:
    return DeploymentKey(namespace=owner.namespace, name=owner.name, uid=owner.uid)
