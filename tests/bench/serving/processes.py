"""Server processes of the benchmark: started on a core, waited for, measured, ended by their process group."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 90.0
_POLL_SECONDS = 0.005
_BEGUN = 19
"""The field of /proc/<pid>/stat after the name that says when the process began."""


@dataclass(frozen=True)
class Cores:
    """What is measured runs on `server`; clients, collector and challengers on `clients`."""

    server: int
    clients: int


def cores() -> Cores:
    """The first two that this process may use. Raises RuntimeError with one: clients would be measured too."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise RuntimeError(f"the benchmark needs two cores, this process may use {len(allowed)}")
    return Cores(allowed[0], allowed[1])


@dataclass(frozen=True)
class Started:
    """A running program and all that it started: its process group, and descendants that made groups of their own."""

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def cpu_seconds(self) -> float:
        """Used so far by all of them, with children that have ended and were waited for."""
        family = _family(self.pid)
        return sum(sum(int(field) for field in stat[11:15]) for stat in family.values()) / _TICKS

    def resident_bytes(self) -> int:
        """VmRSS of all of them; shared pages count in each process."""
        return sum(_kilobytes(f"/proc/{pid}/status", "VmRSS:") * 1024 for pid in self._pids())

    def proportional_bytes(self) -> int:
        """Pss of all of them: a page that n processes share counts as one n-th in each."""
        return sum(_kilobytes(f"/proc/{pid}/smaps_rollup", "Pss:") * 1024 for pid in self._pids())

    def open_files(self) -> int:
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self._pids())

    def _pids(self) -> list[int]:
        return list(_family(self.pid))

    def stop(self) -> None:
        """Asks, then makes it end, with all that it started."""
        family = _family(self.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(4)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        for pid, stat in family.items():
            if (
                _stat(pid)[_BEGUN : _BEGUN + 1] == stat[_BEGUN : _BEGUN + 1]
            ):  # the same process still, not another with its number
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def started(
    name: str,
    command: Sequence[str | Path],
    core: int,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> Iterator[Started]:
    """Runs the program on one core until the block ends. What it prints goes to `<folder>/<name>.log`."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=dict(os.environ) | dict(environment or {}),
            start_new_session=True,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    assert process.stdin is not None
    process.stdin.write(stdin)
    process.stdin.close()
    one = Started(name, process, log)
    try:
        yield one
    finally:
        one.stop()


def wait_until(true: Callable[[], bool], of: Started, what: str, seconds: float = START_SECONDS) -> float:
    """Polls until it is true and returns how long that took. Raises RuntimeError with the end of the program's log."""
    begun = time.monotonic()
    while not true():
        if of.process.poll() is not None or time.monotonic() - begun > seconds:
            how = "it ended" if of.process.poll() is not None else f"not within {seconds:.0f} s"
            tail = "\n".join(of.log.read_text(errors="replace").splitlines()[-12:])
            raise RuntimeError(f"{of.name}: {what}: {how}\n{tail}")
        time.sleep(_POLL_SECONDS)
    return time.monotonic() - begun


def answers_http(host: str, port: int, path: str) -> bool:
    """Whether GET is answered with 200 now."""
    try:
        with socket.create_connection((host, port), timeout=2) as link:
            link.sendall(f"GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
            return link.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """Free on all loopback addresses at this moment."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("0.0.0.0", 0))
        return [one.getsockname()[1] for one in sockets]


def _family(root: int) -> dict[int, list[str]]:
    """Fields of /proc/<pid>/stat after the name, by pid: [1] is the parent, [2] the group, [11:15] the times in ticks."""
    stats = {int(pid): _stat(int(pid)) for pid in os.listdir("/proc") if pid.isdigit()}
    family = {pid: stat for pid, stat in stats.items() if stat and root in (pid, int(stat[2]))}
    while more := {pid: stat for pid, stat in stats.items() if stat and pid not in family and int(stat[1]) in family}:
        family |= more
    return family


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:  # it ended meanwhile
        return []
    return text[text.rindex(")") + 2 :].split()


def _kilobytes(path: str, key: str) -> int:
    for line in Path(path).read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1])
    return 0
