"""An installation of its own per test, on the API server that all share."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from operator_installation_fixtures import REPOSITORY, Installation, Kubectl


@pytest.fixture
def installation(control_plane: Any, tmp_path: Path) -> Iterator[Installation]:
    kubectl = Kubectl(control_plane.kubectl, control_plane.kubeconfig)
    kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",
        *[f"--filename={path}" for path in (REPOSITORY / "crds").glob("*.yaml")],
    )
    made = Installation(kubectl, tmp_path)
    for name in (made.namespace, made.users):
        kubectl("create", "namespace", name)
    yield made
    for operator in made.operators:
        operator.stop()
    for name in (made.namespace, made.users):
        kubectl("delete", "namespace", name, "--wait=false")
