"""helm and kubeconform as the cluster's tools build them, and the chart rendered with each set of values."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart_fixtures import CHART, KUBERNETES, REPOSITORY
from program_fixtures import Run, runner


@pytest.fixture(scope="session")
def tools() -> dict[str, Path]:
    """Folders of helm and kubeconform, compiled at the first run."""
    command = [sys.executable, str(REPOSITORY / "hack" / "cluster"), "build", "--only", "helm", "--only", "kubeconform"]
    built = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=1200).stdout
    return {name: Path(folder) for name, folder in (line.split(" ", 1) for line in built.splitlines())}


@pytest.fixture(scope="session")
def helm(tools: dict[str, Path]) -> Run:
    return runner(tools["helm"] / "helm")


@pytest.fixture(scope="session")
def kubeconform(tools: dict[str, Path]) -> Run:
    return runner(tools["kubeconform"] / "kubeconform")


@pytest.fixture(scope="session", params=["values", "all-values", "bucket-values"])
def rendered(request: pytest.FixtureRequest, helm: Run) -> str:
    values = str(CHART / "ci" / f"{request.param}.yaml")
    made = helm("template", "podium", str(CHART), "-n", "podium-system", "--kube-version", KUBERNETES, "-f", values)
    assert made.returncode == 0, made.stderr
    return made.stdout


@pytest.fixture(scope="session")
def manifests(rendered: str) -> list[dict[str, Any]]:
    return [manifest for manifest in yaml.safe_load_all(rendered) if manifest]
