"""Reading of large requests beside the loop: in a thread, one at a time, and counted until it is done.

One at a time, because readers in several threads would only take the interpreter from each other and from the loop. Who
waits for the thread waits in the loop: a request that is called off there is forgotten at once, with its bytes. One that is
called off while it is read is of the port's buffer until the thread lets go of it.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

Read = TypeVar("Read")


class Buffer(Protocol):
    """What a port's requests hold together."""

    buffered_bytes: int


class Reading:
    """The one thread of a port that reads."""

    def __init__(self, buffer: Buffer) -> None:
        self._buffer = buffer
        self._free = asyncio.Semaphore(1)

    async def read(self, work: Callable[[], Read], size: int) -> Read:
        """What `work` returns or raises. `size`: bytes that it holds meanwhile, beside those that its caller counts."""
        await self._free.acquire()
        buffer, free = self._buffer, self._free
        try:
            reading = asyncio.get_running_loop().run_in_executor(None, work)
        except BaseException:  # no thread can be had
            free.release()
            raise
        buffer.buffered_bytes += size

        def over(_: "asyncio.Future[Any]") -> None:
            buffer.buffered_bytes -= size
            free.release()

        reading.add_done_callback(over)
        return await asyncio.shield(reading)
