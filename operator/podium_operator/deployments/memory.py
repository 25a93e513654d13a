"""What a leader remembers between two observations: since when, and what failed. Nothing that a successor needs.

Forgetting it costs patience (timers start anew), one more try of a version that failed, and the figures of a swap that ran
just then.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from podium_crds.plan import ControlStatus, Flip, Plan
from podium_operator.deployments.observed import Observed, PodListed
from podium_operator.deployments.steps import POLL_SECONDS, PodSeen, Silence
from podium_operator.deployments.wish import FailedPlan

VERSION_FAULT_SECONDS = 600.0
"""A version that pods could not load is tried again after so long: what they lacked may have come back."""
POD_FAULT_SECONDS = 60.0
MAX_POLL_SECONDS = 15.0


@dataclass
class Memory:
    """One per deployment. Times are monotonic seconds."""

    pending_digest: str = ""
    pending_since: float = 0.0
    unserved_since: float | None = None
    troubled: dict[str, float] = field(default_factory=dict)
    """By pod uid: since when it is silent or failing."""
    confirmed: dict[str, str] = field(default_factory=dict)
    """By pod uid: digest of the plan that it was last seen to answer with."""
    flips: dict[str, Flip] = field(default_factory=dict)
    """By pod uid: its newest flip."""
    unsettled_since: float | None = None
    generation: int = 0
    failed: FailedPlan | None = None
    failed_generation: int = 0
    failed_until: float = 0.0

    def note(self, seen: Observed, now: float) -> None:
        """Takes in an observation."""
        pending = seen.record.pending.digest if seen.record.pending else ""
        if pending != self.pending_digest:
            self.pending_digest, self.pending_since = pending, now
        pods = seen.champion_pods
        in_service = any(seen.in_service(pod) for pod in pods)
        self.unserved_since = None if in_service else (self.unserved_since if self.unserved_since is not None else now)
        self.troubled = {pod.uid: self.troubled.get(pod.uid, now) for pod in pods if _is_troubled(seen, pod, pending)}
        for pod in pods:
            if status := seen.status_of(pod):
                if status.committed is not None:
                    self.confirmed[pod.uid] = status.committed.plan_digest
                if status.flip is not None:
                    self.flips[pod.uid] = status.flip
        self._forget_gone(pod.uid for pod in pods)
        if self.generation != seen.generation:
            self.generation, self.unsettled_since = seen.generation, None
        if self.failed and (self.failed_generation != seen.generation or now >= self.failed_until):
            self.failed = None

    def note_flips(self, answers: Iterable[ControlStatus | Silence], epoch: int) -> list[Flip]:
        """Takes in the flips to this epoch that are in `answers`."""
        found = {answer.pod_uid: answer.flip for answer in answers if isinstance(answer, ControlStatus) and answer.flip}
        mine = {uid: flip for uid, flip in found.items() if flip.to_epoch == epoch}
        self.flips.update(mine)
        return list(mine.values())

    def fail(self, failed: FailedPlan, generation: int, now: float) -> None:
        seconds = VERSION_FAULT_SECONDS if failed.failure.fault == "Version" else POD_FAULT_SECONDS
        self.failed, self.failed_generation, self.failed_until = failed, generation, now + seconds

    def confirmed_on(self, committed: Plan | None) -> frozenset[str]:
        """Uids of the pods that were last seen to answer with this plan."""
        digest = committed.digest if committed else ""
        return frozenset(uid for uid, held in self.confirmed.items() if held == digest)

    def pods_seen(self, seen: Observed, now: float) -> tuple[PodSeen, ...]:
        confirmed = self.confirmed_on(seen.committed)
        return tuple(
            PodSeen(
                name=pod.name,
                uid=pod.uid,
                pool=pod.pool,
                answer=seen.answers.get(pod.uid, Silence.NOT_STARTED),
                in_service=seen.in_service(pod),
                public=pod.uid in seen.public_endpoints,
                terminating=pod.terminating,
                troubled_seconds=now - self.troubled.get(pod.uid, now),
                confirmed=pod.uid in confirmed,
            )
            for pod in seen.champion_pods
        )

    def pending_seconds(self, pending: Plan | None, now: float) -> float:
        return now - self.pending_since if pending else 0.0

    def unserved_seconds(self, now: float) -> float:
        return now - self.unserved_since if self.unserved_since is not None else 0.0

    def look_again_seconds(self, now: float, *, unsettled: bool) -> float | None:
        """What a watch does not tell (a pod's requests, its plan) is looked at: often at first, then ever less."""
        due = [max(0.1, self.failed_until - now)] if self.failed else []
        if unsettled:
            self.unsettled_since = now if self.unsettled_since is None else self.unsettled_since
            due.append(min(MAX_POLL_SECONDS, max(POLL_SECONDS, (now - self.unsettled_since) / 5)))
        else:
            self.unsettled_since = None
        return min(due, default=None)

    def _forget_gone(self, uids: Iterable[str]) -> None:
        there = set(uids)
        self.confirmed = {uid: digest for uid, digest in self.confirmed.items() if uid in there}
        self.flips = {uid: flip for uid, flip in self.flips.items() if uid in there}


def _is_troubled(seen: Observed, pod: PodListed, pending_digest: str) -> bool:
    status = seen.status_of(pod)
    if status is None:
        return True
    return bool(pending_digest) and status.failure is not None and status.failure.plan_digest == pending_digest
