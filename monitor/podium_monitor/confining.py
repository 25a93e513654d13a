"""What strangers send as Parquet or as a large document is read in a process of its own, which gets so much memory and time.

A footer may lie about what follows: what a file of kilobytes becomes is known only once it is read. Whatever it becomes, and
whatever a defect of the reading library does with it, the collector lives, and none of its secrets is to be had there.
"""

import os
import resource
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass

_KEPT_VARIABLES = ("PATH", "PYTHONPATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH")
_OWN_VARIABLES = {
    # Reserved address space counts, used or not: pools and threads that reserve gigabytes are off.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
_LATER = 10
"""Of niceness: what comes in otherwise goes first."""


class Unreadable(Exception):
    """The process ended without an answer. The text says what it may have, for whoever sent the file."""


@dataclass(frozen=True)
class Bounds:
    """What reading one file may take."""

    memory_bytes: int
    """Beside what the libraries take, about 90 MB."""
    cpu_seconds: int
    wall_seconds: int
    """Only for one that does nothing at all: of low priority, it may wait for a processor for minutes."""
    answer_bytes: int


def answer_of(program: Sequence[str], content: bytes, bounds: Bounds) -> bytes:
    """What `python -m <program> <bounds>` writes when it reads `content`. Blocking. Raises Unreadable, OSError."""
    command = [sys.executable, "-P", "-m", *program, *map(str, astuple(bounds))]
    environment = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ} | _OWN_VARIABLES
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.seek(0)
        with subprocess.Popen(
            command, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, close_fds=True
        ) as process:
            assert process.stdout is not None
            watchdog = threading.Timer(bounds.wall_seconds, process.kill)
            watchdog.start()
            try:
                answer = process.stdout.read(bounds.answer_bytes + 1)
                if len(answer) > bounds.answer_bytes:
                    process.kill()
                code = process.wait()
            finally:
                watchdog.cancel()
                process.kill()
    if code != 0:
        raise Unreadable(
            f"reading it takes more than {bounds.memory_bytes >> 20} MiB of memory or {bounds.cpu_seconds} s, or fails: "
            f"send less at once"
        )
    return answer


def confined(read: Callable[[bytes, int], bytes], arguments: Sequence[str]) -> None:
    """The child's side: answers with what `read` makes of standard input, within the bounds in `arguments`. `read` gets
    the content and how long the answer may be; what it raises ends the process."""
    bounds = Bounds(*map(int, arguments))
    os.nice(_LATER)
    used = _address_space()
    _limit(resource.RLIMIT_AS, used + bounds.memory_bytes)
    _limit(resource.RLIMIT_CPU, int(sum(os.times()[:2])) + 1 + bounds.cpu_seconds)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    sys.stdout.buffer.write(read(sys.stdin.buffer.read(), bounds.answer_bytes))


def _limit(what: int, most: int) -> None:
    resource.setrlimit(what, (most, most))


def _address_space() -> int:
    """In bytes."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
