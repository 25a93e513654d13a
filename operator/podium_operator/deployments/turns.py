"""Whose turn it is to bring up a second pool only because Podium was upgraded. Pure but for what it remembers.

All deployments at once would ask the cluster for twice its pods, and none would get a whole pool. Losing it (another leader)
costs at most twice as many moves at once.
"""

from dataclasses import dataclass, field

from podium_operator.kinds import Key

MOVES_AT_ONCE = 2
TURN_SECONDS = 900.0
"""A move that has not ended by then (a cluster without room) does not hold up the next ones; it goes on."""


@dataclass
class Turns:
    """Times are monotonic seconds."""

    since: dict[Key, float] = field(default_factory=dict)

    def take(self, key: Key, now: float) -> bool:
        """Whether `key` may move now. Who has the turn keeps it."""
        if key in self.since:
            return True
        if sum(now - since < TURN_SECONDS for since in self.since.values()) >= MOVES_AT_ONCE:
            return False
        self.since[key] = now
        return True

    def end(self, key: Key) -> None:
        self.since.pop(key, None)
