"""The hot swap explored: two pods, two leaders, and every order of crash, freeze, restart and change of mind.

Leaders decide with the operator's `next_step`, pods with serving's own `decide`. Each write of the record and each message
is a step of its own, and between any two of them a leader may die, or freeze and wake up later with what it was about to do.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from podium_crds.plan import (
    Abort,
    Commit,
    ControlStatus,
    DeploymentKey,
    Failure,
    HeldPlan,
    Message,
    Plan,
    PlannedChampion,
    PlannedVersion,
    Prepare,
    SigningKey,
)
from podium_operator.deployments import steps, swap
from podium_operator.deployments.steps import PodSeen, Sealed, SwapSeen
from podium_serving.swap import decisions
from podium_serving.swap.decisions import Begin, CatchUp, Held, decide, prepared

KEY = DeploymentKey(namespace="retention", name="churn", uid="u-1")
SIGNER = SigningKey.generate()
POOL = "abcdef"
MAX_ROUNDS = 40


def plan_of(version: str, term: int = 0, epoch: int = 1) -> Plan:
    planned = PlannedVersion(name=version, uri=f"oci://r/{version}", digest=f"sha256:{version}", image="i@sha256:1")
    champion = PlannedChampion(version=planned, pool=POOL, host="h")
    return Plan(deployment=KEY, term=term, epoch=epoch, champion=champion)


@pytest.fixture(autouse=True)
def _each_digest_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few plans are asked for theirs hundreds of thousands of times: most of the time went there."""
    digest_of = Plan.digest.fget  # type: ignore[attr-defined]  # a property
    known: dict[int, tuple[Plan, str]] = {}  # the plan too: its id is its own as long as it lives

    def digest(plan: Plan) -> str:
        if id(plan) not in known:
            known[id(plan)] = plan, digest_of(plan)
        return known[id(plan)][1]

    monkeypatch.setattr(Plan, "digest", property(digest))


_SEALED: dict[str, Sealed] = {}


def sealed(plan: Plan) -> Sealed:
    if plan.digest not in _SEALED:
        commit = Commit(plan=plan)
        _SEALED[plan.digest] = Sealed(commit, SIGNER.sign(commit))
    return _SEALED[plan.digest]


@dataclass(frozen=True)
class Pod:
    uid: str
    held: Held
    in_service: bool = True
    failure: str = ""
    """Digest of the plan that it could not prepare for the version's fault."""
    silent: bool = False


@dataclass(frozen=True)
class Record:
    version: int
    committed: Plan
    pending: Plan | None = None
    highest: int = 0


@dataclass(frozen=True)
class Write:
    """Compare and swap on the record's version."""

    seen: int
    record: Record


@dataclass(frozen=True)
class Send:
    pod: str
    message: Message


@dataclass(frozen=True)
class Delete:
    pod: str


Op = Write | Send | Delete


@dataclass(frozen=True)
class World:
    record: Record
    pods: tuple[Pod, ...]
    wish: str
    term: int = 1
    ops: tuple[Op, ...] = ()
    """What the leader is about to do, in this order."""
    ghost: tuple[Op, ...] = ()
    """What the leader before it was about to do when it froze."""
    failed: str = ""
    """The version that this leader remembers as failed."""
    elections: int = 1
    restarts: int = 1
    changes: int = 1
    silences: int = 0
    born: int = 0

    @property
    def key(self) -> object:
        pods = tuple((p.uid, _held_key(p.held), p.in_service, p.failure, p.silent) for p in self.pods)
        record = (_digest(self.record.committed), _digest(self.record.pending), self.record.highest, self.record.version)
        budgets = (self.elections, self.restarts, self.changes, self.silences)
        ops = (tuple(map(_op_key, self.ops)), tuple(map(_op_key, self.ghost)))
        return (record, pods, self.wish, self.term, ops, self.failed, budgets)


