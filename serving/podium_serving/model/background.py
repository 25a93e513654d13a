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
_AT_ONCE = 4
"""Loads, at most: a prepared version beside one that nobody waits for any more, and on a laptop several models."""

P = ParamSpec("P")
R = TypeVar("R")


async def in_background(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Raises what `work` raises. Threads that `work` starts inherit the niceness: not for what makes threads that stay."""
    return await asyncio.get_running_loop().run_in_executor(_threads, lambda: work(*args, **kwargs))


def _stand_back() -> None:
    thread = threading.get_native_id()
    os.setpriority(os.PRIO_PROCESS, thread, min(19, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS))


_threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="background", initializer=_stand_back)
"""Kept for the next load: whoever starts a thread waits until it runs, and a loop that does so while others want the core
waits for 2 ms."""
