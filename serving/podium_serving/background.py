"""Work that requests should not feel: fetching, checking, loading and putting away a version, in threads that the kernel
serves last.

On one core a thread that loads 100 MB takes every other slice of time from the loop, and requests wait for it. Not for work
that holds the interpreter: the loop would wait for a thread that waits for everybody else.
"""

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

NICENESS = 15
"""Added to the thread's: beside the loop it gets a thirtieth of a core that both want, and all of one that nobody wants.

With 10 it got a tenth, in slices of up to a tick of the kernel's clock (4 ms), and requests waited for them. With 19 it
would get a seventieth, and on a core that is never idle 1 GB would take two minutes.
"""
_AT_ONCE = 4
"""Pieces of work, at most: a prepared version beside one that nobody waits for any more, and on a laptop several models."""

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
