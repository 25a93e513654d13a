"""All workers of a pod: as many as are wanted, each holding every plan that may answer, renewed when they end.

A worker is a member, and listens, when it holds all plans that the pod holds at that moment: so the pod's epoch can change
to any of them at any time. Who decides about plans is the swapper; here nothing is committed.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from podium_crds.plan import Plan
from podium_serving.exposition import Family
from podium_serving.metrics import Exposition
from podium_serving.model.hook_pool import pause_seconds
from podium_serving.swap.faults import PreparationFailed
from podium_serving.workers.channel import Gone, Refused
from podium_serving.workers.hearing import Hearing
from podium_serving.workers.messages import Done, Drop, Expose, Hold, Listen, Message, Report, Tell, Text
from podium_serving.workers.process import WorkerProcess
from podium_serving.workers.words import Words

logger = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Between two looks at every worker."""
_YOUNG_SECONDS = 30.0
_HOLD_SECONDS = 900.0
"""To load a plan's model, at most."""
_MEMBERS_SECONDS = 30.0
"""How long a plan waits for the first worker that could hold it."""
_LOOKS_PER_SAMPLE = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """A plan that every worker holds."""

    plan: Plan
    provide: Callable[[], Awaitable[Hold]]
    """What a worker that joins must be told. Its files are checked, or fetched again, when it does."""


