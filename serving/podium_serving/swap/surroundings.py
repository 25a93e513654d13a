"""What the swapper is given: its time limits, what it asks of others, and the error it answers with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from podium_crds.plan import Envelope
from podium_serving.served import Serving


class MessageLower(Exception):
    """The message is lower than what this pod holds, or contradicts it. The text says what would be right."""


@dataclass(frozen=True, slots=True)
class Limits:
    prepare_answer_seconds: float = 5.0
    """A Prepare is answered after so long even if it is not done: the operator sends it again."""
    late_answer_seconds: float = 15.0
    """How long a pod that is behind still answers what arrives: longer than it takes to leave the Service (readiness probe
    and kube-proxy, a few seconds), and bounded, for a client may hold its connection much longer."""
    retry_seconds: tuple[float, ...] = (1.0, 2.0, 5.0, 10.0)
    """Pauses between attempts to get what a committed plan needs. The last one is repeated."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the swapper asks of others."""

    hand_on: Callable[[Envelope], Awaitable[None]]
    """Gives a signed commit to the peers."""
    clearance: Callable[[int], Awaitable[None]]
    """Returns when a pod that answered nothing yet may begin to, with this epoch (startup)."""
    flipped: Callable[[Serving], None]
    """Told after each flip, for gauges."""
    late: Callable[[int], None]
    """Told how many requests were admitted while the pod was behind."""