def _digest(plan: Plan | None) -> str:
    return plan.digest if plan else ""


def _held_key(held: Held) -> object:
    preparation = _digest(held.preparation.plan) if held.preparation else ""
    return (held.term, _digest(held.committed), _digest(held.serving), preparation, held.aborted)


def _op_key(op: Op) -> object:
    match op:
        case Write(seen, record):
            return ("w", seen, _digest(record.committed), _digest(record.pending))
        case Send(pod, message):
            plan = message.plan.digest if isinstance(message, Prepare | Commit) else getattr(message, "plan_digest", "")
            return ("s", pod, message.kind, plan)
        case Delete(pod):
            return ("d", pod)


# --- pods: serving's own decisions, with an assembly that is instant ---


def receive(pod: Pod, message: Message) -> Pod:
    action, held = decide(pod.held, message, 0.0)
    match action, message:
        case Begin(), Prepare(plan=plan):
            if "bad" in plan.champion.version.name:
                return replace(pod, held=replace(held, preparation=None), failure=plan.digest)
            return replace(pod, held=prepared(held, plan.digest, 0.0), failure="")
        case CatchUp(), Commit(plan=plan):
            return replace(pod, held=decisions.caught_up(held, plan.digest), in_service=True)
        case _:
            in_service = pod.in_service or held.serving is not None
            return replace(pod, held=held, in_service=in_service)


def started(world: World, pod: Pod) -> Pod | None:
    """A starting pod's own way to readiness: the peers' highest commit, else the record; None while a peer is prepared."""
    peers = [other.held for other in world.pods if other.uid != pod.uid and not other.silent]
    known = [held.committed for held in peers if held.committed] or [world.record.committed]
    highest = max(known, key=lambda plan: plan.epoch)
    if any(held.preparation and held.preparation.plan.epoch > highest.epoch for held in peers):
        return None
    return receive(pod, Commit(plan=highest))


def status_of(pod: Pod) -> ControlStatus:
    def held_plan(plan: Plan | None) -> HeldPlan | None:
        if plan is None:
            return None
        version = plan.champion.version
        return HeldPlan(
            term=plan.term,
            epoch=plan.epoch,
            plan_digest=plan.digest,
            version=version.name,
            version_digest=version.digest,
        )

    failure = Failure(fault="Version", reason="GoldenRowsFailed", message="", plan_digest=pod.failure)
    return ControlStatus(
        pod_uid=pod.uid,
        process_id="p",
        pool=POOL,
        ready=pod.in_service,
        committed=held_plan(pod.held.serving),
        prepared=held_plan(pod.held.preparation.plan) if pod.held.preparation else None,
        failure=failure if pod.failure else None,
    )


# --- the leader: the operator's decision, its effects cut into single operations ---


def observed(world: World, troubled_seconds: float) -> SwapSeen:
    wished = None if world.failed == world.wish else plan_of(world.wish)
    return SwapSeen(
        term=world.term,
        committed=sealed(world.record.committed),
        pending=world.record.pending,
        highest_epoch=world.record.highest,
        wished=wished,
        pods=tuple(
            PodSeen(
                name=pod.uid,
                uid=pod.uid,
                pool=POOL,
                answer=steps.Silence.UNREACHABLE if pod.silent else status_of(pod),
                in_service=pod.in_service,
                public=pod.in_service,
                troubled_seconds=troubled_seconds if pod.silent else 0.0,
            )
            for pod in world.pods
        ),
        unserved_seconds=0.0 if any(pod.in_service for pod in world.pods) else 60.0,
    )