class Fleet:
    """Belongs to the supervisor's loop."""

    def __init__(self, count: int, words: Words, exposition: Exposition, command: Sequence[str] = ("worker",)) -> None:
        """`exposition` says what /metrics of the pod says; `command` starts a worker."""
        self._count = count
        self._command = command
        self._words = words
        self._exposition = exposition
        self._wanted: dict[int, Wanted] = {}
        self._processes: dict[int, WorkerProcess] = {}
        self._members: set[WorkerProcess] = set()
        self._joined = asyncio.Event()
        self._slots: list[asyncio.Task[None]] = []
        self._first: list[asyncio.Future[None]] = []
        self._looking: asyncio.Task[None] | None = None
        self._stopping = False
        self._hearing = Hearing()
        self.restarts = 0

    async def start(self) -> None:
        """Returns when every worker listens. Raises OSError when one does not; `drain` is due then, too."""
        loop = asyncio.get_running_loop()
        self._first = [loop.create_future() for _ in range(self._count)]
        self._slots = [loop.create_task(self._slot(number)) for number in range(self._count)]
        self._looking = loop.create_task(self._look())
        await asyncio.gather(*self._first)

    @property
    def listening(self) -> int:
        return len(self._members)

    @property
    def reports(self) -> list[Report]:
        """What each member said last of itself."""
        return [report for worker, report in self._hearing.reports.items() if worker in self._members]

    async def hold(self, wanted: Wanted, first: Hold) -> None:
        """Returns when all members hold the plan. Raises the first failure; then nobody holds it."""
        epoch = wanted.plan.epoch
        self._wanted[epoch] = wanted
        try:
            while True:
                answers = await asyncio.gather(*(self._held(worker, first) for worker in self._members))
                for failure in answers:
                    if isinstance(failure, Refused):
                        raise failure
                if any(answers):
                    return
                # Nobody was there, or all died of it. Who joins holds it.
                self._joined.clear()
                async with asyncio.timeout(_MEMBERS_SECONDS):
                    await self._joined.wait()
        except TimeoutError as error:
            self.drop(epoch)
            raise PreparationFailed("PreparationFailed", "no worker process of this pod could hold the plan") from error
        except BaseException:
            self.drop(epoch)
            raise

    def drop(self, epoch: int) -> None:
        """For a plan that does not answer (any more)."""
        if self._wanted.pop(epoch, None) is not None:
            for worker in self._processes.values():
                self._hearing.tell(worker, Drop(epoch))

    def nudge(self) -> None:
        """The pod's epoch has changed: idle workers look."""
        for worker in self._members:
            self._hearing.tell(worker, Tell())

    async def look(self) -> None:
        """Brings `reports` up to date."""
        await self._hearing.look(list(self._members))

    async def samples(self) -> list[list[Family]]:
        """The metrics of every worker, and of those that ended."""
        return await self._hearing.samples(list(self._members))

    async def drain(self, limit_seconds: float) -> None:
        """Ends all workers, each in its own order. Who needs longer is killed."""
        self._stopping = True
        processes = list(self._processes.values())
        for worker in processes:
            worker.terminate()
        await asyncio.gather(*(worker.ended(limit_seconds) for worker in processes))
        tasks = [*self._slots, *([self._looking] if self._looking else [])]
        for task in tasks:
            task.cancel()
        for first in self._first:
            first.cancel()
        await asyncio.gather(*tasks, *self._first, return_exceptions=True)
        # One that was being started while the others ended.
        await asyncio.gather(*(worker.ended(0.0) for worker in self._processes.values()))
        await self._hearing.close()

    async def _slot(self, number: int) -> None:
        """One worker after the other, for ever. The first one has to succeed."""
        first, deaths = self._first[number], 0
        while True:
            await asyncio.sleep(pause_seconds(deaths))
            began = time.monotonic()
            why = await self._life(number, first)
            if self._stopping:
                return
            if not first.done():
                first.set_exception(OSError(f"worker {number} does not start: {why}"))
                return
            logger.error("worker %d is renewed: %s", number, why)
            self.restarts += 1
            deaths = deaths + 1 if time.monotonic() - began < _YOUNG_SECONDS else 1

    async def _life(self, number: int, first: asyncio.Future[None]) -> str:
        """From the start of a worker to its end. Why it ended."""
        worker = self._processes[number] = await WorkerProcess.start(number, self._command, self._words, self._answer)
        self._hearing.begin(worker)
        why = ""
        try:
            await self._join(worker, first=not first.done())
            if not first.done():
                first.set_result(None)
            await worker.gone.wait()
        except Gone:
            pass
        except Exception as error:  # whatever keeps one from joining must not end the others
            why = f"it cannot join: {error or type(error).__name__}"
        if not self._stopping:
            self._members.discard(worker)
            code = await worker.ended(1.0)
            why = why or f"it ended with exit code {code}"
            self._hearing.bury(worker)
            del self._processes[number]
        return why

    async def _join(self, worker: WorkerProcess, *, first: bool) -> None:
        held: dict[int, Wanted] = {}
        while missing := [wanted for epoch, wanted in self._wanted.items() if held.get(epoch) is not wanted]:
            for wanted in missing:
                held[wanted.plan.epoch] = wanted
                try:
                    await worker.channel.ask(await wanted.provide(), _HOLD_SECONDS)
                except Exception:
                    if self._wanted.get(wanted.plan.epoch) is wanted:
                        raise
                    # It was let go meanwhile, and its package pruned.
        self._members.add(worker)  # in the turn in which nothing was missing
        self._joined.set()
        await worker.channel.ask(Listen(first and worker.number == 0), _HOLD_SECONDS)
        logger.info("worker %d listens, process %d", worker.number, worker.pid)

    async def _held(self, worker: WorkerProcess, hold: Hold) -> Refused | bool:
        """Whether it holds the plan; False when it died."""
        try:
            await worker.channel.ask(hold, _HOLD_SECONDS)
        except Refused as refused:
            return refused
        except (Gone, TimeoutError):
            return False
        return True

    async def _look(self) -> None:
        """Finds workers that went wrong, and remembers what the metrics of all say."""
        turn = 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            turn += 1
            await self.look()
            if turn % _LOOKS_PER_SAMPLE == 0:
                await self.samples()
            for worker in list(self._members):
                if why := self._hearing.why_wrong(worker, self._words.epoch):
                    logger.error("worker %d is killed: %s", worker.number, why)
                    worker.kill()

    async def _answer(self, question: Message) -> Message:
        return Text(await self._exposition()) if isinstance(question, Expose) else Done()
