"""`podium serve`: the cluster's own server on this machine. Another process, for parts do not import each other."""

import importlib.util
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from podium_cli.errors import UserError
from podium_cli.folder import read_package


@dataclass(frozen=True, slots=True)
class Served:
    """What is served, and where."""

    folders: Sequence[Path] = ()
    """Of packages."""
    repository: Path | None = None
    """A folder with a package per folder in it."""
    host: str = "127.0.0.1"
    port: int = 8080
    grpc_port: int | None = None
    model_control: bool = False
    """Clients may load and unload models."""
    workers: int = 1
    """Processes, each with its own copy of the models."""


def server_command(served: Served) -> list[str]:
    """The command line of the server. Raises UserError for a broken package, none at all, or a missing server."""
    packages = [read_package(folder) for folder in served.folders]
    if not packages and served.repository is None:
        raise UserError("nothing to serve: name a folder made by `podium package`, or --repository with such folders in it")
    if importlib.util.find_spec("podium_serving") is None or importlib.util.find_spec("uvicorn") is None:
        raise UserError("the server is not installed here; install it with: pip install 'podium[serving]'")
    options: list[str] = []
    for package in packages:
        options += ["--package", str(package.path)]
    if served.repository is not None:
        options += ["--repository", str(served.repository)]
    options += ["--host", served.host, "--port", str(served.port)]
    if served.grpc_port is not None:
        options += ["--grpc-port", str(served.grpc_port)]
    if served.model_control:
        options.append("--model-control")
    if served.workers > 1:
        options += ["--workers", str(served.workers)]
    return [sys.executable, "-m", "podium_serving", "local", *options]


def serve(served: Served) -> None:
    """Becomes the server, so that signals reach it. Importing a transform.py must not leave a cache in the package."""
    command = server_command(served)
    os.execve(command[0], command, {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})  # noqa: S606 - a list, never a shell
