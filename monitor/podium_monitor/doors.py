"""How much of each kind of request the collector has under way, of one deployment and in all.

Asked when the head of a request is read and its sender known, before its body: who is turned away has cost nothing.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal, TypeVar

from fastapi import Request

from podium_crds.shares import Shares, Taken
from podium_monitor.credentials import Source
from podium_monitor.events import TooLarge
from podium_monitor.metrics import Metrics

Kind = Literal["Batches", "Labels", "SmallLabels", "References", "Readings", "Lookups"]

_LEAST_BYTES = 64 * 1024
"""What a request counts as at least: so a bound on bytes is one on their number, too."""


_READINGS = 4
_LOOKUPS = 64
_LOOKING = 4
"""Threads."""

_T = TypeVar("_T")


class Door:
    """Lets requests of one kind in, as long as their deployment's share lasts."""

    def __init__(self, kind: Kind, most: int, metrics: Metrics) -> None:
        """`most`: bytes, or requests; one deployment gets half of it at most (podium_crds.shares)."""
        self._kind: Kind = kind
        self._shares = shares = Shares(most)
        self._turned_away = metrics.turned_away
        metrics.under_way.labels(kind).set_function(lambda: shares.held / most)

    @contextmanager
    def let_in(self, source: Source, amount: int) -> Iterator[None]:
        """Raises Taken."""
        deployment = (source.namespace, source.name)  # whichever of its uids: there are as many as it was made anew
        try:
            self._shares.take(deployment, amount)
        except Taken:
            self._turned_away.labels(self._kind, *deployment).inc()
            raise
        try:
            yield
        finally:
            self._shares.give_back(deployment, amount)


class Readings:
    """What takes much memory and seconds is read in a thread, one at a time, in the order of arrival."""

    def __init__(self, metrics: Metrics) -> None:
        self._door = Door("Readings", _READINGS, metrics)
        self._turn = asyncio.Lock()

    async def read(self, source: Source, reader: Callable[[], _T]) -> _T:
        """Raises Taken, and what `reader` raises."""
        with self._door.let_in(source, 1):
            async with self._turn:
                return await asyncio.to_thread(reader)


class Lookups:
    """Questions of senders to the lake. In threads of their own: a bucket that does not answer must not take those that
    batches are committed in."""

    def __init__(self, metrics: Metrics) -> None:
        self._door = Door("Lookups", _LOOKUPS, metrics)
        self._threads = ThreadPoolExecutor(_LOOKING, "lookup")

    async def ask(self, source: Source, question: Callable[[], _T]) -> _T:
        """Raises Taken, and what `question` raises."""
        with self._door.let_in(source, 1):
            return await asyncio.get_running_loop().run_in_executor(self._threads, question)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def announced_bytes(request: Request, limit: int) -> int:
    """What the body may take: as its head says, else `limit`. Raises TooLarge if the head says more."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        return limit
    if len(length) > 18 or int(length) > limit:
        raise TooLarge(f"the body has more than {limit} bytes, send smaller ones")
    return max(_LEAST_BYTES, int(length))
