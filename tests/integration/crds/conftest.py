"""The CRDs, as they lie in the repository, on the API server."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config

from crds_fixtures import Kubectl

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def kubectl(control_plane: Any) -> Kubectl:
    """`kubectl(*arguments, stdin=...)` as a user would call it."""

    def run(*arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
        command = [str(control_plane.kubectl), "--kubeconfig", str(control_plane.kubeconfig), *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=60)

    return run


@pytest.fixture(scope="session")
def installed(kubectl: Kubectl) -> None:
    applied = kubectl("apply", "--server-side", "-f", str(REPOSITORY / "crds"))
    assert applied.returncode == 0, applied.stderr
    waited = kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd", "--all")
    assert waited.returncode == 0, waited.stderr


@pytest.fixture(scope="session")
def custom_objects(installed: None, api_server: Path) -> client.CustomObjectsApi:
    connection = config.new_client_from_config(config_file=str(api_server))  # type: ignore[no-untyped-call]
    return client.CustomObjectsApi(connection)
