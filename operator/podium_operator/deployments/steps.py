"""What the decision about a hot swap sees, and the steps that it may name. Data only."""

from dataclasses import dataclass
from enum import Enum

from podium_crds.plan import Commit, ControlStatus, Envelope, Failure, HeldPlan, Plan

POLL_SECONDS = 0.5


class Silence(Enum):
    """Why a pod's status is not known."""

    NOT_STARTED = "NotStarted"
    """No address or no running container yet: it holds nothing."""
    UNREACHABLE = "Unreachable"
    DENIED = "Denied"
    """It answered, but does not take our signature."""


@dataclass(frozen=True)
class PodSeen:
    """A champion pod as listed and asked in one observation."""

    name: str
    uid: str
    pool: str
    answer: ControlStatus | Silence
    in_service: bool
    """Ready, or in an EndpointSlice: requests may reach it."""
    public: bool
    """In an EndpointSlice of the public Service: clients reach it."""
    terminating: bool = False
    troubled_seconds: float = 0.0
    """How long it has been silent, or failing the pending plan."""
    confirmed: bool = False
    """It was seen on the committed plan since this operator leads."""

    @property
    def status(self) -> ControlStatus | None:
        return self.answer if isinstance(self.answer, ControlStatus) else None


@dataclass(frozen=True)
class Sealed:
    """A commit whose signature was checked."""

    commit: Commit
    envelope: Envelope

    @property
    def plan(self) -> Plan:
        return self.commit.plan


@dataclass(frozen=True)
class SwapSeen:
    term: int
    committed: Sealed | None
    """From the record. None: it is absent, or what stands there is no commit of ours."""
    pending: Plan | None
    highest_epoch: int
    """Of the record's notes and of status."""
    wished: Plan | None
    """None: refused. The committed plan is then what is wanted."""
    pods: tuple[PodSeen, ...]
    peers: Sealed | None = None
    """The highest commit that a pod holds, where it is above the record or the record is damaged."""
    pool_ready: bool = True
    """The wished champion's pool has all its pods ready."""
    unserved_seconds: float = 0.0
    """How long no pod has been in service."""
    pending_seconds: float = 0.0
    """How long this operator has been at the pending plan."""
    moving_seconds: float | None = None
    """How long ago the champion moved to a pool while clients still reach the earlier one. None: they reach none."""


@dataclass(frozen=True)
class Initialise:
    """Create the record with this plan committed: nothing was ever served."""

    plan: Plan


@dataclass(frozen=True)
class Rebuild:
    """The record becomes what the pods hold."""

    commit: Sealed


@dataclass(frozen=True)
class TakeBack:
    """Remove the pending plan from the record, then abort it on all pods."""

    plan: Plan
    reason: str
    message: str
    failure: Failure | None = None
    """The version's fault, to be remembered."""


@dataclass(frozen=True)
class AbortStray:
    """Pods hold preparations that no record names: their operator died between record and pods."""

    stray: tuple[tuple[PodSeen, HeldPlan], ...]


@dataclass(frozen=True)
class Begin:
    """Write the plan as pending."""

    plan: Plan


@dataclass(frozen=True)
class Prepare:
    plan: Plan
    pods: tuple[PodSeen, ...]


@dataclass(frozen=True)
class Replace:
    """Delete this pod: the fault is its own."""

    pod: PodSeen
    reason: str
    message: str


@dataclass(frozen=True)
class WriteCommit:
    """Write the pending plan as committed, then send it to all pods."""

    plan: Plan


@dataclass(frozen=True)
class SendCommit:
    """Pods are behind the record."""

    commit: Sealed
    pods: tuple[PodSeen, ...]


@dataclass(frozen=True)
class Wait:
    reason: str
    message: str
    seconds: float = POLL_SECONDS


@dataclass(frozen=True)
class Settled:
    """All pods that serve hold the committed plan, and it is the wished one, or the wish is refused."""


Step = Initialise | Rebuild | TakeBack | AbortStray | Begin | Prepare | Replace | WriteCommit | SendCommit | Wait | Settled
