"""The next step of a hot swap: a function of the record, the pods and the wish. Pure.

The order is the policy: mend the record, take back what nobody wants, go on with what is pending, then begin, then help
those who lag. Every step leaves a state from which the next call, of this operator or of its successor, goes on.

Rules that hold in every step: a commit is sent only if it stands in the record; an abort only after the record says that the
plan will not be; an epoch is used once, and never lowered.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from podium_crds.plan import ControlStatus, Failure, HeldPlan, Plan
from podium_operator.deployments.steps import (
    AbortStray,
    Begin,
    Initialise,
    PodSeen,
    Prepare,
    Rebuild,
    Replace,
    Sealed,
    SendCommit,
    Settled,
    Silence,
    Step,
    SwapSeen,
    TakeBack,
    Wait,
    WriteCommit,
)

PATIENCE_SECONDS = 10.0
"""A pod that does not answer, or cannot prepare, may hold a swap up for so long."""
DOUBT_SECONDS = 20.0
"""A silent pod in service, of which nobody knows the plan, is replaced after so long: a crowded pod may be slow."""
MOVE_SECONDS = 30.0
"""The Service has so long to follow the champion into its pool. A pool that fails may not hold up its own rollback."""
PREPARE_DEADLINE_SECONDS = 600.0
"""A preparation that still runs on a serving pod after so long is taken back."""


def next_step(seen: SwapSeen) -> Step:
    if (step := _mend_record(seen)) is not None:
        return step
    if seen.committed is None:
        return Settled()
    if seen.pending is not None:
        return _take_back(seen, seen.pending, seen.committed.plan) or _advance(seen, seen.pending)
    step = _begin(seen, seen.committed.plan)
    if step is None or isinstance(step, Wait):
        return _converge(seen, seen.committed) or step or Settled()
    return step


def asks_peers(seen: SwapSeen) -> bool:
    """Whether the pods' signed commits are needed: the record is damaged, or a pod knows a plan that it does not explain."""
    if seen.committed is None:
        return any(pod.status is not None for pod in seen.pods)
    known = {seen.committed.plan.digest, seen.pending.digest if seen.pending else ""}
    held = [plan for pod in seen.pods if pod.status for plan in _held(pod.status)]
    return any(plan.epoch > seen.committed.plan.epoch and plan.plan_digest not in known for plan in held)


def next_epoch(seen: SwapSeen) -> int:
    """Above every epoch that anybody has seen."""
    held = [plan.epoch for pod in seen.pods if pod.status for plan in _held(pod.status)]
    record = [plan.epoch for plan in (seen.pending, seen.committed.plan if seen.committed else None) if plan]
    peers = [seen.peers.plan.epoch] if seen.peers else []
    return max([seen.highest_epoch, *held, *record, *peers]) + 1


def _held(status: ControlStatus) -> list[HeldPlan]:
    return [plan for plan in (status.committed, status.preparing, status.prepared) if plan is not None]


def _mend_record(seen: SwapSeen) -> Step | None:
    if seen.committed is not None:
        above = seen.peers is not None and seen.peers.plan.epoch > seen.committed.plan.epoch
        return Rebuild(seen.peers) if seen.peers is not None and above else None
    if seen.peers is not None:
        return Rebuild(seen.peers)
    quiet = [pod for pod in seen.pods if pod.answer is Silence.UNREACHABLE and pod.troubled_seconds < PATIENCE_SECONDS]
    if quiet:
        # What they hold would be lost, and a lower epoch begun.
        return Wait("RecordMissing", f"the record is gone, and {quiet[0].name} may hold the committed plan but is silent")
    if seen.wished is None:
        return None
    return Initialise(_numbered(seen, seen.wished))


def _numbered(seen: SwapSeen, plan: Plan) -> Plan:
    return plan.model_copy(update={"term": seen.term, "epoch": next_epoch(seen)})


def _take_back(seen: SwapSeen, pending: Plan, committed: Plan) -> Step | None:
    if pending.term != seen.term:
        return TakeBack(pending, "LeaderChanged", f"epoch {pending.epoch} was begun by the leader of term {pending.term}")
    if pending.epoch <= committed.epoch:
        return TakeBack(pending, "Superseded", f"epoch {committed.epoch} is committed")
    if seen.wished is None or not pending.says_the_same(seen.wished):
        return TakeBack(pending, "WishChanged", "the manifest asks for something else now")
    return None


