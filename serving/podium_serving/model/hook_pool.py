"""The processes of one transform.py: as many as are wanted, made anew when they end, later each time they die young.

Knows nothing of calls and callers. A transform.py that dies at once must not keep the pod busy with starting it.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path

from podium_crds.package import TRANSFORM_FILE
from podium_serving.exchange import HookFailed
from podium_serving.model.hook_child import END_SECONDS, HookChild
from podium_serving.model.wire import Reply
from podium_serving.processes import private_bytes
from podium_serving.settings import ModelSettings

logger = logging.getLogger(__name__)

YOUNG_SECONDS = 10.0
"""A process that dies sooner was not worth its start: the next one begins later."""
_LONGEST_PAUSE_SECONDS = 10.0


def pause_seconds(young_deaths: int) -> float:
    """Before a process is made anew, after so many in a row died young. The first time at once: it may be one bad row."""
    return 0.0 if young_deaths <= 1 else min(_LONGEST_PAUSE_SECONDS, 0.1 * 2.0 ** min(young_deaths - 2, 10))


class HookPool:
    """`replied` is told of each reply, `died` of a process that ended unasked (with its exit code), `changed` of all else
    that may let somebody go on: a process is there again, or could not be made."""

    def __init__(
        self,
        path: Path,
        settings: ModelSettings,
        replied: Callable[[HookChild, Reply], None],
        died: Callable[[HookChild, int | None], None],
        changed: Callable[[], None],
    ) -> None:
        self._path = path
        self._settings = settings
        self._replied = replied
        self._died = died
        self._changed = changed
        self._children: set[HookChild] = set()
        self._renewals: set[asyncio.Task[None]] = set()
        self._young_deaths = 0
        self._closed = False
        self.free: list[HookChild] = []
        """Those without a call. The one that was used last is at the end: it is warm."""
        self.start_failure: HookFailed | None = None
        """Why nobody is there: the newest process that was to replace a dead one did not start, and no other lives."""
        self.restarts = 0
        """Processes that were made in place of others."""

    async def start(self) -> frozenset[str]:
        """The hooks that transform.py has. Raises HookFailed when a process does not start; `close` is due then, too."""
        wanted = (self._child() for _ in range(self._settings.hook_processes))
        started = await asyncio.gather(*wanted, return_exceptions=True)
        for child in started:
            if isinstance(child, HookChild):
                self._admit(child)
        for failure in started:
            if isinstance(failure, BaseException):
                raise failure
        return self.free[0].hooks

    @property
    def memory_bytes(self) -> int:
        """Of all processes, without the libraries that they share."""
        return sum(private_bytes(child.pid) for child in self._children)

    def kill(self, child: HookChild) -> None:
        """For one that took too long. Another takes its place."""
        logger.error("a process of %s took too long: it is killed and renewed", TRANSFORM_FILE)
        child.listen(_nobody)
        self._renew(child, None)

    async def close(self) -> None:
        self._closed = True
        for task in self._renewals:
            task.cancel()
        await asyncio.gather(*self._renewals, return_exceptions=True)
        self.free.clear()
        await asyncio.gather(*(child.stop() for child in self._children))

    def _admit(self, child: HookChild) -> None:
        self._children.add(child)
        child.listen(self._heard)
        self.free.append(child)

    def _heard(self, child: HookChild, reply: Reply | None) -> None:
        if reply is not None:
            self._replied(child, reply)
        else:
            self._renew(child, self._died)

    def _renew(self, child: HookChild, died: Callable[[HookChild, int | None], None] | None) -> None:
        if child in self.free:
            self.free.remove(child)
        if not self._closed:
            task = asyncio.get_running_loop().create_task(self._renewed(child, died))
            self._renewals.add(task)
            task.add_done_callback(self._renewals.discard)

    async def _renewed(self, child: HookChild, died: Callable[[HookChild, int | None], None] | None) -> None:
        """Puts the ended process away, tells its caller, and makes another until one starts."""
        code = await child.stop(END_SECONDS if died is not None else 0.0)
        self._children.discard(child)
        if died is not None:
            logger.error("a process of %s ended with exit code %s and is renewed", TRANSFORM_FILE, code)
            died(child, code)
        young = time.monotonic() - child.started_at < YOUNG_SECONDS
        self._young_deaths = self._young_deaths + 1 if young else 1
        while True:
            await asyncio.sleep(pause_seconds(self._young_deaths))
            try:
                successor = await self._child()
            except (HookFailed, OSError) as error:
                self._young_deaths += 1
                logger.error("%s is tried again in %g s: %s", TRANSFORM_FILE, pause_seconds(self._young_deaths), error)
                failure = error if isinstance(error, HookFailed) else HookFailed(f"{TRANSFORM_FILE} is not started: {error}")
                self.start_failure = None if self._children else failure
                self._changed()
                continue
            self.restarts += 1
            self.start_failure = None
            self._admit(successor)
            self._changed()
            return

    async def _child(self) -> HookChild:
        threads = max(1, self._settings.threads // self._settings.hook_processes)
        return await HookChild.start(self._path, threads, self._settings.hook_start_seconds)


def _nobody(child: HookChild, reply: Reply | None) -> None:
    """Listens to a process that is being killed."""
