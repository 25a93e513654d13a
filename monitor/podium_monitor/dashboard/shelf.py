"""Rows of the overview, kept ready: each is made of a glance of two kilobytes.

Nothing is read while nobody looks. Who looks gets what is there; what is older than a minute is read again behind their
back. For what is missing or older than five minutes they wait a moment; then the page says how many are still to come.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from podium_monitor.dashboard.sources import Sources
from podium_monitor.dashboard.views.overview import Row, row
from podium_monitor.world import Watched

log = logging.getLogger(__name__)

_FRESH_SECONDS = 60.0
_USABLE_SECONDS = 300.0
_PATIENCE_SECONDS = 0.15
_AT_ONCE = 8
"""Documents that are read at a time: of a bucket each takes a while."""

_Key = tuple[str, str]


@dataclass(frozen=True)
class _Kept:
    watched: Watched
    row: Row
    at: float


class Shelf:
    """For one event loop."""

    def __init__(self, sources: Sources, clock: Callable[[], float] = time.monotonic) -> None:
        self._sources = sources
        self._clock = clock
        self._kept: dict[_Key, _Kept] = {}
        self._wanted: dict[_Key, Watched] = {}
        self._reading: asyncio.Task[None] | None = None

    async def rows(self, everything: Sequence[Watched], shown: Sequence[Watched]) -> list[Row]:
        """Of `shown`, in its order, as far as they are known. What is not in `everything` any more is forgotten."""
        for gone in self._kept.keys() - {_key(one) for one in everything}:
            del self._kept[gone]
        missing = [one for one in shown if self._older(one, _USABLE_SECONDS)]
        stale = [one for one in shown if self._older(one, _FRESH_SECONDS)]
        self._wanted.update({_key(one): one for one in [*missing, *stale]})
        if self._wanted and (self._reading is None or self._reading.done()):
            self._reading = asyncio.create_task(self._read())
        if missing and self._reading is not None:
            await asyncio.wait({self._reading}, timeout=_PATIENCE_SECONDS)
        return [kept.row for one in shown if (kept := self._kept.get(_key(one))) is not None]

    def _older(self, one: Watched, seconds: float) -> bool:
        """A manifest that has changed makes any row old."""
        kept = self._kept.get(_key(one))
        return kept is None or kept.watched is not one or self._clock() - kept.at > seconds

    async def _read(self) -> None:
        """A few at a time, so that pages are answered meanwhile. Ends when nothing is wanted any more."""
        while self._wanted:
            await asyncio.gather(*(self._read_one(key) for key in list(self._wanted)[:_AT_ONCE]))

    async def _read_one(self, key: _Key) -> None:
        one = self._wanted.pop(key)
        try:
            made = await asyncio.to_thread(self._made, one)
        except Exception:  # one document that cannot be read, or shown, must not hide the others
            log.exception("%s/%s cannot be shown", *key)
            return
        self._kept[key] = _Kept(one, made, self._clock())

    def _made(self, one: Watched) -> Row:
        evidence = self._sources.evidence(one.namespace, one.name) if one.spec.challengers else None
        return row(one, self._sources.glance(one), evidence)


def _key(one: Watched) -> _Key:
    return one.namespace, one.name
