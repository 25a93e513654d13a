"""Install, upgrade, uninstall and install again: the kinds and the models in them stay."""

import subprocess
from pathlib import Path

import pytest

from chart_fixtures import CHART, REPOSITORY
from program_fixtures import Run

VALUES = str(CHART / "ci" / "values.yaml")


@pytest.fixture
def release(helm: Run, api_server: Path) -> Run:
    """`helm <command> podium …` against the API server."""

    def run(command: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        done = helm(command, "podium", *arguments, "--namespace", "chart", "--kubeconfig", str(api_server))
        assert done.returncode == 0, done.stderr
        return done

    return run


def test_models_outlive_the_chart_and_are_taken_up_again(release: Run, kubectl: Run) -> None:
    # Other tests may have put the CRDs there; helm takes over what is marked as this release's.
    install = (str(CHART), "-f", VALUES, "--create-namespace", "--take-ownership")
    release("install", *install)
    applied = kubectl("apply", "-n", "chart", "-f", str(REPOSITORY / "examples" / "model-deployment.yaml"))
    assert applied.returncode == 0, applied.stderr
    upgraded = release("upgrade", str(CHART), "-f", VALUES, "--set", "operator.replicas=3")
    assert "Podium" in upgraded.stdout
    assert kubectl("get", "deployment", "podium-operator", "-n", "chart", "-o", "jsonpath={.spec.replicas}").stdout == "3"

    removed = release("uninstall")
    assert "[CustomResourceDefinition] modeldeployments.podium.dev" in removed.stdout
    assert (
        kubectl("get", "deployment,service,clusterrole", "-n", "chart", "-l", "app.kubernetes.io/instance=podium").stdout
        == ""
    )
    uid = kubectl("get", "mdep", "churn", "-n", "chart", "-o", "jsonpath={.metadata.uid}").stdout
    assert uid

    release("install", str(CHART), "-f", VALUES)
    assert kubectl("get", "mdep", "churn", "-n", "chart", "-o", "jsonpath={.metadata.uid}").stdout == uid
    release("uninstall")
    kubectl("delete", "namespace", "chart", "--wait=false")
