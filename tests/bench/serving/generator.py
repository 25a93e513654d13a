"""The load generator: built once, kept in the cache by its content, run with settings, its report as numbers."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.serving.processes import Started, listens, started, wait_until
from cluster.build import exclusive, fingerprint
from cluster.layout import paths
from cluster.toolchain import find_go, go_environment

SOURCES = Path(__file__).parent.parent / "load"
RECORD = np.dtype([("intended", "<f8"), ("sent", "<f8"), ("done", "<f8"), ("group", "<u4"), ("failed", "<u4")])


@dataclass(frozen=True)
class Latency:
    """Milliseconds."""

    count: int
    mean: float
    p50: float
    p90: float
    p99: float
    p999: float
    max: float


@dataclass(frozen=True)
class Report:
    """What the generator says of one run (tests/bench/load/report.go), and what the server used meanwhile."""

    count: int
    failed: int
    errors: dict[str, int]
    examples: list[str]
    checked: int
    wall: float
    cpu: float
    rate: float
    behind: int
    latency: Latency
    by_group: dict[str, Latency]
    groups: list[str]
    fairness: float
    """Answers of the busiest connection over the median connection's."""
    reconnects: int
    server_cpu: float = 0.0

    @property
    def cpu_per_request(self) -> float:
        """Seconds of the server's."""
        return self.server_cpu / max(self.count + self.failed, 1)

    @property
    def own_share(self) -> float:
        """Of a core that the generator used: near 1 it is what was measured."""
        return self.cpu / self.wall


@dataclass(frozen=True)
class Load:
    """Settings of a run, as in tests/bench/load/settings.go."""

    address: str
    path: str
    bodies: Path
    output: str = ""
    form: str = ""
    connections: int = 1
    in_flight: int = 0
    rate: float = 0.0
    warmup: float = 0.3
    seconds: float = 2.0
    timeout: float = 10.0
    headers: list[str] = field(default_factory=list)
    log: Path | None = None
    protocol: str = "http"

    def with_(self, **changes: Any) -> "Load":
        return replace(self, **changes)

    def settings(self) -> bytes:
        fields = {name: value for name, value in vars(self).items() if name != "protocol"}
        return json.dumps(fields | {"bodies": str(self.bodies), "log": str(self.log or "")}).encode()


def cache_folder() -> Path:
    return paths(os.environ).cache


def build() -> Path:
    """The program, compiled if its sources changed (seconds, once)."""
    cache = cache_folder()
    files = sorted(file for file in SOURCES.iterdir() if file.suffix in {".go", ".mod", ".sum"})
    key = fingerprint([part for file in files for part in (file.name.encode(), file.read_bytes())])
    target = cache / f"bench-load-{key}" / "load"
    if target.exists():
        return target
    with exclusive(cache / "bench-load.lock"):
        print("compiling the load generator (once)", file=sys.stderr)
        partial = target.parent.with_name(f"{target.parent.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        command = [str(find_go(cache)), "build", "-ldflags", "-s -w", "-o", str(partial / "load"), "."]
        subprocess.run(command, cwd=SOURCES, env=go_environment(cache), check=True)
        shutil.rmtree(target.parent, ignore_errors=True)
        partial.rename(target.parent)
    return target


@dataclass(frozen=True)
class Generator:
    """Runs loads on the clients' core."""

    program: Path
    core: int
    folder: Path

    def run(self, load: Load, server: Started | None = None) -> Report:
        """Blocks until the run is over. With a server its CPU time is taken around the run, the warm-up included."""
        running = self.start(load)
        return running.report(server)

    def start(self, load: Load) -> "Running":
        # preexec_fn only sets the affinity: no lock of this process can be held by it.
        process = subprocess.Popen(
            [str(self.program), load.protocol],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: os.sched_setaffinity(0, {self.core}),
        )
        assert process.stdin is not None
        process.stdin.write(load.settings())
        process.stdin.close()
        process.stdin = None
        return Running(process, load)

    @contextmanager
    def sink(self, address: str) -> Iterator[Started]:
        """A collector on this address while the block runs."""
        with self._serving("sink", address, {"listen": address}) as one:
            yield one

    @contextmanager
    def trouble(self, address: str, modes: list[str], turn: float = 0.0) -> Iterator[Started]:
        """A challenger in trouble on this address while the block runs."""
        settings = {"listen": address, "modes": modes, "turn": turn}
        with self._serving("trouble", address, settings, crashed=modes[0] == "crash") as one:
            yield one

    @contextmanager
    def _serving(self, command: str, address: str, settings: dict[str, Any], *, crashed: bool = False) -> Iterator[Started]:
        name = f"{command}-{address.replace(':', '-')}"
        stdin = json.dumps(settings).encode()
        with started(name, [self.program, command], self.core, self.folder, stdin=stdin) as one:
            host, _, port = address.rpartition(":")
            wait_until(lambda: crashed or listens(host, int(port)), one, "it does not listen")
            yield one
            if one.process.poll() is not None:
                raise RuntimeError(f"{name} ended: {one.log.read_text()[-2000:]}")


class Running:
    """A load under way."""

    def __init__(self, process: "subprocess.Popen[bytes]", load: Load) -> None:
        self._process = process
        self._load = load

    def report(self, server: Started | None = None) -> Report:
        before = server.cpu_seconds() if server else 0.0
        output, errors = self._process.communicate(timeout=self._load.warmup + self._load.seconds + 60)
        used = server.cpu_seconds() - before if server else 0.0
        if self._process.returncode != 0:
            raise RuntimeError(f"load generator: {errors.decode()[-2000:]}")
        return report_of(json.loads(output), used, self._load)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def report_of(said: dict[str, Any], server_cpu: float, load: Load) -> Report:
    """CPU time was taken over warm-up and run: the warm-up's share of requests is taken off."""
    counted = said["count"] + said["failed"]
    share = counted / max(counted + said["warmup"], 1)
    connections = said["connections"]
    return Report(
        count=said["count"],
        failed=said["failed"],
        errors=said["errors"],
        examples=said["examples"],
        checked=said["checked"],
        wall=said["wall"],
        cpu=said["cpu"],
        rate=said["rate"],
        behind=said["behind"],
        latency=Latency(**said["latency"]),
        by_group={name: Latency(**numbers) for name, numbers in said["by_group"].items()},
        groups=said["groups"] or [],
        fairness=connections["max"] / connections["median"] if connections["median"] else 0.0,
        reconnects=said["reconnects"],
        server_cpu=server_cpu * share,
    )


def records(load: Load) -> npt.NDArray[Any]:
    """The log of a finished run, ordered by intended time."""
    assert load.log is not None
    found = np.fromfile(load.log, dtype=RECORD)
    return found[np.argsort(found["intended"], kind="stable")]
