"""Whether a message is for this pod: signed by the operator, for this deployment, not expired, for this role and pool.

A challenger's pool has plans of its own under the same deployment and key, so the signature alone would let a recorded
champion's plan into a challenger pod.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from podium_crds.plan import Commit, Envelope, Message, MessageRefused, Plan, Prepare, open_envelope


@dataclass(frozen=True, slots=True)
class Verifier:
    public_keys: tuple[str, ...]
    deployment_uid: str
    role: Literal["champion", "challenger"]
    pool: str
    unix_time: Callable[[], float]

    def open(self, envelope: Envelope) -> Message:
        """Raises MessageRefused saying what is wrong."""
        message = open_envelope(envelope, list(self.public_keys), self.deployment_uid, self.unix_time())
        if isinstance(message, Prepare | Commit):
            self._check_addressee(message.plan)
        return message

    def open_commit(self, envelope: Envelope) -> Commit:
        """Raises MessageRefused, also for any other kind of message."""
        message = self.open(envelope)
        if not isinstance(message, Commit):
            raise MessageRefused(f"a signed {message.kind} is no commit")
        return message

    def _check_addressee(self, plan: Plan) -> None:
        if plan.role != self.role:
            raise MessageRefused(f"the plan is for {plan.role} pods, this is a {self.role} pod")
        if plan.role == "challenger" and plan.champion.pool != self.pool:
            raise MessageRefused(f"the plan is for challenger pool {plan.champion.pool}, this pod is of pool {self.pool}")
