"""Work that requests should not feel: reading, loading and warming a version, in a thread that the kernel serves last.

On one core a thread that loads 100 MB takes every other slice of time from the loop, and requests wait for it.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

NICENESS = 10
"""Added to the thread's: beside the loop it gets a tenth of a core that both want, and all of one that nobody wants."""

P = ParamSpec("P")
R = TypeVar("R")


async def in_background(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Raises what `work` raises. Threads that `work` starts inherit the niceness: not for what makes threads that stay."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="background", initializer=_stand_back)
    try:
        return await asyncio.get_running_loop().run_in_executor(thread, lambda: work(*args, **kwargs))
    finally:
        thread.shutdown(wait=False)


def _stand_back() -> None:
    thread = threading.get_native_id()
    os.setpriority(os.PRIO_PROCESS, thread, min(19, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS))
