"""Who somebody is and what they may see, as the API server says it, remembered for half a minute.

A page asks for every namespace that it shows: without this each view would be hundreds of reviews. So a right that was taken
away is gone after 30 seconds at most.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

REMEMBERED_SECONDS = 30.0
_MOST_REMEMBERED = 10_000

_T = TypeVar("_T")


class AccessUnknown(Exception):
    """The API server could not be asked: nobody is let in, and trying again may help."""


@dataclass(frozen=True)
class Identity:
    """A user, as the API server's authentication names it."""

    user: str
    groups: tuple[str, ...] = ()


class Reviews(Protocol):
    """What only the API server knows."""

    async def may(self, user: str, groups: Sequence[str], verb: str, resource: str, namespace: str) -> bool:
        """Raises AccessUnknown."""

    async def who(self, token: str) -> Identity | None:
        """None: nobody's token. Raises AccessUnknown."""


class NoReviews:
    """Where there is no API server: nobody is anybody, and nobody may anything."""

    async def may(self, user: str, groups: Sequence[str], verb: str, resource: str, namespace: str) -> bool:
        return False

    async def who(self, token: str) -> Identity | None:
        return None


class RememberedReviews:
    """The same answers as `reviews`, at most 30 s old. For one event loop. Of tokens only their hashes are kept."""

    def __init__(self, reviews: Reviews, clock: Callable[[], float] = time.monotonic) -> None:
        self._reviews = reviews
        self._allowed: _Memory[bool] = _Memory(clock)
        self._identities: _Memory[Identity | None] = _Memory(clock)

    async def may(self, user: str, groups: Sequence[str], verb: str, resource: str, namespace: str) -> bool:
        """Raises AccessUnknown."""
        key = (user, tuple(sorted(groups)), verb, resource, namespace)
        return await self._allowed.get(key, lambda: self._reviews.may(user, groups, verb, resource, namespace))

    async def who(self, token: str) -> Identity | None:
        """None: nobody's token. Raises AccessUnknown."""
        key = hashlib.sha256(token.encode()).digest()
        return await self._identities.get(key, lambda: self._reviews.who(token))


class _Memory(Generic[_T]):
    """Answers by key, each asked for once by all who want it meanwhile. Failures are not kept."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._answers: OrderedDict[Hashable, tuple[float, asyncio.Future[_T]]] = OrderedDict()

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[_T]]) -> _T:
        at, answer = self._answers.get(key, (0.0, None))
        if answer is None or self._clock() - at > REMEMBERED_SECONDS or _failed(answer):
            answer = asyncio.ensure_future(ask())
            answer.add_done_callback(_failed)  # a failure is looked at even if all who asked have left
            self._answers[key] = self._clock(), answer
            self._answers.move_to_end(key)
            while len(self._answers) > _MOST_REMEMBERED:
                self._answers.popitem(last=False)
        return await asyncio.shield(answer)


def _failed(answer: "asyncio.Future[_T]") -> bool:
    return answer.done() and (answer.cancelled() or answer.exception() is not None)
