"""What may come to the control port before a signature has said that it is the operator's: so much at once, of one address
and of all, and after many refusals of an address little more. Pure: the time comes in.

Looking at a message takes milliseconds of the loop that inference shares. The operator's own messages cost it nothing here,
and no other address can take its place.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from podium_crds.rates import Buckets, Rate
from podium_crds.shares import Shares, Taken

MOST_BYTES = 16 * 1024 * 1024
"""Of bodies that come or are looked at; of one address half."""
LEAST_BYTES = 64 * 1024
"""What a message counts as at least: so a bound on bytes is one on their number, too."""
REFUSALS = Rate(per_second=2, burst=50)
"""Of messages that were not the operator's, by address. An operator whose key is not this pod's any more asks less often,
and is told so each time."""


class TurnedAway(Exception):
    """Later there may be room. The text says why."""


class Strangers:
    """For one event loop."""

    def __init__(self) -> None:
        self._coming = Shares(MOST_BYTES)
        self._refusals = Buckets(REFUSALS)

    @contextmanager
    def coming(self, address: str, announced_bytes: int, now: float) -> Iterator[None]:
        """While a message comes and is looked at. Raises TurnedAway before."""
        if not self._refusals.allows(address, now):
            raise TurnedAway("too many messages from this address were refused")
        try:
            self._coming.take(address, size := max(LEAST_BYTES, announced_bytes))
        except Taken as error:
            raise TurnedAway("too many messages are coming from this address, or from all") from error
        try:
            yield
        finally:
            self._coming.give_back(address, size)

    def refused(self, address: str, now: float) -> None:
        self._refusals.take(address, now)
