from datetime import UTC, datetime
from typing import Any

import pytest

from podium_crds.verification import BuildReport, VerificationReport
from podium_operator.versions.job_run import JobRun, Termination, job_run
from podium_operator.versions.outcome import Failed, Passed, Pending, build_outcome, verification_outcome

DONE = datetime(2026, 11, 21, 12, tzinfo=UTC)
PASSED = VerificationReport(passed=True, reason="GoldenRowsReproduced", message="20 rows", golden_rows=20)
WRONG = VerificationReport(passed=False, reason="DigestMismatch", message="other bits")
LATER = VerificationReport(passed=False, reason="FetchFailed", message="no answer", retryable=True)
BUILT = BuildReport(status="Built", image="r/scoring@sha256:1")
BROKEN = BuildReport(status="Failed", message="no such package")


def ended(container: str = "verify", *, attempt: int = 1, **termination: Any) -> JobRun:
    end = Termination(**{"exit_code": 0, "reason": "Completed", "message": "", **termination})
    return JobRun("verify", "abc", attempt, finished_at=DONE, ended={container: end})


@pytest.mark.parametrize(
    ("run", "outcome"),
    [
        pytest.param(JobRun("verify", "abc", 1), Pending("the verification is running"), id="running"),
        pytest.param(
            JobRun("verify", "abc", 1, waiting="ImagePullBackOff: no such image"),
            Pending("ImagePullBackOff: no such image"),
            id="waits-for-its-image",
        ),
        pytest.param(ended(message=PASSED.model_dump_json()), Passed(PASSED), id="passed"),
        pytest.param(
            ended(message=WRONG.model_dump_json(), exit_code=1), Failed("DigestMismatch", "other bits", False), id="refused"
        ),
        pytest.param(ended(message=LATER.model_dump_json()), Failed("FetchFailed", "no answer", True), id="registry-away"),
    ],
)
def test_a_report_decides(run: JobRun, outcome: object) -> None:
    assert verification_outcome(run, "1Gi") == outcome


def test_an_exhausted_memory_is_the_versions_fault_and_the_limit_is_named() -> None:
    outcome = verification_outcome(ended(exit_code=137, reason="OOMKilled"), "1Gi")
    assert isinstance(outcome, Failed)
    assert outcome.reason == "OutOfMemory"
    assert not outcome.retryable
    assert "more than the 1Gi of memory" in outcome.message


@pytest.mark.parametrize(("attempt", "retryable"), [(1, True), (2, True), (3, False)])
def test_a_crash_without_a_report_is_tried_three_times_and_its_last_words_are_told(attempt: int, retryable: bool) -> None:
    run = ended(attempt=attempt, exit_code=1, reason="Error", message="ImportError: no module named x")
    outcome = verification_outcome(run, "1Gi")
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.retryable) == ("NoReport", retryable)
    assert "exit code 1 (Error)" in outcome.message
    assert "ImportError: no module named x" in outcome.message


@pytest.mark.parametrize(
    ("failure", "reason"),
    [("DeadlineExceeded", "DeadlineExceeded"), ("BackoffLimitExceeded", "ReportLost"), ("", "ReportLost")],
)
def test_a_job_whose_pod_is_gone_is_tried_again(failure: str, reason: str) -> None:
    outcome = verification_outcome(JobRun("verify", "abc", 7, finished_at=DONE, failure=failure), "1Gi")
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.retryable) == (reason, True)


@pytest.mark.parametrize(
    ("run", "outcome"),
    [
        pytest.param(JobRun("build", "abc", 1), Pending("the image is being built"), id="running"),
        pytest.param(ended("build", message=BUILT.model_dump_json()), Passed(BUILT), id="built"),
        pytest.param(
            ended("build", message=BROKEN.model_dump_json(), exit_code=1),
            Failed("BuildFailed", "no such package", False),
            id="pip-refused",
        ),
        pytest.param(
            ended("fetch", message="INFO: fetching\noci://r/x: other bits\n", exit_code=1, reason="Error"),
            Failed("FetchFailed", "the package could not be fetched: oci://r/x: other bits", False),
            id="the-package-is-wrong",
        ),
        pytest.param(
            ended("fetch", message="oci://r/x: no answer", exit_code=2, reason="Error"),
            Failed("FetchFailed", "the package could not be fetched: oci://r/x: no answer", True),
            id="the-registry-is-away",
        ),
    ],
)
def test_a_build_report_decides(run: JobRun, outcome: object) -> None:
    assert build_outcome(run) == outcome


