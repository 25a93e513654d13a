"""The peers and limits beside Podium: peers in venvs of their own from pinned requirements, all started alike."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.serving.messages import MODEL, grpc_answer
from bench.serving.models import Version
from bench.serving.processes import Started, answers_http, free_ports, listens, started, wait_until
from venvs import programs_of

PEERS = Path(__file__).parent / "peers"
TESTS = Path(__file__).parent.parent.parent
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Server:
    """Something that answers `/v2/models/bench/infer`, or the same over gRPC, or a constant."""

    name: str
    started: Started
    address: str
    grpc_address: str = ""
    output: str = "probabilities"
    """The output that can be compared; empty: its answers are constant."""


def venv(name: str) -> Path:
    """The programs of the venv with `peers/<name>.txt`."""
    return programs_of(PEERS / f"{name}.txt", "bench")


@contextmanager
def constant_asyncio(core: int, folder: Path) -> Iterator[Server]:
    with _script("bare-asyncio", _module("constant_asyncio"), core, folder) as server:
        yield server


@contextmanager
def constant_uvicorn(core: int, folder: Path) -> Iterator[Server]:
    with _script("bare-uvicorn", _module("constant_uvicorn"), core, folder) as server:
        yield server


@contextmanager
def constant_grpc(core: int, folder: Path) -> Iterator[Server]:
    answer = grpc_answer(1, [0.25, 0.75]).hex()
    with _script("bare-grpc-aio", _module("constant_grpc"), core, folder, [answer]) as server:
        yield server


@contextmanager
def naive_fastapi(core: int, folder: Path, version: Version) -> Iterator[Server]:
    command: list[str | Path] = [venv("fastapi") / "python", PEERS / "naive_fastapi.py"]
    with _script("fastapi", command, core, folder, [str(version.model_file)], output="probabilities") as server:
        yield server


def _module(name: str) -> list[str | Path]:
    """One of `peers/` under the Python and the libraries that Podium runs with."""
    return [sys.executable, "-m", f"bench.serving.peers.{name}"]


@contextmanager
def _script(
    name: str, command: Sequence[str | Path], core: int, folder: Path, more: Sequence[str] = (), output: str = ""
) -> Iterator[Server]:
    """A program that takes its port as the first argument."""
    (port,) = free_ports(1)
    with started(name, [*command, str(port), *more], core, folder, {"PYTHONPATH": str(TESTS)}) as process:
        wait_until(lambda: listens(HOST, port), process, "it does not listen")
        yield Server(name, process, f"{HOST}:{port}", f"{HOST}:{port}", output)


MLSERVERS = (("onnx", 0), ("sklearn", 0), ("onnx", 1), ("sklearn", 1))
"""MLServer's runtime and number of workers; Podium is compared with the best of them."""


def mlservers(core: int, folder: Path, version: Version, *, quick: bool) -> Iterator[Server]:
    """One after the other, each alone on the core: idle ones would still take time from the one that is measured.

    Quick: only those without workers, which were the faster ones wherever we measured.
    """
    for runtime, workers in MLSERVERS[: 2 if quick else None]:
        with mlserver(core, folder, version, runtime, workers) as server:
            yield server


@contextmanager
def mlserver(core: int, folder: Path, version: Version, runtime: str, workers: int) -> Iterator[Server]:
    """MLServer with the runtime `sklearn` (its own) or `onnx` (the same ONNX file as Podium's, by a custom runtime)."""
    name = f"mlserver-{runtime}-{workers}"
    home = folder / name
    ports = free_ports(3)
    _configure(home, version, runtime, workers, ports)
    variables = {"PYTHONPATH": str(PEERS), "PROMETHEUS_MULTIPROC_DIR": str(home / "metrics")}
    with started(name, [venv("mlserver") / "mlserver", "start", str(home)], core, home, variables) as process:
        ready = f"/v2/models/{MODEL}/ready"
        wait_until(lambda: answers_http(HOST, ports[0], ready), process, "it does not become ready")
        output = "predict" if runtime == "sklearn" else "probabilities"
        yield Server(name, process, f"{HOST}:{ports[0]}", f"{HOST}:{ports[1]}", output)


def _configure(home: Path, version: Version, runtime: str, workers: int, ports: Sequence[int]) -> None:
    """Its own defaults, but for `debug`, which writes an access log."""
    (home / "metrics").mkdir(parents=True, exist_ok=True)
    sklearn = runtime == "sklearn"
    settings = {
        "host": HOST,
        "http_port": ports[0],
        "grpc_port": ports[1],
        "metrics_port": ports[2],
        "parallel_workers": workers,
        "debug": False,
    }
    model = {
        "name": MODEL,
        "implementation": "mlserver_sklearn.SKLearnModel" if sklearn else "mlserver_onnx.OnnxModel",
        "parameters": {"uri": str(version.folder / "model.joblib" if sklearn else version.model_file), "version": "rf-1"},
    }
    (home / "settings.json").write_text(json.dumps(settings))
    (home / "model-settings.json").write_text(json.dumps(model))
