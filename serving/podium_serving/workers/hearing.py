"""What the supervisor knows of its workers: how they are, what their metrics say, and since when one is silent."""

import asyncio
import logging
import time
from collections.abc import Iterable

from podium_serving.exposition import Family
from podium_serving.swap.tasks import TaskSet
from podium_serving.workers.channel import Gone, Refused
from podium_serving.workers.messages import Message, Report, Sample, Samples, Tell
from podium_serving.workers.process import WorkerProcess
from podium_serving.workers.totals import ended, merged

logger = logging.getLogger(__name__)

SILENT_SECONDS = 10.0
"""A worker whose loop answers nothing for so long hangs, as a pod does whose liveness probe is not answered."""
ASTRAY_LOOKS = 3
"""A worker that answers under another epoch than the pod at so many looks in a row has gone wrong."""
_ANSWER_SECONDS = 1.0


class Hearing:
    """`reports` and `samples` hold what each worker said last."""

    def __init__(self) -> None:
        self.reports: dict[WorkerProcess, Report] = {}
        self._samples: dict[WorkerProcess, list[Family]] = {}
        self._buried: list[Family] = []
        self._heard_at: dict[WorkerProcess, float] = {}
        self._astray: dict[WorkerProcess, int] = {}
        self._telling = TaskSet("telling a worker")

    def begin(self, worker: WorkerProcess) -> None:
        self._heard_at[worker] = time.monotonic()

    def bury(self, worker: WorkerProcess) -> None:
        """It ended. What it counted stays counted, as far as it was heard of."""
        self._buried = merged([self._buried, ended(self._samples.pop(worker, []))])
        self.reports.pop(worker, None)
        self._heard_at.pop(worker, None)
        self._astray.pop(worker, None)

    def tell(self, worker: WorkerProcess, message: Message) -> None:
        """Without waiting."""
        self._telling.run(self._told(worker, message))

    async def look(self, workers: Iterable[WorkerProcess]) -> None:
        """Brings `reports` up to date."""
        await asyncio.gather(*(self._told(worker, Tell()) for worker in workers))

    async def samples(self, workers: Iterable[WorkerProcess]) -> list[list[Family]]:
        """The metrics of every worker now, and of those that ended."""
        await asyncio.gather(*(self._told(worker, Sample()) for worker in workers))
        return [self._buried, *self._samples.values()]

    def why_wrong(self, worker: WorkerProcess, epoch: int) -> str:
        """Why the worker cannot stay, while the pod answers with `epoch`. Empty: it can. Ask once per look."""
        silent = time.monotonic() - self._heard_at.get(worker, time.monotonic())
        if silent > SILENT_SECONDS:
            return f"it was silent for {silent:.0f} s"
        report = self.reports.get(worker)
        self._astray[worker] = self._astray.get(worker, 0) + 1 if report and report.epoch != epoch else 0
        if report is not None and self._astray[worker] >= ASTRAY_LOOKS:
            return f"it answers with epoch {report.epoch}, the pod with {epoch}"
        return ""

    async def close(self) -> None:
        await self._telling.cancel()

    async def _told(self, worker: WorkerProcess, message: Message) -> None:
        try:
            answer = await worker.channel.ask(message, _ANSWER_SECONDS)
        except (Gone, Refused, TimeoutError):
            return
        if worker not in self._heard_at:
            return  # it ended meanwhile
        self._heard_at[worker] = time.monotonic()
        match answer:
            case Report():
                self.reports[worker] = answer
            case Samples(families):
                self._samples[worker] = families
