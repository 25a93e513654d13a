"""The API server that the integration tests share: real, without nodes, made for this run and gone after it."""

import json
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from program_fixtures import Run, runner

REPOSITORY = Path(__file__).parents[2]
BUILD_AND_START_SECONDS = 1200
"""The first run on a machine compiles Kubernetes; later ones start within seconds."""


@dataclass(frozen=True)
class ControlPlane:
    kubeconfig: Path
    kubectl: Path


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with tempfile.TemporaryDirectory(prefix="podium-plane-") as folder:
        command = [sys.executable, str(REPOSITORY / "hack" / "cluster"), "control-plane", "--dir", f"{folder}/plane"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            try:
                announced = json.loads(first_line(process))
                yield ControlPlane(Path(announced["kubeconfig"]), Path(announced["kubectl"]))
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=120)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], BUILD_AND_START_SECONDS)
    line = process.stdout.readline() if ready else ""
    if not line:
        pytest.fail("`hack/cluster control-plane` said nothing; what it wrote to stderr is above", pytrace=False)
    return line


@pytest.fixture(scope="session")
def api_server(control_plane: ControlPlane) -> Path:
    """The administrator's kubeconfig."""
    return control_plane.kubeconfig


@pytest.fixture(scope="session")
def kubectl(control_plane: ControlPlane) -> Run:
    """kubectl as the administrator."""
    return runner(control_plane.kubectl, "--kubeconfig", control_plane.kubeconfig)
