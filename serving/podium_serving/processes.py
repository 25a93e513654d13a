"""Ends of processes: the server's own by a signal, its children's by its own; and what each has in memory."""

import asyncio
import contextlib
import ctypes
import os
import signal
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_REAP_SECONDS = 5.0
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def die_with_parent() -> None:
    """Asks the kernel to kill this process when the thread that started it ends, however that comes (prctl(2)).

    Call it first thing. Does nothing where the system has no prctl.
    """
    parent = os.getppid()
    prctl = getattr(ctypes.CDLL(None, use_errno=True), "prctl", None)
    if prctl is not None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before it was asked to be watched
        os._exit(1)


def stop_on_signals() -> asyncio.Event:
    """Set when this process is asked to end."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def resident_bytes(process: int | str = "self") -> int:
    """Memory of the process that is in RAM; 0 when it is gone."""
    return _pages(process)[0] * _PAGE_BYTES


def private_bytes(process: int | str) -> int:
    """What the process adds to the pod's memory: without libraries and files that others have mapped, too."""
    resident, shared = _pages(process)
    return (resident - shared) * _PAGE_BYTES


def children() -> list[int]:
    """Processes that this one started and that still run. Empty where the kernel does not tell."""
    try:
        return [int(number) for number in Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()]
    except OSError:
        return []


_own: set[int] = set()
"""Children that somebody here waits for."""


def own(process: int) -> None:
    """Called when a child is started: whoever starts it waits for its end, and calls `ended` then."""
    _own.add(process)


def ended(process: int) -> None:
    _own.discard(process)


def reap_adopted() -> list[int]:
    """Takes the ended processes of others from the kernel's table, and says which.

    A container's first process inherits the children of every process that ends, those of user code too.
    """
    adopted = [child for child in children() if child not in _own and _state(child) == "Z"]
    for child in adopted:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(child, os.WNOHANG)
    return adopted


async def reaping() -> None:
    """For ever, where this is the first process of a container; else nothing."""
    while os.getpid() == 1:
        await asyncio.sleep(_REAP_SECONDS)
        reap_adopted()


def _state(process: int) -> str:
    try:
        return Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return ""


def _pages(process: int | str) -> tuple[int, int]:
    try:
        resident, shared = Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1:3]
    except (OSError, ValueError):
        return 0, 0
    return int(resident), int(shared)
