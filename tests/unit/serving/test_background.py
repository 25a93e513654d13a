"""Loading stands back behind requests: the kernel's own word for it, per thread."""

import asyncio
import os
import threading

import pytest

from podium_serving.background import NICENESS, in_background


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


async def test_the_thread_stands_back_and_no_other_does() -> None:
    before = niceness()
    assert await in_background(niceness) == min(19, before + NICENESS)
    assert niceness() == before
    assert await asyncio.to_thread(niceness) == before


async def test_what_the_work_raises_reaches_the_caller() -> None:
    def broken(text: str) -> None:
        raise ValueError(text)

    with pytest.raises(ValueError, match="no file"):
        await in_background(broken, "no file")


async def test_threads_are_kept_for_the_next_load() -> None:
    assert len({await in_background(threading.get_native_id) for _ in range(50)}) <= 4
