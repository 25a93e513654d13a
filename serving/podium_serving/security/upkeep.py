"""Tasks that keep something up to date for as long as a port is open. One that ends by itself is said loudly."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

logger = logging.getLogger(__name__)


class Upkeep:
    def __init__(self, *tasks: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._to_start = tasks
        self._tasks: list[asyncio.Task[Any]] = []

    def start(self) -> None:
        for coroutine in self._to_start:
            task = asyncio.create_task(coroutine())
            task.add_done_callback(_ended)
            self._tasks.append(task)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _ended(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.critical("keys and certificates are not read again; restart this pod", exc_info=task.exception())
