from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from operator_fixtures import SCORING_IMAGE, START, settings
from podium_crds.v1alpha1.model_version import ModelVersionSpec, ModelVersionStatus
from podium_crds.verification import BuildReport, VerificationReport
from podium_operator.conditions import find, is_true
from podium_operator.versions.decision import Decision, Observed, decide, is_settled, refused
from podium_operator.versions.job_run import JobRun, Termination
from podium_operator.versions.jobs import Version, build_inputs, verification_inputs

BUILT_IMAGE = "registry.example/built@sha256:" + "d" * 64
PLAIN = settings()
BUILDS = settings(
    docker_host="tcp://engine:2376", docker_certificates_secret="docker", build_repository="registry.example/built"
)
PASSED = VerificationReport(
    passed=True,
    reason="GoldenRowsReproduced",
    message="20 golden rows reproduced",
    golden_rows=20,
    worst_absolute_error=1.25e-7,
    p99_milliseconds=1.5,
    peak_memory_bytes=100,
    contract=2,
)
EARLIER = PASSED.model_copy(update={"contract": 1})
WRONG = VerificationReport(passed=False, reason="GoldenRowsFailed", message="row 3 differs by 0.2")
AWAY = VerificationReport(passed=False, reason="FetchFailed", message="the registry does not answer", retryable=True)


def version(type_: str = "Generic", secret: str = "") -> Version:
    artifact: dict[str, Any] = {"uri": "oci://registry.example/models/churn:3", "digest": "sha256:" + "b" * 64}
    artifact |= {"pullSecretRef": {"name": secret}} if secret else {}
    return Version(
        "retention", "churn-3", "u1", 1, ModelVersionSpec.model_validate({"artifact": artifact, "image": {"type": type_}})
    )


GENERIC, BUILT = version(), version("Built")


def verification(
    message: str = "",
    image: str = SCORING_IMAGE,
    of: Version = GENERIC,
    attempt: int = 1,
    ago_seconds: float = 0,
    **ended: Any,
) -> JobRun:
    inputs = verification_inputs(of, image, PLAIN)
    return finished(
        "verify",
        inputs,
        attempt,
        ago_seconds,
        Termination(**{"exit_code": 0, "reason": "Completed", "message": message, **ended}),
    )


def a_build(report: BuildReport, attempt: int = 1, ago_seconds: float = 0) -> JobRun:
    end = Termination(0, "Completed", report.model_dump_json())
    return finished("build", build_inputs(BUILT, BUILDS), attempt, ago_seconds, end)


def finished(role: str, inputs: str, attempt: int, ago_seconds: float, end: Termination) -> JobRun:
    container = "verify" if role == "verify" else "build"
    return JobRun(role, inputs, attempt, START - timedelta(seconds=ago_seconds), ended={container: end})


def running(role: str, inputs: str, attempt: int = 1, waiting: str = "") -> JobRun:
    return JobRun(role, inputs, attempt, waiting=waiting)


def seen(
    of: Version = GENERIC,
    jobs: Sequence[JobRun] = (),
    status: ModelVersionStatus | None = None,
    *,
    used_by: Sequence[str] = (),
    pull_secret_missing: bool = False,
) -> Observed:
    return Observed(of, status or ModelVersionStatus(), jobs, used_by, pull_secret_missing, START)


def said(decision: Decision) -> dict[str, tuple[str, str]]:
    return {condition.type: (condition.status, condition.reason) for condition in decision.status.conditions}


def test_a_new_version_is_said_to_be_verifying_and_gets_its_job() -> None:
    decision = decide(seen(), PLAIN)
    assert said(decision) == {
        "Ready": ("Unknown", "Verifying"),
        "Reconciling": ("True", "Verifying"),
        "Verified": ("Unknown", "Verifying"),
    }
    assert decision.create is not None
    assert (decision.create.role, decision.create.attempt, decision.create.image) == ("verify", 1, SCORING_IMAGE)
    assert decision.status.observed_generation == 1


def test_a_running_verification_says_what_its_pod_waits_for_and_is_looked_at_again() -> None:
    run = running("verify", verification_inputs(GENERIC, SCORING_IMAGE, PLAIN), waiting="ImagePullBackOff: no such image")
    decision = decide(seen(jobs=[run]), PLAIN)
    ready = find(decision.status.conditions, "Ready")
    assert ready is not None
    assert ready.message == "ImagePullBackOff: no such image"
    assert decision.create is None
    assert decision.delete == []
    assert decision.requeue_after_seconds == 10


