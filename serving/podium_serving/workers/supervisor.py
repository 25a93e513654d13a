"""A pod of several workers, wired: one process speaks to the operator and to peers, the workers speak to clients.

The swapper is the same as in a pod of one process; only its `current` is a word in memory that all workers read, and what
it assembles is assembled in all of them. Imports neither ONNX Runtime nor the lane: it has to stay small.
"""

import asyncio
import functools
import logging

from podium_crds.plan import Commit, ControlStatus, Envelope, Message
from podium_serving.control.running import HotSwap, Inside
from podium_serving.exposition import text
from podium_serving.fetch.packages import Packages
from podium_serving.metrics import Metrics
from podium_serving.model.package import parse_descriptor
from podium_serving.processes import resident_bytes
from podium_serving.served import Serving
from podium_serving.settings import Settings
from podium_serving.state import ServingState
from podium_serving.swap.assembly import Assembling
from podium_serving.swap.report import Identity
from podium_serving.swap.surroundings import Limits, Surroundings
from podium_serving.swap.swapper import Swapper
from podium_serving.workers.assembly import FleetAssembler, FleetState
from podium_serving.workers.fleet import Fleet
from podium_serving.workers.status import pod_bytes, pod_status
from podium_serving.workers.totals import merged
from podium_serving.workers.words import Words

logger = logging.getLogger(__name__)

_END_SECONDS = 2.0
"""Beyond the workers' own limit for draining."""


class PodSwapper(Swapper):
    """Answers for the whole pod."""

    def __init__(
        self,
        identity: Identity,
        state: ServingState,
        assembler: Assembling,
        surroundings: Surroundings,
        limits: Limits,
        *,
        fleet: Fleet,
    ) -> None:
        super().__init__(identity, state, assembler, surroundings, limits)
        self._fleet = fleet

    async def handle(self, envelope: Envelope, message: Message) -> ControlStatus:
        await super().handle(envelope, message)
        if isinstance(message, Commit) and self._catching_up is not None and not self._state.behind:
            await asyncio.wait({self._catching_up}, timeout=self._limits.prepare_answer_seconds)
        await self._fleet.look()
        return self.status()

    def status(self) -> ControlStatus:
        return pod_status(super().status(), self._fleet.reports, resident_bytes())


class Supervisor:
    """Made by `start`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._words = Words.create()
        self._state = FleetState(self._words)
        self._metrics = Metrics(settings.namespace, settings.deployment)
        self.fleet = Fleet(settings.workers, self._words, self.exposition)
        self._swap: HotSwap | None = None

    async def start(self) -> None:
        """Raises OSError when a port is taken or a worker does not start. `close` is due in any case."""
        await self.fleet.start()
        swapper = functools.partial(PodSwapper, fleet=self.fleet)
        inside = Inside(self._assembler, self._flipped, _late, self.exposition, swapper)
        self._swap = await HotSwap.over(self._settings, self._state, inside)

    async def close(self) -> None:
        """Drains all workers, then ends what speaks to the operator."""
        self._state.draining = True
        await self.fleet.drain(self._settings.http.drain_limit_seconds + _END_SECONDS)
        if self._swap is not None:
            await self._swap.close()
        self._words.close()

    async def exposition(self) -> bytes:
        """The metrics of all processes of this pod."""
        self._metrics.workers.labels().set(self.fleet.listening)
        self._metrics.worker_restarts.labels().value = self.fleet.restarts
        return text(merged([self._metrics.families(), *await self.fleet.samples()]))

    async def _resident_bytes(self) -> int:
        await self.fleet.look()
        return pod_bytes(self.fleet.reports, resident_bytes())

    def _assembler(self, packages: Packages) -> FleetAssembler:
        settings = self._settings
        return FleetAssembler(
            pool=settings.pool,
            packages=packages,
            fleet=self.fleet,
            workers=settings.workers,
            read_descriptor=parse_descriptor,
            resident_bytes=self._resident_bytes,
            memory_limit_bytes=settings.memory_limit_bytes,
        )

    def _flipped(self, serving: Serving) -> None:
        self._metrics.plan_epoch.labels().set(serving.plan.epoch)
        self.fleet.nudge()


def _late(requests: int) -> None:
    """Workers count their own."""


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Serves as a pod of a deployment until `stop`. Raises OSError when a port is taken."""
    supervisor = Supervisor(settings)
    try:
        await supervisor.start()
        logger.info("serving %s/%s with %d workers", settings.namespace, settings.deployment, settings.workers)
        await stop.wait()
    finally:
        await supervisor.close()
