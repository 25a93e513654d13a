"""Rows of the overview, kept ready: an evaluation is a large document, its row a few lines.

Nothing is read while nobody looks. Who looks gets what is there, and what is older than 20 s is read again behind their
back; what is missing, or older than two minutes, they wait for.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from podium_monitor.dashboard.sources import Sources
from podium_monitor.dashboard.views.overview import Row, row
from podium_monitor.world import Watched

_FRESH_SECONDS = 20.0
_USABLE_SECONDS = 120.0


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
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._reading = asyncio.Lock()
        self._behind: asyncio.Task[None] | None = None

    async def rows(self, everything: Sequence[Watched], shown: Sequence[Watched]) -> list[Row]:
        """Of `shown`, in its order. What is not in `everything` any more is forgotten."""
        for gone in self._kept.keys() - {(one.namespace, one.name) for one in everything}:
            del self._kept[gone]
        if any(self._older(one, _USABLE_SECONDS) for one in shown):
            await self._read(shown, _USABLE_SECONDS)
        if any(self._older(one, _FRESH_SECONDS) for one in shown) and (self._behind is None or self._behind.done()):
            self._behind = asyncio.create_task(self._read(shown, _FRESH_SECONDS))
        return [kept.row for one in shown if (kept := self._kept.get((one.namespace, one.name))) is not None]

    def _older(self, one: Watched, seconds: float) -> bool:
        """A manifest that has changed makes any row old."""
        kept = self._kept.get((one.namespace, one.name))
        return kept is None or kept.watched is not one or self._clock() - kept.at > seconds

    async def _read(self, shown: Iterable[Watched], seconds: float) -> None:
        async with self._reading:
            for one in [one for one in shown if self._older(one, seconds)]:
                made = await asyncio.to_thread(self._made, one)
                self._kept[one.namespace, one.name] = _Kept(one, made, self._clock())

    def _made(self, one: Watched) -> Row:
        evaluation = self._sources.evaluation(one.namespace, one.name)
        evidence = self._sources.evidence(one.namespace, one.name)
        return row(one, evaluation, evidence, self._sources.findings(one, evaluation))
