"""Something bounded (bytes, places) that many callers share, so that none can take all of it. Pure.

Dynamic thresholds (Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998, doi 10.1109/90.664262): a caller may
hold as much as is still free. One alone holds half, each of n that take all they get 1/(n+1), and the same is left for
whoever comes next. Nothing is set per caller, and nothing is kept of one that holds nothing.
"""

from collections.abc import Hashable, Iterator
from contextlib import contextmanager


class Taken(Exception):
    """The caller holds its share, or all is held: later there will be room."""


class Shares:
    """For one thread. `free` and `held` are for metrics and tests."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[Hashable, int] = {}
        self.held = 0
        """By all."""

    def __len__(self) -> int:
        """How many callers hold something."""
        return len(self._held)

    def has_room(self, who: Hashable, amount: int) -> bool:
        """Whether `who` may have so much more. The first of a caller's may be larger than its share, if it is free."""
        own = self._held.get(who, 0)
        return own + amount <= self._most - self.held

    def take(self, who: Hashable, amount: int) -> None:
        """Until it is given back. Raises Taken."""
        if not self.has_room(who, amount):
            raise Taken
        self._change(who, amount)

    def give_back(self, who: Hashable, amount: int) -> None:
        self._change(who, -amount)

    def _change(self, who: Hashable, amount: int) -> None:
        self.held += amount
        self._held[who] = self._held.get(who, 0) + amount
        if not self._held[who]:
            del self._held[who]

    @contextmanager
    def held_by(self, who: Hashable, amount: int) -> Iterator[None]:
        """Raises Taken, before anything is done."""
        self.take(who, amount)
        try:
            yield
        finally:
            self.give_back(who, amount)
