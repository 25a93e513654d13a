"""What a pod does with a message: the order of plans, replays, lapses. A function of what is held, the message and the time.

Kept free of effects so that the promise can be tested in isolation: a pod never serves a plan that is not committed, and its
epoch never goes down. The shell (`swapper`) carries actions out and lets go of every resource that `Held` no longer names.

Order: plans compare by epoch first. A commit is ordered by its epoch alone: it is the durable record, and a new leader or a
peer hands on what an earlier term signed. Preparations and aborts are wishes of one leader: a lower term is refused.
Not here: signatures and expiry (podium_crds.plan.open_envelope), clocks, tasks.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple, assert_never

from podium_crds.plan import Abort, Commit, Credential, Failure, Inquiry, Message, Plan, Prepare


@dataclass(frozen=True, slots=True)
class Preparation:
    plan: Plan
    lapse_seconds: float
    lapses_at: float | None = None
    """Monotonic seconds. None while it is being made: what runs ends by its own time limits."""

    @property
    def done(self) -> bool:
        return self.lapses_at is not None


@dataclass(frozen=True, slots=True)
class Held:
    """What this process knows and has promised. Nothing of it outlives the process: the record and the peers do."""

    pool: str
    term: int = 0
    """The highest term of any message that was accepted."""
    committed: Plan | None = None
    """The highest plan known to be committed. Differs from `serving` while the pod is behind."""
    serving: Plan | None = None
    preparation: Preparation | None = None
    failure: Failure | None = None
    aborted: str = ""
    """Digest of the newest aborted plan: a Prepare that arrives after its Abort changes nothing."""

    @property
    def behind(self) -> bool:
        return self.committed is not None and self.committed != self.serving


@dataclass(frozen=True, slots=True)
class Keep:
    """Nothing to do; the answer is the status."""


@dataclass(frozen=True, slots=True)
class Refuse:
    why: str


@dataclass(frozen=True, slots=True)
class Begin:
    """Make the preparation that `Held` now names."""


@dataclass(frozen=True, slots=True)
class Flip:
    """Answer with `Held.committed` from this turn of the loop on: all that it needs is here."""


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Not ready from now on; get what `Held.committed` needs, then flip."""


Action = Keep | Refuse | Begin | Flip | CatchUp


class Decision(NamedTuple):
    action: Action
    held: Held


class Need(Enum):
    """What a pod must get before it can answer under a plan."""

    NOTHING = "Nothing"
    DESCRIPTOR = "Descriptor"
    """The champion lies in another pool; requests are still checked here."""
    MODEL = "Model"


def need(plan: Plan, serving: Plan | None, pool: str) -> Need:
    """New routes, percentages or capture of the champion that serves need nothing new."""
    here = plan.champion.pool == pool
    if serving is None or serving.champion.version.digest != plan.champion.version.digest:
        return Need.MODEL if here else Need.DESCRIPTOR
    return Need.MODEL if here and serving.champion.pool != pool else Need.NOTHING


def decide(held: Held, message: Message, now: float) -> Decision:
    """The action that `message` asks for at `now` (monotonic seconds), and what is held after it.

    `message` was already found to be signed, for this deployment and pool, and not expired.
    """
    held = lapsed(held, now)
    match message:
        case Prepare():
            return _on_prepare(held, message, now)
        case Commit():
            return _on_commit(held, message.plan)
        case Abort():
            return _on_abort(held, message)
        case Credential() | Inquiry():
            return Decision(Keep(), held)
        case _:
            assert_never(message)


def _on_prepare(held: Held, message: Prepare, now: float) -> Decision:
    plan, digest = message.plan, message.plan.digest
    if refusal := _lower_term(held, plan.term, "Prepare"):
        return Decision(refusal, held)
    if held.committed is not None and plan.epoch <= held.committed.epoch:
        if digest == held.committed.digest:
            return Decision(Keep(), held)
        why = f"epoch {plan.epoch} is not above the committed epoch {held.committed.epoch}: prepare a higher one"
        return Decision(Refuse(why), held)
    if digest == held.aborted:
        return Decision(Refuse(f"this plan of epoch {plan.epoch} was aborted: prepare a new epoch"), held)
    if held.preparation is not None and digest == held.preparation.plan.digest:
        renewed = replace(held.preparation, lapse_seconds=message.lapse_seconds)
        if renewed.done:
            renewed = replace(renewed, lapses_at=now + message.lapse_seconds)
        return Decision(Keep(), replace(held, preparation=renewed))
    if held.preparation is not None and plan.order <= held.preparation.plan.order:
        other = held.preparation.plan
        why = f"epoch {plan.epoch} of term {plan.term} is not above epoch {other.epoch} of term {other.term}, prepared here"
        return Decision(Refuse(why), held)
    if held.failure is not None and held.failure.plan_digest == digest and held.failure.fault == "Version":
        return Decision(Keep(), replace(held, term=plan.term))
    preparation = Preparation(plan, message.lapse_seconds)
    return Decision(Begin(), replace(held, term=plan.term, preparation=preparation, failure=None))