def test_a_fetch_that_was_killed_is_told_by_its_last_words() -> None:
    outcome = build_outcome(ended("fetch", exit_code=137, reason="Error", message="fetching"))
    assert isinstance(outcome, Failed)
    assert outcome.message.startswith("the fetch of the package ended with exit code 137 (Error)")
    assert outcome.retryable


def test_the_newest_pod_tells_how_its_containers_ended() -> None:
    job = {
        "metadata": {
            "name": "j",
            "labels": {"podium.dev/job": "verify"},
            "annotations": {"podium.dev/inputs": "abc", "podium.dev/attempt": "2"},
        },
        "status": {
            "conditions": [
                {"type": "SuccessCriteriaMet", "status": "True", "lastTransitionTime": "2026-11-21T11:59:59Z"},
                {"type": "Complete", "status": "True", "lastTransitionTime": "2026-11-21T12:00:00Z"},
            ]
        },
    }
    run = job_run(job, [pod("2026-11-21T11:00:00Z", 1, "old"), pod("2026-11-21T11:30:00Z", 0, "new")], DONE)
    assert (run.role, run.inputs, run.attempt, run.finished_at, run.failure) == ("verify", "abc", 2, DONE, "")
    assert run.ended == {"verify": Termination(0, "Completed", "new")}


def test_a_failed_job_says_why() -> None:
    end = {"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "lastTransitionTime": "2026-11-21T12:00:00Z"}
    run = job_run({"metadata": {"name": "j"}, "status": {"conditions": [end]}}, [], DONE)
    assert (run.failure, run.finished_at, run.attempt) == ("DeadlineExceeded", DONE, 0)


@pytest.mark.parametrize(
    ("status", "waiting"),
    [
        pytest.param({}, "", id="nothing-known-yet"),
        pytest.param(
            {"containerStatuses": [{"image": "i", "state": {"waiting": {"reason": "ContainerCreating"}}}]}, "", id="starting"
        ),
        pytest.param(
            {
                "containerStatuses": [
                    {"image": "i", "state": {"waiting": {"reason": "ErrImagePull", "message": "no such tag"}}}
                ]
            },
            "ErrImagePull: no such tag",
            id="image",
        ),
        pytest.param(
            {"initContainerStatuses": [{"image": "i", "state": {"waiting": {"reason": "CreateContainerConfigError"}}}]},
            "CreateContainerConfigError: i",
            id="init-container",
        ),
        pytest.param(
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]},
            "Unschedulable: 0/3 nodes",
            id="no-node",
        ),
    ],
)
def test_what_a_pod_waits_for_is_told_when_a_person_can_put_it_right(status: dict[str, Any], waiting: str) -> None:
    assert job_run({"metadata": {"name": "j"}}, [{"metadata": {}, "status": status}], DONE).waiting == waiting


def pod(created: str, exit_code: int, message: str) -> dict[str, Any]:
    end = {"exitCode": exit_code, "reason": "Completed", "message": message}
    status = {"containerStatuses": [{"name": "verify", "image": "i", "state": {"terminated": end}}]}
    return {"metadata": {"creationTimestamp": created}, "status": status}


@pytest.mark.parametrize(("minute", "told"), [("11:59:50", False), ("11:59:00", True)])
def test_a_job_that_is_refused_its_pod_says_where_to_look(minute: str, told: bool) -> None:
    job = {"metadata": {"namespace": "retention", "name": "j"}, "status": {"startTime": f"2026-11-21T{minute}Z"}}
    waiting = job_run(job, [], DONE).waiting
    assert ("no pod was made for Job retention/j yet" in waiting) is told
