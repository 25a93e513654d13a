"""A document of an issuer that may be silent: fetched once for all who want it, waited for briefly, used when it is old.

Nobody waits for a refresh while what is known is young enough to be used, and after a failure nobody waits at all for a
while: a silent issuer delays one generation of sign-ins, not each after the other.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")

FRESH_SECONDS = 3600.0
"""After which it is fetched again, beside those who use it."""
STALE_SECONDS = 86_400.0
"""After which it is used no more: what was withdrawn a day ago must not count because its issuer cannot be asked."""
PAUSE_SECONDS = 10.0
"""Between two fetches, whoever asks: a stream of forged tokens does not become a stream of requests."""


class IssuerSilent(Exception):
    """The issuer could not be asked, or made no sense. Trying again may help."""


class Kept(Generic[_T]):
    """For one event loop."""

    def __init__(self, fetch: Callable[[], Awaitable[_T]], clock: Callable[[], float] = time.monotonic) -> None:
        """`fetch` ends within bounds of its own, and raises IssuerSilent."""
        self._fetch = fetch
        self._clock = clock
        self._known: tuple[float, _T] | None = None
        self._fetching: asyncio.Task[_T] | None = None
        self._tried_at = float("-inf")

    async def get(self) -> _T:
        """Raises IssuerSilent, of a fetch that failed lately too."""
        age = float("inf") if self._known is None else self._clock() - self._known[0]
        if age > FRESH_SECONDS:
            self._begin()
        if self._known is not None and age <= STALE_SECONDS:
            return self._known[1]
        return await self._fetched()

    async def newer(self) -> _T:
        """As it is now, unless it was asked for lately. Raises IssuerSilent."""
        self._begin()
        return await self._fetched()

    def _begin(self) -> None:
        """Nothing while a fetch is under way, or shortly after one."""
        if self._clock() - self._tried_at >= PAUSE_SECONDS and (self._fetching is None or self._fetching.done()):
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._keep())
            self._fetching.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def _keep(self) -> _T:
        found = await self._fetch()
        self._known = self._clock(), found
        return found

    async def _fetched(self) -> _T:
        assert self._fetching is not None, "begun before"
        return await asyncio.shield(self._fetching)
