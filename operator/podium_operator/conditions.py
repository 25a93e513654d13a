"""Conditions as kstatus reads them: what a reconcile wants said becomes the list that stands in status. Pure.

kstatus takes `Stalled=True` for failed, `Reconciling=True` or a stale observedGeneration for in progress, `Ready=True`
for current; `Ready=False` alone reads as in progress for ever. So `Reconciling` and `Stalled` stand in the list only
while they are True, and each verdict below says all three.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from podium_crds.v1alpha1.meta import Condition

Status = Literal["True", "False", "Unknown"]

READY = "Ready"
RECONCILING = "Reconciling"
STALLED = "Stalled"

_MAX_MESSAGE = 8192


@dataclass(frozen=True)
class Wanted:
    """A condition without the bookkeeping. `reason` is one CamelCase word, `message` a sentence with the value."""

    type: str
    status: Status
    reason: str
    message: str = ""


def current(reason: str, message: str = "") -> list[Wanted]:
    """All is as asked."""
    return [Wanted(READY, "True", reason, message)]


def in_progress(reason: str, message: str = "", *, ready: Status = "Unknown") -> list[Wanted]:
    """On the way. `ready="True"`: what served before goes on serving meanwhile."""
    return [Wanted(READY, ready, reason, message), Wanted(RECONCILING, "True", reason, message)]


def failed(reason: str, message: str, *, ready: Status = "False") -> list[Wanted]:
    """Nothing more will happen until a person changes something. `ready="True"`: what served before goes on serving."""
    return [Wanted(READY, ready, reason, message), Wanted(STALLED, "True", reason, message)]


def merged(previous: Sequence[Condition], wanted: Iterable[Wanted], generation: int, now: datetime) -> list[Condition]:
    """The list for status: exactly the wanted ones, by type. A transition time is kept while the status stays."""
    before = {condition.type: condition for condition in previous}
    return [_condition(before.get(want.type), want, generation, now) for want in sorted(wanted, key=lambda want: want.type)]


def find(conditions: Iterable[Condition], type_: str) -> Condition | None:
    return next((condition for condition in conditions if condition.type == type_), None)


def is_true(conditions: Iterable[Condition], type_: str, generation: int | None = None) -> bool:
    """Whether the condition is True and, where a generation is given, was judged on that one."""
    found = find(conditions, type_)
    return found is not None and found.status == "True" and generation in (None, found.observed_generation)


def timestamp(moment: datetime) -> str:
    """Kubernetes' RFC 3339 in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_time(moment: datetime) -> str:
    """Kubernetes' MicroTime, as in Leases and Events."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _condition(before: Condition | None, want: Wanted, generation: int, now: datetime) -> Condition:
    kept = before is not None and before.status == want.status
    return Condition(
        type=want.type,
        status=want.status,
        observed_generation=generation,
        last_transition_time=before.last_transition_time if before is not None and kept else timestamp(now),
        reason=want.reason,
        message=want.message[:_MAX_MESSAGE],
    )
