"""What every reconciler is given. Made once by `main` when this process becomes the leader.

A reconciler is a class with `__init__(self, context: Context)` and `async def reconcile(self, key: Key) -> Result`: it reads
the world, asks pure functions, acts, writes status. It raises to be tried again with back-off; it is cancelled after
`settings.reconcile_timeout_seconds`, and must leave at every await a state that the next call can go on from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from podium_operator.cluster import Cluster, Fence
from podium_operator.events import Events
from podium_operator.kinds import Key
from podium_operator.runtime.metrics import Metrics
from podium_operator.runtime.queue import KeyQueue
from podium_operator.settings import Settings


@dataclass(frozen=True)
class Context:
    settings: Settings
    cluster: Cluster
    events: Events
    queue: KeyQueue
    """For `queue.add(Key(...))`: asks for another object's reconcile."""
    metrics: Metrics
    fence: Fence
    """Call before anything that only a leader may do and that does not go through `cluster`: it raises LeaseLost."""
    term: int
    """Counts elections; goes into plans."""
    signing_key: Ed25519PrivateKey
    collector_key: bytes
    now: Callable[[], datetime]
    """The wall clock, in UTC, for timestamps."""
    clock: Callable[[], float]
    """Monotonic seconds, for durations."""


@dataclass(frozen=True)
class Result:
    """How a reconcile ended well. `requeue_after_seconds` None: wait for an event or the resync."""

    requeue_after_seconds: float | None = None


class Reconciler(Protocol):
    async def reconcile(self, key: Key) -> Result: ...
