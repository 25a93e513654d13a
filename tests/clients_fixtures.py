"""Stock clients of the Open Inference Protocol: pinned, each in a venv of its own, against a server process of their own."""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ports import free_ports
from shipped import shipped
from venvs import programs_of

HOST = "127.0.0.1"
_CLIENTS = Path(__file__).parent / "clients"
_TRANSCRIPTS = Path(__file__).parent.parent / ".build" / "clients"
_START_SECONDS = 180.0


def venv_of(name: str) -> Path:
    """The programs of the venv with `pinned/<name>.txt`."""
    return programs_of(_CLIENTS / "pinned" / f"{name}.txt", "clients")


def program(name: str) -> Path:
    return _CLIENTS / "programs" / f"{name}.py"


def run_client(name: str, command: list[str | Path], written: Path, seconds: float = 600.0) -> str:
    """What the client wrote into the file `written`. Fails with what it said when it fails.

    Both are kept in `.build/clients/<name>.txt`.
    """
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    said = done.stdout + done.stderr
    answers = written.read_text(encoding="utf-8") if written.exists() else ""
    _TRANSCRIPTS.mkdir(parents=True, exist_ok=True)
    shown = " ".join(part.name if isinstance(part, Path) else part for part in command)
    (_TRANSCRIPTS / f"{name}.txt").write_text(f"$ {shown}\n{said}\n{written.name}:\n{answers}\n", encoding="utf-8")
    assert done.returncode == 0, said
    return answers


@contextmanager
def served(repository: Path) -> Iterator[tuple[str, str]]:
    """`python -m podium_serving local` on the packages in `repository`: its HTTP and its gRPC address."""
    http, grpc = free_ports(2)
    options = ["--repository", str(repository), "--port", str(http), "--grpc-port", str(grpc), "--model-control"]
    command = [sys.executable, "-m", "podium_serving", "local", *options]
    process = subprocess.Popen(command, env=os.environ | shipped(), stdout=subprocess.DEVNULL)
    try:
        _wait_until_ready(f"http://{HOST}:{http}/v2/health/ready", process)
        yield f"{HOST}:{http}", f"{HOST}:{grpc}"
        assert process.poll() is None, "the server ended"
    finally:
        process.terminate()
        process.wait(60)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=10).close()
        except OSError:  # also of a socket that was slow to answer
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < until, f"nothing is ready at {url} after {_START_SECONDS:.0f} s"
            time.sleep(0.05)
        else:
            return