def _on_commit(held: Held, plan: Plan) -> Decision:
    if held.committed is not None and plan.epoch <= held.committed.epoch:
        if plan.digest == held.committed.digest:
            return Decision(Keep(), held)
        if plan.epoch == held.committed.epoch:
            why = f"another plan is committed here as epoch {plan.epoch}: commit a higher epoch"
        else:
            why = f"epoch {plan.epoch} is below the committed epoch {held.committed.epoch}"
        return Decision(Refuse(why), held)
    preparation = held.preparation
    ready = preparation is not None and preparation.done and preparation.plan.digest == plan.digest
    if preparation is not None and (preparation.plan.epoch <= plan.epoch) and not _is_running(preparation, plan):
        preparation = None
    after = replace(held, term=max(held.term, plan.term), committed=plan, preparation=preparation)
    if ready or need(plan, held.serving, held.pool) is Need.NOTHING:
        return Decision(Flip(), replace(after, serving=plan, failure=None, preparation=_newer(preparation, plan)))
    return Decision(CatchUp(), after)


def _is_running(preparation: Preparation, plan: Plan) -> bool:
    """The commit overtook its own preparation: what is being made is still wanted."""
    return not preparation.done and preparation.plan.digest == plan.digest


def _newer(preparation: Preparation | None, plan: Plan) -> Preparation | None:
    return preparation if preparation is not None and preparation.plan.epoch > plan.epoch else None


def _on_abort(held: Held, message: Abort) -> Decision:
    if refusal := _lower_term(held, message.term, "Abort"):
        return Decision(refusal, held)
    if held.committed is not None and message.plan_digest == held.committed.digest:
        return Decision(Refuse(f"epoch {held.committed.epoch} is committed here: it ends by a higher epoch only"), held)
    preparation = held.preparation
    if preparation is not None and preparation.plan.digest == message.plan_digest:
        preparation = None
    return Decision(Keep(), replace(held, term=message.term, preparation=preparation, aborted=message.plan_digest))


def _lower_term(held: Held, term: int, kind: str) -> Refuse | None:
    if term >= held.term:
        return None
    return Refuse(f"the {kind} message is of term {term}, a leader of term {held.term} spoke to this pod")


def lapsed(held: Held, now: float) -> Held:
    """Without a preparation whose time is over: nobody committed it, so its operator is gone or chose otherwise."""
    preparation = held.preparation
    if preparation is None or preparation.lapses_at is None or now < preparation.lapses_at:
        return held
    return replace(held, preparation=None)


def prepared(held: Held, plan_digest: str, now: float) -> Held:
    """After a preparation was made. Unchanged if it is no longer wanted."""
    preparation = held.preparation
    if preparation is None or preparation.plan.digest != plan_digest:
        return held
    return replace(held, preparation=replace(preparation, lapses_at=now + preparation.lapse_seconds))


def failed(held: Held, failure: Failure) -> Held:
    """After a preparation, or the catching up to a commit, failed. Unchanged if it is no longer wanted."""
    preparation = held.preparation
    if preparation is not None and preparation.plan.digest == failure.plan_digest:
        return replace(held, preparation=None, failure=failure)
    if held.behind and held.committed is not None and held.committed.digest == failure.plan_digest:
        return replace(held, failure=failure)
    return held


def caught_up(held: Held, plan_digest: str) -> Held:
    """After all that the committed plan needs is here. Unchanged if a higher commit came meanwhile."""
    if held.committed is None or held.committed.digest != plan_digest:
        return held
    return replace(held, serving=held.committed, failure=None, preparation=_newer(held.preparation, held.committed))


def withdrawn(held: Held) -> Held:
    """After the pod stopped answering late under a plan that was superseded."""
    return replace(held, serving=None)
