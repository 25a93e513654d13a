"""One worker's process: the ports that clients reach, and the supervisor's commands.

`python -m podium_serving worker --channel FD --words FD --number N`, started by the supervisor with its environment.
"""

import asyncio
import dataclasses
import logging
import socket

from podium_crds.plan import Plan
from podium_serving.control.gauges import Gauges
from podium_serving.metrics import Metrics
from podium_serving.model.package import parse_descriptor
from podium_serving.running import Ports, quiet_collector
from podium_serving.settings import Settings
from podium_serving.swap.faults import PreparationFailed
from podium_serving.swap.loading import version_loader
from podium_serving.workers.channel import Channel, Gone, Refused
from podium_serving.workers.following import Follower, FollowingState
from podium_serving.workers.messages import Done, Drop, Expose, Hold, Listen, Message, Sample, Samples, Tell, Text
from podium_serving.workers.words import Words

logger = logging.getLogger(__name__)

_EXPOSITION_SECONDS = 3.0


class Worker:
    """Answers the supervisor."""

    def __init__(self, settings: Settings, words: Words) -> None:
        self._settings = settings
        self._state = FollowingState(words)
        self._metrics = Metrics(settings.namespace, settings.deployment)
        self._ports = Ports(settings, self._state, self._metrics, self._exposition)
        gauges = Gauges(self._metrics)
        loader = version_loader(settings.model, gauges.on_batch, gauges.loaded)
        self._follower = Follower(
            settings.pool, words, self._state, loader, parse_descriptor, self._ports.traffic, self._metrics
        )
        self._listening = False
        self.channel: Channel | None = None

    async def answer(self, question: Message) -> Message:
        match question:
            case Hold(plan, folder, descriptor):
                await self._follower.hold(Plan.model_validate_json(plan), folder, descriptor)
                return Done()
            case Drop(epoch):
                self._follower.drop(epoch)
                return Done()
            case Listen():
                await self._listen()
                return Done()
            case Tell():
                return self._follower.report()
            case Sample():
                return Samples(self._metrics.families())
            case _:
                raise PreparationFailed("PreparationFailed", f"a worker is not asked {type(question).__name__}")

    async def close(self) -> None:
        if self._listening:
            await self._ports.close()
        await self._follower.close()

    async def _listen(self) -> None:
        if not self._listening:
            self._listening = True
            await self._ports.start(shared=True)
            quiet_collector()

    async def _exposition(self) -> bytes:
        """Of the whole pod; of this process alone while the supervisor is silent."""
        return await pod_exposition(self.channel) or self._metrics.exposition()


async def pod_exposition(supervisor: Channel | None) -> bytes | None:
    """What the supervisor says /metrics of the pod is. None while it is silent."""
    try:
        answer = await supervisor.ask(Expose(), _EXPOSITION_SECONDS) if supervisor is not None else None
    except (Gone, Refused, TimeoutError):
        return None
    return answer.content if isinstance(answer, Text) else None


def worker_settings(settings: Settings) -> Settings:
    """What one of several workers has of the pod's CPU."""
    threads = max(1, settings.model.threads // settings.workers)
    return dataclasses.replace(settings, model=dataclasses.replace(settings.model, threads=threads))


async def work(settings: Settings, channel: int, words: int, stop: asyncio.Event) -> None:
    """Serves until `stop`, or until the supervisor is gone."""
    worker = Worker(worker_settings(settings), Words(words))
    worker.channel = await Channel.over(socket.socket(fileno=channel), worker.answer, stop.set)
    try:
        await stop.wait()
    finally:
        await worker.close()
        await worker.channel.close()