class Part(Enum):
    """How a pod stands to the pending plan."""

    PREPARED = "Prepared"
    UNPREPARED = "Unprepared"
    """It answers, and is to be sent the plan (again)."""
    FAILING = "Failing"
    """It says that the fault is its own. Sent again until its time is over: a registry may come back."""
    SILENT = "Silent"
    """In service, and not to be reached."""
    EXCLUDED = "Excluded"
    """Serves nobody and cannot be asked: it starts on what its peers or the record say."""


def is_prepared(answer: ControlStatus | Silence, plan_digest: str) -> bool:
    if isinstance(answer, Silence):
        return False
    return answer.prepared is not None and answer.prepared.plan_digest == plan_digest


def part(pod: PodSeen, plan_digest: str) -> Part:
    status = pod.status
    if status is None:
        return Part.SILENT if pod.in_service else Part.EXCLUDED
    if is_prepared(status, plan_digest):
        return Part.PREPARED
    if status.failure is not None and status.failure.plan_digest == plan_digest:
        # On its way out it need not get better.
        return Part.EXCLUDED if pod.terminating and not pod.in_service else Part.FAILING
    return Part.UNPREPARED


@dataclass(frozen=True)
class _Parts:
    of: dict[Part, list[PodSeen]] = field(default_factory=dict)

    def __getitem__(self, wanted: Part) -> list[PodSeen]:
        return self.of.get(wanted, [])


def _parts(pods: Sequence[PodSeen], plan_digest: str) -> _Parts:
    parts: dict[Part, list[PodSeen]] = {}
    for pod in pods:
        parts.setdefault(part(pod, plan_digest), []).append(pod)
    return _Parts(parts)


def _advance(seen: SwapSeen, plan: Plan) -> Step:
    parts = _parts(seen.pods, plan.digest)
    for pod in parts[Part.FAILING]:
        if pod.status and pod.status.failure and pod.status.failure.fault == "Version":
            found = pod.status.failure
            return TakeBack(plan, found.reason, found.message, failure=found)
    serving_prepared = any(pod.pool == plan.champion.pool for pod in parts[Part.PREPARED])
    holding_up = _holding_up(seen, parts, served=serving_prepared)
    if (step := _overdue(seen, plan, parts, served=serving_prepared)) is not None:
        return step
    if to_prepare := tuple(pod for pod in holding_up if pod.status is not None):
        return Prepare(plan, to_prepare)
    if holding_up:
        return Wait("PodUnreachable", f"{holding_up[0].name} is in service and does not answer on its control port")
    if serving_prepared or seen.unserved_seconds >= PATIENCE_SECONDS:
        return WriteCommit(plan)
    return Wait("NoPodReady", "no pod of the champion's pool answers yet", seconds=1.0)


def _holding_up(seen: SwapSeen, parts: _Parts, *, served: bool) -> list[PodSeen]:
    """The pods that the commit must wait for. One that serves nobody may hold others up for a while only."""
    answering = [*parts[Part.UNPREPARED], *parts[Part.FAILING]]
    unserved = seen.unserved_seconds >= PATIENCE_SECONDS
    patient = seen.pending_seconds < PATIENCE_SECONDS or not (served or unserved)
    return [*(pod for pod in answering if pod.in_service or patient), *parts[Part.SILENT]]


def _overdue(seen: SwapSeen, plan: Plan, parts: _Parts, *, served: bool) -> Step | None:
    """Pods whose time is over are replaced, if another one holds the plan and clients have another one to ask; else the plan
    is taken back."""
    late = [pod for pod in [*parts[Part.FAILING], *parts[Part.SILENT]] if pod.troubled_seconds >= PATIENCE_SECONDS]
    for pod in late:
        if served and pod.in_service and not pod.terminating and not _is_all_there_is(seen, pod):
            return Replace(pod, *_trouble(pod))
    blocked = [
        pod for pod in late if pod.in_service and not (served and (pod.terminating or not _is_all_there_is(seen, pod)))
    ]
    if blocked and len(late) == len([*parts[Part.FAILING], *parts[Part.SILENT], *parts[Part.UNPREPARED]]):
        reason, message = _trouble(blocked[0])
        return TakeBack(
            plan, reason, f"no pod could prepare epoch {plan.epoch}: {message}", failure=_as_failure(plan, blocked[0])
        )
    if seen.pending_seconds >= PREPARE_DEADLINE_SECONDS and any(pod.in_service for pod in parts[Part.UNPREPARED]):
        message = f"the pods did not prepare epoch {plan.epoch} within {PREPARE_DEADLINE_SECONDS:.0f} s"
        failure = Failure(fault="Version", reason="PrepareTimedOut", message=message, plan_digest=plan.digest)
        return TakeBack(plan, "PrepareTimedOut", message, failure=failure)
    return None


