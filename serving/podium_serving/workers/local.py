"""Several processes that serve packages on one machine: `podium_serving local --workers N`.

There is no plan here, so nothing is swapped: every worker loads the same folders before it listens. Clients cannot load and
unload models, for they would reach one worker only.
"""

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

from podium_serving.exposition import text
from podium_serving.local.counting import Figures
from podium_serving.local.folders import Folders
from podium_serving.local.models import POOL, LocalModels
from podium_serving.local.running import LocalPorts, local
from podium_serving.metrics import Metrics
from podium_serving.processes import private_bytes, resident_bytes
from podium_serving.settings import Settings
from podium_serving.workers.channel import Channel
from podium_serving.workers.fleet import Fleet
from podium_serving.workers.messages import Done, Listen, Message, Report, Sample, Samples
from podium_serving.workers.totals import merged
from podium_serving.workers.words import Words
from podium_serving.workers.worker import pod_exposition

logger = logging.getLogger(__name__)

Say = Callable[[Settings, LocalModels, LocalPorts], None]


class LocalWorker:
    """One of them. Answers the supervisor."""

    def __init__(self, settings: Settings, folders: Folders, say: Say) -> None:
        self._settings = settings
        self._models = LocalModels(settings, folders)
        self._figures = Figures(self._models.metrics, Metrics(POOL, "", process=False))
        self._say = say
        self._listening = AsyncExitStack()
        self.channel: Channel | None = None

    async def answer(self, question: Message) -> Message:
        match question:
            case Listen(say_so):
                await self._listen(say_so=say_so)
                return Done()
            case Sample():
                return Samples(self._figures.families())
            case _:
                return self._report()

    async def close(self) -> None:
        await self._listening.aclose()
        await self._models.close()

    async def _listen(self, *, say_so: bool) -> None:
        await self._models.load_all()
        serving = local(self._models, self._settings, self._figures, self._exposition, changeable=False, shared=True)
        ports = await self._listening.enter_async_context(serving)
        if say_so:
            self._say(self._settings, self._models, ports)

    def _report(self) -> Report:
        mine = private_bytes("self")
        return Report(0, True, {}, {}, mine, resident_bytes() - mine)

    async def _exposition(self) -> bytes:
        return await pod_exposition(self.channel) or await self._figures.answer()


async def work(settings: Settings, folders: Folders, say: Say, channel: int, stop: asyncio.Event) -> None:
    """Serves until `stop`, or until the supervisor is gone."""
    worker = LocalWorker(settings, folders, say)
    worker.channel = await Channel.over(socket.socket(fileno=channel), worker.answer, stop.set)
    try:
        await stop.wait()
    finally:
        await worker.close()
        await worker.channel.close()


async def serve(settings: Settings, arguments: Sequence[str], stop: asyncio.Event) -> None:
    """Starts `podium_serving local` with these arguments in every worker. Raises OSError when one does not start."""
    metrics = Metrics(POOL, "")
    words = Words.create()

    async def exposition() -> bytes:
        metrics.workers.labels().set(fleet.listening)
        metrics.worker_restarts.labels().value = fleet.restarts
        return text(merged([metrics.families(), *await fleet.samples()]))

    fleet = Fleet(settings.workers, words, exposition, ("local", *arguments))
    try:
        await fleet.start()
        await stop.wait()
    finally:
        await fleet.drain(settings.http.drain_limit_seconds + 2.0)
        words.close()
