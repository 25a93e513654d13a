"""A real `podium_serving local` process with the weighted sum of two inputs, and what it holds of memory and files."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ports import free_port
from serving_fixtures import make_package
from shipped import shipped

_START_SECONDS = 180.0


@dataclass
class LocalServer:
    pid: int
    address: tuple[str, int]
    grpc_address: tuple[str, int]

    def resident_bytes(self) -> int:
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))


@contextmanager
def local_server(folder: Path, *arguments: str) -> Iterator[LocalServer]:
    make_package(folder / "sum", name="sum", version="1")
    port, grpc_port = free_port(), free_port()
    log = (folder / "server.log").open("wb")
    command = (sys.executable, "-m", "podium_serving", "local", "--package", str(folder / "sum"))
    ports = ("--port", str(port), "--grpc-port", str(grpc_port))
    environment = os.environ | shipped()
    with log, subprocess.Popen([*command, *ports, *arguments], env=environment, stdout=log, stderr=log) as process:
        try:
            for one in (port, grpc_port):
                _until_it_listens(process, one, folder / "server.log")
            yield LocalServer(process.pid, ("127.0.0.1", port), ("127.0.0.1", grpc_port))
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}: {log.read_text()[-2000:]}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the server does not listen after {_START_SECONDS:g} s")
