"""The CRDs, as they lie in the repository, on the API server."""

from pathlib import Path

import pytest
from kubernetes import client, config

from program_fixtures import Run

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def installed(kubectl: Run) -> None:
    applied = kubectl("apply", "--server-side", "-f", str(REPOSITORY / "crds"))
    assert applied.returncode == 0, applied.stderr
    waited = kubectl("wait", "--for=condition=Established", "--timeout=120s", "crd", "--all")
    assert waited.returncode == 0, waited.stderr


@pytest.fixture(scope="session")
def custom_objects(installed: None, api_server: Path) -> client.CustomObjectsApi:
    connection = config.new_client_from_config(config_file=str(api_server))  # type: ignore[no-untyped-call]
    return client.CustomObjectsApi(connection)
