"""`control-plane`: an API server without a node, for tests: etcd, API server and controller manager on free ports.

Lives as long as whoever started it: it ends on SIGTERM and SIGINT and when its parent has gone, and its children end with it
even if it is killed. Any number may run at once, beside a full cluster too. Needs no root.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from cluster import components, pki, processes
from cluster.build import build
from cluster.components import Component
from cluster.console import Failure
from cluster.layout import Paths
from cluster.plane import Plane, kubeconfig
from cluster.processes import Process

PARENT_CHECK_SECONDS = 0.25


def free_ports(address: str, count: int) -> list[int]:
    """Ports that are free on the address. All are held at once, so that they differ. Another program may be quicker."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((address, 0))
        return [int(one.getsockname()[1]) for one in sockets]


def new_plane(folder: Path, binaries: Path, address: str) -> Plane:
    api_port = free_ports(address, 1)[0]
    etcd_port, etcd_peer_port, controller_manager_port = free_ports("127.0.0.1", 3)
    return Plane(folder, binaries, address, api_port, etcd_port, etcd_peer_port, controller_manager_port)


def run_control_plane(paths: Paths, folder: Path, address: str) -> None:
    """Starts all, prints one line of JSON when ready, waits for the end, removes everything it made."""
    parent = os.getppid()
    binaries = build(paths.cache, only=["kubernetes"])["kubernetes"]
    folder = folder.absolute()
    if folder.exists() and any(folder.iterdir()):
        raise Failure(f"{folder} is not empty; a control plane needs a folder of its own")
    existed = folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    running: dict[str, Process] = {}
    try:
        with ending() as ended:
            place = start(folder, binaries, address, running)
            announce(place, running)
            while not ended and os.getppid() == parent:
                time.sleep(PARENT_CHECK_SECONDS)
                notice_deaths(running, folder)
    finally:
        processes.stop_all(running.values(), seconds=3.0)
        for entry in folder.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        if not existed:
            folder.rmdir()


@contextlib.contextmanager
def ending() -> Iterator[list[int]]:
    """A list that the first SIGTERM or SIGINT is put into. While starting up, the signal ends the start too."""
    ended: list[int] = []

    def hear(number: int, _: FrameType | None) -> None:
        ended.append(number)

    before = {number: signal.signal(number, hear) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield ended
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def start(folder: Path, binaries: Path, address: str, running: dict[str, Process]) -> Plane:
    place = new_plane(folder, binaries, address)
    pki.make_pki(place.pki, pki.control_plane_certificates(address))
    for name in ("admin", "controller-manager"):
        place.kubeconfig(name).write_text(kubeconfig(place, name))
        place.kubeconfig(name).chmod(0o600)
    etcd, api_server, controller_manager = components.plane_components(place)
    # The controller manager gives up at once when the API server has not made its roles yet: it comes last.
    for group in ([etcd, api_server], [controller_manager]):
        for part in group:
            log = components.log_file(folder / "logs", part.name)
            running[part.name] = processes.start(part.command, log, components.environment(part), dies_with_us=True)
        for part in group:
            await_part(part, running, folder)
    return place


def await_part(part: Component, running: dict[str, Process], folder: Path) -> None:
    log = components.log_file(folder / "logs", part.name)
    components.wait_ready(part.name, part.probe, lambda: processes.is_running(running[part.name]), log, 60.0)


def announce(place: Plane, running: dict[str, Process]) -> None:
    line = {
        "kubeconfig": str(place.kubeconfig("admin")),
        "admin": {
            "certificate": str(place.pki / "admin.crt"),
            "key": str(place.pki / "admin.key"),
            "ca": str(place.pki / "kubernetes-ca.crt"),
        },
        "url": place.url,
        "kubectl": str(place.binaries / "kubectl"),
        "pids": {name: process.pid for name, process in running.items()},
        "logs": str(place.folder / "logs"),
    }
    print(json.dumps(line), flush=True)


def notice_deaths(running: dict[str, Process], folder: Path) -> None:
    """A test kills and restarts what it wants through its own means; a process that ends here unasked is an error."""
    for name, process in running.items():
        if not processes.is_running(process):
            raise components.failure(name, "ended", components.log_file(folder / "logs", name))
