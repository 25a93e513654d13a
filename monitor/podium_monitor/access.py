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

from podium_crds.rates import Buckets, Rate

REMEMBERED_SECONDS = 30.0
_MOST_REMEMBERED = 10_000
_MOST_TOKEN = 16_384
_AT_ONCE = 32
"""Questions that the API server has before it at once; others wait."""
_OF_ASKER = Rate(per_second=2, burst=20)
_OF_ALL = Rate(per_second=20, burst=200)
"""Tokens that are nobody's, as shown by one address and by all."""
_OF_USER = Rate(per_second=50, burst=2000)
"""A page asks for each namespace in which something is deployed."""

_T = TypeVar("_T")


class AccessUnknown(Exception):
    """The API server could not be asked: nobody is let in, and trying again may help."""


class TooManyQuestions(AccessUnknown):
    """More would have to be asked than is good for the API server. The text is for the log: it names who asks."""


@dataclass(frozen=True)
class Identity:
    """A user, as the API server's authentication names it."""

    user: str
    groups: tuple[str, ...] = ()


class ApiServer(Protocol):
    """What only the API server knows."""

    async def may(self, user: str, groups: Sequence[str], verb: str, resource: str, namespace: str) -> bool:
        """Raises AccessUnknown."""

    async def who(self, token: str) -> Identity | None:
        """None: nobody's token. Raises AccessUnknown."""


class Reviews(Protocol):
    """The same, as it is asked for by people and programs."""

    async def may(self, user: str, groups: Sequence[str], verb: str, resource: str, namespace: str) -> bool:
        """Raises AccessUnknown."""

    async def who(self, token: str, asker: str = "") -> Identity | None:
        """None: nobody's token. `asker`: the address that shows it. Raises AccessUnknown."""


class NoReviews:
    """Where there is no API server: nobody is anybody, and nobody may anything."""

    async def may(self, user: str, groups: Sequence[str], verb: str, resource: str, namespace: str) -> bool:
        return False

    async def who(self, token: str, asker: str = "") -> Identity | None:
        return None


class RememberedReviews:
    """The answers of `server`, at most 30 s old. For one event loop. Of tokens only their hashes are kept.

    Anybody can make up tokens, so a question that nobody's token causes counts against whoever asks and against all; a token
    that was somebody's is asked for again whatever others do. What a user may counts against that user.
    """

    def __init__(self, server: ApiServer, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._clock = clock
        self._allowed: _Memory[bool] = _Memory(clock)
        self._identities: _Memory[Identity | None] = _Memory(clock)
        self._strangers: _Memory[Identity | None] = _Memory(clock)
        """Apart: made-up tokens do not push out those that are somebody's."""
        self._were_good: OrderedDict[bytes, None] = OrderedDict()
        self._of_asker, self._of_all, self._of_user = Buckets(_OF_ASKER), Buckets(_OF_ALL), Buckets(_OF_USER)
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def may(self, user: str, groups: Sequence[str], verb: str, resource: str, namespace: str) -> bool:
        """Raises AccessUnknown."""
        key = (user, tuple(sorted(groups)), verb, resource, namespace)
        if not self._allowed.has(key) and not self._of_user.take(user, self._clock()):
            raise TooManyQuestions(f"{user} asks for more than {_OF_USER.burst:.0f} namespaces")
        return await self._allowed.get(key, lambda: self._may(user, groups, verb, resource, namespace))

    async def _may(self, user: str, groups: Sequence[str], verb: str, resource: str, namespace: str) -> bool:
        async with self._turns:
            return await self._server.may(user, groups, verb, resource, namespace)

    async def who(self, token: str, asker: str = "") -> Identity | None:
        """None: nobody's token. Raises AccessUnknown."""
        if len(token) > _MOST_TOKEN or not token.isascii() or not token.isprintable():
            return None
        key = hashlib.sha256(token.encode()).digest()
        if key in self._were_good:
            found = await self._identities.get(key, lambda: self._who(token))
        else:
            found = await self._stranger(key, token, asker)
        if found is None:
            self._were_good.pop(key, None)
        else:
            self._were_good[key] = None
            self._were_good.move_to_end(key)
            if len(self._were_good) > _MOST_REMEMBERED:
                self._were_good.popitem(last=False)
        return found

    async def _stranger(self, key: bytes, token: str, asker: str) -> Identity | None:
        """Of a token that was not known. Costs the asker nothing if it is somebody's."""
        if self._strangers.has(key):
            return await self._strangers.get(key, lambda: self._who(token))
        if not self._of_asker.take(asker, self._clock()):
            raise TooManyQuestions(f"{asker} shows too many tokens that are nobody's")
        if not self._of_all.take("", self._clock()):
            raise TooManyQuestions("too many tokens that are nobody's are shown")
        found = await self._strangers.get(key, lambda: self._who(token))
        if found is not None:
            self._strangers.hand_over(key, self._identities)
            self._of_asker.give_back(asker, self._clock())
            self._of_all.give_back("", self._clock())
        return found

    async def _who(self, token: str) -> Identity | None:
        async with self._turns:
            return await self._server.who(token)


class _Memory(Generic[_T]):
    """Answers by key, each asked for once by all who want it meanwhile. Failures are not kept."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._answers: OrderedDict[Hashable, tuple[float, asyncio.Future[_T]]] = OrderedDict()

    def has(self, key: Hashable) -> bool:
        """Whether `get` asks nobody."""
        at, answer = self._answers.get(key, (0.0, None))
        return answer is not None and self._clock() - at <= REMEMBERED_SECONDS and not _failed(answer)

    def hand_over(self, key: Hashable, to: "_Memory[_T]") -> None:
        """The answer, if it is still here."""
        if (known := self._answers.pop(key, None)) is not None:
            to._answers[key] = known

    async def get(self, key: Hashable, ask: Callable[[], Awaitable[_T]]) -> _T:
        if not self.has(key):
            answer = asyncio.ensure_future(ask())
            answer.add_done_callback(_failed)  # a failure is looked at even if all who asked have left
            self._answers[key] = self._clock(), answer
            self._answers.move_to_end(key)
            while len(self._answers) > _MOST_REMEMBERED:
                self._answers.popitem(last=False)
        return await asyncio.shield(self._answers[key][1])


def _failed(answer: "asyncio.Future[_T]") -> bool:
    return answer.done() and (answer.cancelled() or answer.exception() is not None)
