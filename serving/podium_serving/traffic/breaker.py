"""Keeps requests away from a challenger that keeps failing. Pure: the clock comes in.

Closed, every request passes. Five failures in a row, or half of the last twenty, open it: nothing passes for a while.
Then one request at a time is a probe; three good ones close it, a bad one opens it for twice as long, at most 30 s.
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

FAILURES_IN_A_ROW = 5
RECENT = 20
FAILED_SHARE = 0.5
PROBES_TO_CLOSE = 3
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0


class BreakerState(StrEnum):
    CLOSED = "Closed"
    OPEN = "Open"
    PROBING = "Probing"


@dataclass(frozen=True, slots=True)
class Pass:
    """Leave to forward one request. An outcome counts only in the spell of the breaker that gave the leave."""

    spell: int


class Breaker:
    def __init__(self) -> None:
        self.state = BreakerState.CLOSED
        self._spell = 0
        self._in_a_row = 0
        self._recent: deque[bool] = deque(maxlen=RECENT)
        self._pause = FIRST_PAUSE_SECONDS
        self._opened_at = 0.0
        self._probe_out = False
        self._good_probes = 0

    def is_shut(self, now: float) -> bool:
        """Nothing passes now, whatever it is. Changes nothing."""
        return self.state is BreakerState.OPEN and now - self._opened_at < self._pause

    def admit(self, now: float) -> Pass | None:
        """None: the request must not be forwarded. Whoever gets a Pass must hand it back by `settle` or `forgive`."""
        if self.is_shut(now):
            return None
        if self.state is BreakerState.OPEN:
            self._enter(BreakerState.PROBING)
        if self.state is BreakerState.PROBING:
            if self._probe_out:
                return None
            self._probe_out = True
        return Pass(self._spell)

    def settle(self, leave: Pass, *, good: bool, now: float) -> None:
        """The forward came out well or not. Late outcomes of an earlier spell are ignored."""
        if leave.spell != self._spell:
            return
        if self.state is BreakerState.PROBING:
            self._settle_probe(good, now)
        else:
            self._settle_closed(good, now)

    def forgive(self, leave: Pass) -> None:
        """The forward ended without telling anything about the challenger: the client left, or gave it too little time."""
        if leave.spell == self._spell:
            self._probe_out = False

    def _settle_probe(self, good: bool, now: float) -> None:
        self._probe_out = False
        if not good:
            self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)
            self._open(now)
            return
        self._good_probes += 1
        if self._good_probes >= PROBES_TO_CLOSE:
            self._pause = FIRST_PAUSE_SECONDS
            self._enter(BreakerState.CLOSED)

    def _settle_closed(self, good: bool, now: float) -> None:
        self._recent.append(good)
        self._in_a_row = 0 if good else self._in_a_row + 1
        many = len(self._recent) == RECENT and self._recent.count(False) >= RECENT * FAILED_SHARE
        if self._in_a_row >= FAILURES_IN_A_ROW or many:
            self._open(now)

    def _open(self, now: float) -> None:
        self._opened_at = now
        self._enter(BreakerState.OPEN)

    def _enter(self, state: BreakerState) -> None:
        self.state = state
        self._spell += 1
        self._in_a_row = 0
        self._recent.clear()
        self._probe_out = False
        self._good_probes = 0
