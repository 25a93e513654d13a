"""What a pod says of itself to the operator. Pure: built from what is held and what serves."""

from dataclasses import dataclass

from podium_crds.plan import ControlStatus, Flip, HeldPlan, Plan
from podium_serving.state import ServingState
from podium_serving.swap.decisions import Held


@dataclass(frozen=True, slots=True)
class Identity:
    pod_uid: str
    process_id: str
    """Made at process start: a container restarted in place has another one, and holds nothing of what the first one did."""
    pool: str


def control_status(
    identity: Identity, held: Held, state: ServingState, flip: Flip | None, memory_bytes: int
) -> ControlStatus:
    """`committed` is what the pod answers with. A pod that is behind says the plan that it lacks as `preparing`."""
    preparation = held.preparation
    making = preparation.plan if preparation is not None and not preparation.done else None
    lacking = held.committed if held.behind else None
    return ControlStatus(
        pod_uid=identity.pod_uid,
        process_id=identity.process_id,
        pool=identity.pool,
        ready=state.ready,
        committed=_held_plan(held.serving),
        preparing=_held_plan(making or lacking),
        prepared=_held_plan(preparation.plan if preparation is not None and preparation.done else None),
        failure=held.failure,
        flip=_with_first_admission(flip, state),
        open_requests=_open_requests(state),
        memory_bytes=memory_bytes,
    )


def _held_plan(plan: Plan | None) -> HeldPlan | None:
    if plan is None:
        return None
    version = plan.champion.version
    return HeldPlan(
        term=plan.term, epoch=plan.epoch, plan_digest=plan.digest, version=version.name, version_digest=version.digest
    )


def _with_first_admission(flip: Flip | None, state: ServingState) -> Flip | None:
    """The first request under the new plan comes after the flip was written down."""
    if flip is None or state.current is None or state.current.plan.epoch != flip.to_epoch:
        return flip
    return flip.model_copy(update={"first_admitted_new": state.current.first_admitted})


def _open_requests(state: ServingState) -> dict[int, int]:
    servings = [*state.retired, *([state.current] if state.current is not None else [])]
    return {serving.plan.epoch: serving.open_requests for serving in servings}