def decided(world: World, troubled_seconds: float) -> tuple[steps.Step, World]:
    step = swap.next_step(observed(world, troubled_seconds))
    record, everyone = world.record, [pod.uid for pod in world.pods]

    def write(**changed: object) -> Write:
        return Write(record.version, replace(record, version=record.version + 1, **changed))  # type: ignore[arg-type] # of a dataclass

    def to(pods: list[str], message: Message) -> tuple[Op, ...]:
        return tuple(Send(pod, message) for pod in pods)

    def abort(epoch: int, digest: str) -> Abort:
        return Abort(deployment=KEY, term=world.term, epoch=epoch, plan_digest=digest, expires_at=1e12)

    match step:
        case steps.Begin(plan):
            ops: tuple[Op, ...] = (write(pending=plan, highest=plan.epoch),)
        case steps.Prepare(plan, pods):
            ops = to([pod.uid for pod in pods], Prepare(plan=plan, expires_at=1e12))
        case steps.WriteCommit(plan):
            ops = (write(committed=plan, pending=None, highest=plan.epoch), *to(everyone, Commit(plan=plan)))
        case steps.SendCommit(commit, pods):
            ops = to([pod.uid for pod in pods], commit.commit)
        case steps.TakeBack(plan, failure=failure):
            highest = max(record.highest, plan.epoch)
            ops = (write(pending=None, highest=highest), *to(everyone, abort(plan.epoch, plan.digest)))
            world = replace(world, failed=plan.champion.version.name if failure else world.failed)
        case steps.AbortStray(stray):
            ops = tuple(Send(pod.uid, abort(held.epoch, held.plan_digest)) for pod, held in stray)
        case steps.Replace(pod):
            ops = (Delete(pod.uid),)
        case steps.Wait() | steps.Settled():
            ops = ()
        case _:
            raise AssertionError(f"no such step is expected here: {step}")
    return step, replace(world, ops=ops)


def carried_out(world: World, op: Op) -> tuple[World, bool]:
    """The world after `op`; False: the leader's other operations are void (its write was refused)."""
    match op:
        case Write(seen, record):
            if seen != world.record.version:
                return world, False
            check_write(world, record)
            return replace(world, record=record), True
        case Send(uid, message):
            pods = tuple(receive(pod, message) if pod.uid == uid and not pod.silent else pod for pod in world.pods)
            return replace(world, pods=pods), True
        case Delete(uid):
            fresh = Pod(f"n{world.born}", Held(pool=POOL), in_service=False)
            pods = (*(pod for pod in world.pods if pod.uid != uid), fresh)
            return replace(world, pods=pods, born=world.born + 1), True


# --- what must hold ---


def check_write(world: World, record: Record) -> None:
    before = world.record
    assert record.committed.epoch >= before.committed.epoch, "the record's epoch was lowered"
    if record.committed.digest == before.committed.digest:
        return
    assert record.committed.epoch > before.committed.epoch, "an epoch was used twice"
    for pod in world.pods:
        held = pod.held.preparation
        ready = held is not None and held.plan.digest == record.committed.digest
        assert ready or not pod.in_service, f"{pod.uid} is in service and does not hold what was committed"


def check_world(before: World, after: World, committed: set[str]) -> None:
    was = {pod.uid: pod.held for pod in before.pods}
    for pod in after.pods:
        serving = pod.held.serving
        if serving is None:
            continue
        assert serving.digest in committed, f"{pod.uid} answers with epoch {serving.epoch}, which was never committed"
        old = was.get(pod.uid)
        # A restarted process holds nothing; from then on it never goes back.
        if old is not None and old.serving is not None:
            assert serving.epoch >= old.serving.epoch, f"{pod.uid} went back from {old.serving.epoch}"


def check_settles(world: World) -> None:
    """Left alone, the leader brings everything in order."""
    for _ in range(MAX_ROUNDS):
        while world.ops:
            op, rest = world.ops[0], world.ops[1:]
            world, went = carried_out(replace(world, ops=rest), op)
            world = world if went else replace(world, ops=())
        world = replace(world, pods=tuple(pod if pod.in_service else started(world, pod) or pod for pod in world.pods))
        step, world = decided(world, troubled_seconds=60.0)
        if isinstance(step, steps.Settled):
            check_settled(world)
            return
    raise AssertionError(f"not settled after {MAX_ROUNDS} rounds, the last step is {step}")