def _is_all_there_is(seen: SwapSeen, pod: PodSeen) -> bool:
    """Whether clients have nobody else to ask. The Service leads to one pool, however ready another one is."""
    if not pod.public and (seen.committed is None or pod.pool != seen.committed.plan.champion.pool):
        return False
    return not any(other.uid != pod.uid and other.public and other.status and not other.terminating for other in seen.pods)


def _as_failure(plan: Plan, pod: PodSeen) -> Failure:
    """Remembered like a version's fault: beginning anew at once would end the same way."""
    reason, message = _trouble(pod)
    return Failure(fault="Pod", reason=reason, message=f"{pod.name}: {message}", plan_digest=plan.digest)


def _trouble(pod: PodSeen) -> tuple[str, str]:
    if pod.status is not None and pod.status.failure is not None:
        return pod.status.failure.reason, pod.status.failure.message
    if pod.answer is Silence.DENIED:
        return "PodDenied", "the pod does not take the operator's signature"
    return "PodUnreachable", f"the pod did not answer on its control port for {pod.troubled_seconds:.0f} s"


def _begin(seen: SwapSeen, committed: Plan) -> Step | None:
    wanted = seen.wished or committed
    disputed = any(_disputes(pod, committed) for pod in seen.pods)
    if wanted.says_the_same(committed) and not disputed:
        return None
    if _is_moving(seen) and wanted.champion.version != committed.champion.version:
        version = committed.champion.version.name
        message = f"clients still reach the earlier pool, which forwards to version '{version}'"
        return Wait("PoolDraining", message, seconds=1.0)
    if not seen.pool_ready and seen.unserved_seconds < PATIENCE_SECONDS:
        pool = wanted.champion.pool
        return Wait("PoolStarting", f"pool {pool} is coming up for version '{wanted.champion.version.name}'", seconds=1.0)
    return Begin(_numbered(seen, wanted))


def _is_moving(seen: SwapSeen) -> bool:
    """What the earlier pool forwards names the committed version: another one would leave those requests unanswered."""
    return seen.moving_seconds is not None and seen.moving_seconds < MOVE_SECONDS


def _disputes(pod: PodSeen, committed: Plan) -> bool:
    """It holds another plan as committed under the record's epoch, or a higher one that nobody can show signed."""
    held = pod.status.committed if pod.status else None
    if held is None or held.epoch < committed.epoch:
        return False
    return held.epoch > committed.epoch or held.plan_digest != committed.digest


def _converge(seen: SwapSeen, committed: Sealed) -> Step | None:
    plan = committed.plan
    strays = tuple(
        (pod, held)
        for pod in seen.pods
        if pod.status
        for held in (pod.status.preparing, pod.status.prepared)
        if held is not None and held.plan_digest != plan.digest
    )
    if strays:
        return AbortStray(strays)
    behind = tuple(pod for pod in seen.pods if pod.status and _is_behind(pod.status, plan))
    if behind:
        return SendCommit(committed, behind)
    return _replace_doubtful(seen)


def _is_behind(status: ControlStatus, plan: Plan) -> bool:
    """A pod that was told, and gets what it lacks, says so as `preparing`."""
    told = status.preparing is not None and status.preparing.plan_digest == plan.digest
    return not told and (status.committed is None or status.committed.epoch < plan.epoch)


def _replace_doubtful(seen: SwapSeen) -> Step | None:
    """A silent pod in service may still answer with an earlier plan. Clients must have another one to ask."""
    silent = [pod for pod in seen.pods if pod.status is None and pod.in_service and not pod.terminating]
    doubtful = [pod for pod in silent if not pod.confirmed and not _is_all_there_is(seen, pod)]
    if not doubtful:
        return None
    late = [pod for pod in doubtful if pod.troubled_seconds >= DOUBT_SECONDS]
    if late:
        return Replace(late[0], *_trouble(late[0]))
    return Wait("PodUnreachable", f"{doubtful[0].name} is in service and does not answer on its control port", seconds=1.0)