def test_a_passed_verification_makes_it_ready_with_facts_and_image() -> None:
    decision = decide(seen(jobs=[verification(PASSED.model_dump_json())], used_by=["b", "a"]), PLAIN)
    assert said(decision) == {"Ready": ("True", "Verified"), "Verified": ("True", "GoldenRowsReproduced")}
    assert decision.status.image == SCORING_IMAGE
    assert decision.status.used_by == ["a", "b"]
    assert decision.status.reason == "Verified"
    assert decision.status.verification is not None
    assert decision.status.verification.worst_absolute_error == "1.25e-07"
    assert (decision.create, decision.requeue_after_seconds) == (None, None)


def test_a_refusal_stalls_with_the_reports_reason() -> None:
    decision = decide(seen(jobs=[verification(WRONG.model_dump_json())]), PLAIN)
    assert said(decision) == {
        "Ready": ("False", "GoldenRowsFailed"),
        "Stalled": ("True", "GoldenRowsFailed"),
        "Verified": ("False", "GoldenRowsFailed"),
    }
    assert decision.create is None
    assert decision.requeue_after_seconds is None


@pytest.mark.parametrize(
    ("attempt", "ago_seconds", "left"),
    [(1, 0, 15), (1, 10, 5), (2, 10, 20), (3, 0, 60), (50, 0, 600)],
)
def test_what_may_cure_itself_waits_longer_each_time(attempt: int, ago_seconds: float, left: float) -> None:
    run = verification(AWAY.model_dump_json(), attempt=attempt, ago_seconds=ago_seconds)
    decision = decide(seen(jobs=[run]), PLAIN)
    assert said(decision)["Ready"] == ("Unknown", "FetchFailed")
    assert said(decision)["Reconciling"] == ("True", "FetchFailed")
    assert decision.create is None
    assert decision.requeue_after_seconds == left


def test_then_it_is_tried_again_under_another_name_and_the_old_job_goes() -> None:
    first = verification(AWAY.model_dump_json(), ago_seconds=16)
    decision = decide(seen(jobs=[first]), PLAIN)
    assert decision.create is not None
    assert decision.create.attempt == 2
    second = running("verify", first.inputs, attempt=2)
    assert decide(seen(jobs=[first, second]), PLAIN).delete == [first]


def test_a_verified_version_needs_no_job_and_keeps_its_image_through_an_upgrade() -> None:
    status = decide(seen(jobs=[verification(PASSED.model_dump_json())]), PLAIN).status
    assert is_settled(GENERIC, status, ["churn"])
    upgraded = settings(scoring_image="registry.example/scoring@sha256:" + "e" * 64)
    decision = decide(seen(status=status), upgraded)
    assert decision.status == status
    assert (decision.create, decision.delete) == (None, [])


def test_a_version_of_an_earlier_contract_is_verified_anew_once_a_deployment_names_it() -> None:
    verified = decide(seen(jobs=[verification(PASSED.model_dump_json())]), PLAIN).status
    assert verified.verification is not None
    facts = verified.verification.model_copy(update={"contract": 1})
    status = verified.model_copy(update={"verification": facts})
    assert is_settled(GENERIC, status, [])
    upgraded = settings(scoring_image="registry.example/scoring@sha256:" + "e" * 64)
    unused = decide(seen(status=status), upgraded)
    assert (unused.create, unused.status) == (None, status)
    used = decide(seen(status=status, used_by=["churn"]), upgraded)
    assert used.create is not None
    assert (used.create.role, used.create.image) == ("verify", upgraded.scoring_image)
    assert said(used)["Ready"] == ("Unknown", "Verifying")


def test_an_installation_with_the_scoring_image_of_an_earlier_release_is_told_so() -> None:
    decision = decide(seen(jobs=[verification(EARLIER.model_dump_json())]), PLAIN)
    assert said(decision)["Stalled"] == ("True", "ScoringImageOutdated")
    stalled = find(decision.status.conditions, "Stalled")
    assert stalled is not None
    assert SCORING_IMAGE in stalled.message
    assert "install operator and scoring image of one release" in stalled.message


def test_a_deleted_status_is_rebuilt_from_the_finished_job() -> None:
    run = verification(PASSED.model_dump_json())
    first = decide(seen(jobs=[run]), PLAIN).status
    assert decide(seen(jobs=[run], status=ModelVersionStatus()), PLAIN).status == first


def test_without_status_and_without_job_it_is_verified_anew() -> None:
    assert decide(seen(status=ModelVersionStatus()), PLAIN).create is not None


