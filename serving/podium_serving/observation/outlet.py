"""A bounded buffer that a thread of its own empties: whoever puts something in never waits, whatever the other end does.

The thread wakes up by the clock, not for every item: to wake it costs the event loop more than the item, and with many
items the two would hand the interpreter's lock to and fro.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from podium_serving.metrics import Values

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Write = Callable[[list[Item], threading.Event], int]
"""Writes the items and returns how many it wrote; the others are given up. May block; once the event is set it should
come to an end."""


class Outlet(Generic[Item]):
    """`put` and `close` belong to the event loop's thread. Outcomes are counted as Written, Dropped (the buffer was full,
    or the time to close was over) and Failed."""

    def __init__(self, name: str, write: Write[Item], outcomes: Values, *, most: int, pause_seconds: float) -> None:
        """`most` is in what `put` calls size."""
        self._write = write
        self._most = most
        self._pause = pause_seconds
        self._items: deque[tuple[Item, int]] = deque()
        # Two sums with one writer each, instead of one that both threads would change.
        self._put_size = 0
        self._taken_size = 0
        self._closing = threading.Event()
        self._written = outcomes.labels("Written")
        self._failed = outcomes.labels("Failed")
        self._dropped = outcomes.labels("Dropped")
        # A daemon: a write that never ends must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, item: Item, size: int = 1) -> None:
        """Returns at once; drops the item when there is no room."""
        if self._put_size - self._taken_size + size > self._most or self._closing.is_set():
            self._dropped.inc()
            return
        self._put_size += size
        self._items.append((item, size))

    async def close(self, seconds: float) -> None:
        """Lets the thread write what is left, for at most so long."""
        self._closing.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, seconds)
        self._dropped.inc(len(self._items))

    def _run(self) -> None:
        while not self._closing.wait(self._pause):
            self._empty()
        self._empty()  # what came before the end was told, perhaps during the last write

    def _empty(self) -> None:
        items: list[Item] = []
        while self._items:
            item, size = self._items.popleft()
            items.append(item)
            self._taken_size += size
        if not items:
            return
        began = time.monotonic()
        try:
            written = self._write(items, self._closing)
        except Exception:
            logger.exception("%s: %d are lost", self._thread.name, len(items))
            written = 0
        self._written.inc(written)
        self._failed.inc(len(items) - written)
        if (took := time.monotonic() - began) > 10 * max(self._pause, 1.0):
            logger.warning("%s: the other end took %.0f s", self._thread.name, took)
