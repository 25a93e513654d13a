"""A ModelVersion on a real API server, from apply to verified, and back from every loss of state."""

import json

import pytest

from operator_installation_fixtures import PASSED, SCORING_IMAGE, Installation, Manifest
from podium_crds.verification import VerificationReport


@pytest.fixture
def running(installation: Installation) -> Installation:
    operator = installation.start_operator(
        "operator",
        PODIUM_DOCKER_HOST="tcp://engine.example:2376",
        PODIUM_DOCKER_CERTIFICATES_SECRET="docker",
        PODIUM_BUILD_REPOSITORY="registry.example/built",
    )
    installation.leading(operator)
    return installation


def verified(installation: Installation, name: str = "churn-3") -> Manifest:
    installation.version(name)
    installation.end_verification(name, PASSED)
    installation.until(f"{name} verified", lambda: installation.ready(name) == ("True", "Verified"))
    found = installation.kubectl.get(installation.users, "modelversion", name)
    assert found is not None
    return found


def test_a_version_is_verified_in_the_scoring_image(running: Installation) -> None:
    found = verified(running)
    assert found["status"]["image"] == SCORING_IMAGE
    assert found["status"]["observedGeneration"] == 1
    assert found["status"]["verification"]["goldenRows"] == 20
    assert "finalizers" not in found["metadata"]
    assert not [key for key in found["metadata"].get("annotations", {}) if "kopf" in key]
    running.until("its Events", lambda: {"Verifying", "Verified"} <= reasons(running))


def reasons(running: Installation) -> set[str]:
    events = running.kubectl.items(running.users, "events")
    return {event["reason"] for event in events if event["source"] != "job-controller"}


def test_a_deleted_status_comes_back_as_it_was(running: Installation) -> None:
    before = verified(running)["status"]
    forget = json.dumps([{"op": "remove", "path": "/status"}])
    running.kubectl("-n", running.users, "patch", "mv", "churn-3", "--subresource=status", "--type=json", "-p", forget)
    running.until("the status again", lambda: running.ready("churn-3") == ("True", "Verified"))
    after = running.status("churn-3")
    for condition in [*before["conditions"], *after["conditions"]]:
        del condition["lastTransitionTime"]
    assert after == before


def test_another_operator_finds_nothing_to_write(running: Installation) -> None:
    before = verified(running)
    [first] = running.operators
    first.stop()
    second = running.start_operator("second")
    running.leading(second)
    running.until(
        "its first reconcile", lambda: 'duration_seconds_count{kind="ModelVersion"}' in running.page(second, "/metrics")
    )
    assert running.kubectl.get(running.users, "modelversion", "churn-3") == before
    page = running.page(second, "/metrics")
    written = [line for line in page.splitlines() if line.startswith("podium_operator_writes_total") and "Lease" not in line]
    assert written == []


def test_a_refused_version_says_why_and_deleting_its_job_is_another_try(running: Installation) -> None:
    running.version("churn-5")
    message = "row 3: probability[1] is 0.71, the training library says 0.51 (allowed 1e-5 + 1e-4 * |x|)"
    running.end_verification("churn-5", VerificationReport(passed=False, reason="GoldenRowsFailed", message=message))
    running.until("the refusal", lambda: running.ready("churn-5") == ("False", "GoldenRowsFailed"))
    conditions = {c["type"]: c for c in running.status("churn-5")["conditions"]}
    assert conditions["Stalled"]["status"] == "True"
    assert conditions["Verified"]["message"] == message
    running.kubectl("-n", running.users, "delete", "job", "-l", "podium.dev/model-version=churn-5")
    running.until("another try", lambda: running.ready("churn-5") == ("Unknown", "Verifying"))
    running.end_verification("churn-5", PASSED)
    running.until("churn-5 verified", lambda: running.ready("churn-5") == ("True", "Verified"))


def test_a_version_that_is_made_again_is_verified_again(running: Installation) -> None:
    first = verified(running)
    running.kubectl("-n", running.users, "delete", "mv", "churn-3")
    running.version("churn-3")
    running.until("another verification", lambda: running.ready("churn-3") == ("Unknown", "Verifying"))
    again = running.kubectl.get(running.users, "modelversion", "churn-3")
    assert again is not None
    assert again["metadata"]["uid"] != first["metadata"]["uid"]


def test_a_build_brings_the_pull_secret_along_and_leaves_nothing_behind(running: Installation) -> None:
    login = ["--docker-server=registry.example", "--docker-username=u", "--docker-password=p"]
    running.kubectl("-n", running.users, "create", "secret", "docker-registry", "pull", *login)
    running.version("churn-4", artifact={"pullSecretRef": {"name": "pull"}}, image={"type": "Built"})
    labels = "podium.dev/model-version=churn-4"
    [job] = running.until("the build", lambda: running.kubectl.items(running.namespace, "jobs", labels))
    name = job["metadata"]["name"]
    secret = running.until("the copied secret", lambda: running.kubectl.get(running.namespace, "secret", name))
    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    assert running.ready("churn-4") == ("Unknown", "Building")
    running.kubectl("-n", running.users, "delete", "mv", "churn-4")
    running.until("the build's end", lambda: not running.kubectl.items(running.namespace, "jobs", labels))
    running.until("the secret's end", lambda: running.kubectl.get(running.namespace, "secret", name) is None)


def test_a_version_says_who_names_it(running: Installation) -> None:
    verified(running)
    running.kubectl.apply(
        {
            "apiVersion": "podium.dev/v1alpha1",
            "kind": "ModelDeployment",
            "metadata": {"name": "churn", "namespace": running.users},
            "spec": {"champion": {"modelVersionRef": {"name": "churn-3"}}},
        }
    )
    running.until("its user", lambda: running.status("churn-3").get("usedBy") == ["churn"])
    running.kubectl("-n", running.users, "delete", "mdep", "churn")
    running.until("nobody", lambda: running.status("churn-3").get("usedBy") == [])
