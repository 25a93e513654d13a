"""`podium serve`: the cluster's own server on this machine. Another process, for parts do not import each other."""

import importlib.util
import os
import sys
from pathlib import Path

from podium_cli.errors import UserError
from podium_cli.folder import read_package


def server_command(folder: Path, host: str, port: int, grpc_port: int | None = None) -> list[str]:
    """The command line of the server. Raises UserError for a broken package or a missing server."""
    package = read_package(folder)
    if importlib.util.find_spec("podium_serving") is None or importlib.util.find_spec("uvicorn") is None:
        raise UserError("the server is not installed here; install it with: pip install 'podium[serving]'")
    return [
        sys.executable,
        "-m",
        "podium_serving",
        "local",
        "--package",
        str(package.path),
        "--host",
        host,
        "--port",
        str(port),
        *(["--grpc-port", str(grpc_port)] if grpc_port is not None else []),
    ]


def serve(folder: Path, host: str, port: int, grpc_port: int | None) -> None:
    """Becomes the server, so that signals reach it. Importing a transform.py must not leave a cache in the package."""
    command = server_command(folder, host, port, grpc_port)
    os.execve(command[0], command, {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})  # noqa: S606 - a list, never a shell