def check_settled(world: World) -> None:
    committed = world.record.committed
    assert world.record.pending is None
    if world.failed != world.wish:
        assert committed.champion.version.name == world.wish
    assert "bad" not in committed.champion.version.name
    for pod in world.pods:
        if not pod.silent:
            assert pod.held.serving is not None
            assert pod.held.serving.digest == committed.digest, f"{pod.uid} was left behind"
            assert pod.held.preparation is None


# --- every order of events ---


def successors(world: World, wishes: tuple[str, ...]) -> Iterator[World]:
    yield from _leading(world)
    if world.ghost:
        ghostly, went = carried_out(replace(world, ghost=world.ghost[1:]), world.ghost[0])
        yield ghostly if went else replace(world, ghost=())
    if world.elections:
        fresh = replace(world, term=world.term + 1, elections=world.elections - 1, failed="")
        yield replace(fresh, ghost=world.ops, ops=())
    if world.restarts:
        for pod in world.pods:
            reborn = replace(pod, held=Held(pool=POOL), in_service=False, failure="")
            pods = tuple(reborn if other is pod else other for other in world.pods)
            yield replace(world, pods=pods, restarts=world.restarts - 1)
    if world.silences:
        for pod in world.pods:
            pods = tuple(replace(pod, silent=True) if other is pod else other for other in world.pods)
            yield replace(world, pods=pods, silences=world.silences - 1)
    for pod in world.pods:
        if not pod.in_service and (up := started(world, pod)) is not None:
            yield replace(world, pods=tuple(up if other is pod else other for other in world.pods))
    if world.changes:
        for wish in wishes:
            if wish != world.wish:
                yield replace(world, wish=wish, changes=world.changes - 1, failed="")


def _leading(world: World) -> Iterator[World]:
    if world.ops:
        moved, went = carried_out(replace(world, ops=world.ops[1:]), world.ops[0])
        yield moved if went else replace(world, ops=())
        return
    for troubled_seconds in (0.0, 60.0) if any(pod.silent for pod in world.pods) else (0.0,):
        yield decided(world, troubled_seconds)[1]


def explore(start: World, wishes: tuple[str, ...]) -> int:
    seen = {start.key}
    edge: list[tuple[World, frozenset[str]]] = [(start, frozenset({start.record.committed.digest}))]
    while edge:
        world, committed = edge.pop()
        check_settles(world)
        for after in successors(world, wishes):
            known = committed | {after.record.committed.digest}
            check_world(world, after, set(known))
            if after.key not in seen:
                seen.add(after.key)
                edge.append((after, known))
    return len(seen)


def start(wish: str, **budgets: int) -> World:
    first = plan_of("v1", term=1, epoch=1)
    pods = tuple(Pod(uid, Held(pool=POOL, term=1, committed=first, serving=first)) for uid in ("a", "b"))
    return replace(World(Record(1, first, highest=1), pods, wish), **budgets)  # type: ignore[arg-type] # of a dataclass


@pytest.mark.parametrize(
    ("world", "wishes"),
    [
        pytest.param(start("v2", changes=0, elections=2), ("v2",), id="two leaders die or freeze, a pod restarts"),
        pytest.param(start("v2", restarts=0), ("v1", "v2", "v3"), id="the manifest changes its mind, a leader freezes"),
        pytest.param(start("bad", restarts=1), ("v1", "v2"), id="a broken version, a leader dies, then another version"),
        pytest.param(start("v2", restarts=0, changes=0, silences=1), ("v2",), id="a pod falls silent in service"),
    ],
)
def test_every_order_of_faults_keeps_the_promises_and_settles(world: World, wishes: tuple[str, ...]) -> None:
    assert explore(world, wishes) > 100
