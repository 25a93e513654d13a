"""Starts, recognises and ends the cluster's own processes.

A process is known by its pid and its start time: a pid alone may belong to somebody else tomorrow.
"""

import ctypes
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Process:
    pid: int
    start_time: int
    """In clock ticks since boot, field 22 of /proc/<pid>/stat."""
    command: tuple[str, ...]
    configuration: str = ""
    """A fingerprint of the files it was started with, for programs that read them once."""


def start_time(stat: str) -> int | None:
    """The start time in the text of /proc/<pid>/stat, None for a zombie: it is dead, only not yet fetched.

    The program's name, in parentheses, may itself hold spaces and parentheses: count from the last one.
    """
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in {"Z", "X"} else int(fields[19])


def started_at(pid: int) -> int | None:
    try:
        return start_time(Path(f"/proc/{pid}/stat").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None


def is_running(process: Process) -> bool:
    return started_at(process.pid) == process.start_time


def signal_process(process: Process, number: int) -> None:
    """Sends the signal if the process is still the one that was started."""
    if is_running(process):
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            return


def stop_all(processes: Iterable[Process], seconds: float = 8.0) -> None:
    """Asks all to end, waits for all together, kills what is left. A stopped (SIGSTOP) process is woken to hear it."""
    left = [process for process in processes if is_running(process)]
    for process in left:
        signal_process(process, signal.SIGTERM)
        signal_process(process, signal.SIGCONT)
    left = wait_gone(left, seconds)
    for process in left:
        signal_process(process, signal.SIGKILL)
    wait_gone(left, seconds)


def wait_gone(processes: list[Process], seconds: float) -> list[Process]:
    deadline = time.monotonic() + seconds
    while processes and time.monotonic() < deadline:
        time.sleep(0.02)
        processes = [process for process in processes if is_running(process)]
    return processes


def start(command: Sequence[str], log: Path, environment: Mapping[str, str], *, dies_with_us: bool = False) -> Process:
    """Starts a program in a session of its own, its output appended to the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=dict(environment),
            cwd=log.parent,
            start_new_session=True,
            preexec_fn=dying_with(os.getpid()) if dies_with_us else None,
        )
    child.returncode = 0  # it outlives us: no destructor shall wait for it or warn
    return Process(child.pid, started_at(child.pid) or 0, tuple(command))


def dying_with(parent: int) -> Callable[[], None]:
    """Runs in the new process: the kernel kills it when the parent ends, even by SIGKILL. The parent may be gone already."""

    def ask_kernel() -> None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask_kernel


def record(folder: Path, name: str, process: Process) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{name}.partial"
    temporary.write_text(json.dumps(asdict(process)))
    temporary.replace(folder / f"{name}.json")


def recorded(folder: Path, name: str) -> Process | None:
    """The process that was started under this name, running or not. An unreadable record counts as none."""
    try:
        content = json.loads((folder / f"{name}.json").read_text())
        pid, started, command = int(content["pid"]), int(content["start_time"]), tuple(content["command"])
        return Process(pid, started, command, str(content.get("configuration", "")))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def all_recorded(folder: Path) -> dict[str, Process]:
    names = sorted(file.stem for file in folder.glob("*.json"))
    found = {name: recorded(folder, name) for name in names}
    return {name: process for name, process in found.items() if process is not None}