def test_a_failed_version_whose_job_was_deleted_is_tried_again() -> None:
    refused = decide(seen(jobs=[verification(WRONG.model_dump_json())]), PLAIN).status
    decision = decide(seen(status=refused), PLAIN)
    assert decision.create is not None
    assert said(decision)["Ready"] == ("Unknown", "Verifying")
    assert "Stalled" not in said(decision)


def test_a_named_pull_secret_that_is_not_there_is_said_and_looked_for_again() -> None:
    decision = decide(seen(version(secret="pull"), pull_secret_missing=True), PLAIN)
    assert said(decision)["Ready"] == ("False", "PullSecretMissing")
    assert "retention/pull" in decision.status.conditions[0].message
    assert decision.create is None
    assert decision.requeue_after_seconds == 30


def test_a_built_version_is_built_first_then_verified_in_its_own_image() -> None:
    first = decide(seen(BUILT), BUILDS)
    assert first.create is not None
    assert (first.create.role, first.create.image) == ("build", SCORING_IMAGE)
    assert said(first)["ImageBuilt"] == ("Unknown", "Building")
    assert said(first)["Verified"] == ("Unknown", "WaitingForImage")
    assert first.status.image == ""

    image = a_build(BuildReport(status="Built", image=BUILT_IMAGE))
    second = decide(seen(BUILT, [image]), BUILDS)
    assert second.create is not None
    assert (second.create.role, second.create.image) == ("verify", BUILT_IMAGE)
    assert said(second)["ImageBuilt"] == ("True", "Built")
    assert second.delete == []

    verified = verification(PASSED.model_dump_json(), image=BUILT_IMAGE, of=BUILT)
    third = decide(seen(BUILT, [image, verified]), BUILDS)
    assert said(third)["Ready"] == ("True", "Verified")
    assert third.status.image == BUILT_IMAGE
    assert third.delete == []
    assert is_settled(BUILT, third.status, ["churn"])


def test_a_failed_build_stalls_with_its_last_lines_and_no_image() -> None:
    decision = decide(seen(BUILT, [a_build(BuildReport(status="Failed", message="no matching distribution"))]), BUILDS)
    assert said(decision)["ImageBuilt"] == ("False", "BuildFailed")
    assert said(decision)["Stalled"] == ("True", "BuildFailed")
    assert decision.status.image == ""
    assert decision.create is None


def test_a_build_whose_engine_was_away_is_tried_again_upon_the_same_base() -> None:
    failed = a_build(BuildReport(status="Failed", message="the Engine does not answer", retryable=True), ago_seconds=20)
    decision = decide(seen(BUILT, [failed]), BUILDS)
    assert decision.create is not None
    assert (decision.create.role, decision.create.attempt, decision.create.image) == ("build", 2, SCORING_IMAGE)
    assert decision.status.image == ""


def test_an_installation_that_builds_nothing_says_which_settings_it_lacks() -> None:
    decision = decide(seen(BUILT), PLAIN)
    assert said(decision)["Stalled"] == ("True", "BuildNotConfigured")
    message = next(c.message for c in decision.status.conditions if c.type == "Ready")
    assert "docker_host, docker_certificates_secret, build_repository" in message


@pytest.mark.parametrize(("of", "type_"), [(GENERIC, "Verified"), (BUILT, "ImageBuilt")], ids=["verification", "build"])
def test_a_job_that_may_not_be_made_is_said_and_is_no_terminal_failure(of: Version, type_: str) -> None:
    observed = seen(of)
    status = refused(observed, decide(observed, BUILDS), "exceeded quota: jobs=0")
    found = {condition.type: condition for condition in status.conditions}
    assert (found["Ready"].status, found["Ready"].reason) == ("False", "JobRefused")
    assert found["Ready"].message == "the Job may not be made: exceeded quota: jobs=0"
    assert found[type_].reason == "JobRefused"
    assert "Stalled" not in found


def test_jobs_of_other_inputs_are_taken_away() -> None:
    other = running("verify", "zzzzzz")
    assert decide(seen(jobs=[other]), PLAIN).delete == [other]


def test_deciding_twice_on_the_same_world_says_the_same() -> None:
    worlds: list[Sequence[JobRun]] = [[], [verification(PASSED.model_dump_json())], [verification(WRONG.model_dump_json())]]
    for jobs in worlds:
        first = decide(seen(jobs=jobs), PLAIN)
        second = decide(seen(jobs=jobs, status=first.status), PLAIN)
        assert second.status == first.status
        assert is_true(first.status.conditions, "Ready") is is_true(second.status.conditions, "Ready")


def test_at_most_a_hundred_users_are_listed() -> None:
    assert len(decide(seen(used_by=[f"d{n:03}" for n in range(150)]), PLAIN).status.used_by) == 100
