"""The evaluator's work: round after round over all deployments, one at a time, in a thread that stands back."""

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from podium_monitor.evaluator.metrics import EvaluatorMetrics
from podium_monitor.world import Watched, World

logger = logging.getLogger(__name__)

_NICENESS = 10
_NOT_READY_SECONDS = 0.5

Evaluate = Callable[[Watched], None]
"""Brings what is known of one deployment up to date. Blocks, may raise anything."""


class Rounds:
    def __init__(self, world: World, evaluate: Evaluate, metrics: EvaluatorMetrics, pause_seconds: float) -> None:
        self._world = world
        self._evaluate = evaluate
        self._metrics = metrics
        self._pause_seconds = pause_seconds
        self._thread = ThreadPoolExecutor(1, "evaluations", initializer=_stand_back)
        self._task: asyncio.Task[None] | None = None
        self._stopping = threading.Event()
        self.completed = 0
        """Rounds since the start."""

    def is_working(self) -> bool:
        """False when a defect ended the work: only a new process helps."""
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Waits for the deployment that is being evaluated: its summaries are documents that are replaced whole."""
        self._stopping.set()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await asyncio.to_thread(self._thread.shutdown)

    @property
    def stopping(self) -> bool:
        """Long evaluations ask between two hours."""
        return self._stopping.is_set()

    async def _run(self) -> None:
        while True:
            while self._world.why_not_ready:  # noqa: ASYNC110  the world has no event
                await asyncio.sleep(_NOT_READY_SECONDS)
            started = time.monotonic()
            deployments = self._world.deployments()
            self._metrics.deployments.set(len(deployments))
            for watched in deployments:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._one, watched)
            self._metrics.round_seconds.set(time.monotonic() - started)
            self.completed += 1
            await asyncio.sleep(self._pause_seconds)

    def _one(self, watched: Watched) -> None:
        if self._stopping.is_set():
            return
        try:
            with self._metrics.evaluation_seconds.time():
                self._evaluate(watched)
        except Exception:  # one deployment's trouble must not keep the others from being looked at
            self._metrics.errors.labels(watched.namespace, watched.name).inc()
            logger.exception("%s/%s could not be evaluated", watched.namespace, watched.name)


def _stand_back() -> None:
    """The thread that computes gives way to the one that answers. Linux: a niceness is a thread's own."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
