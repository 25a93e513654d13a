"""What a finished, running or vanished Job means for its version. Pure.

A report decides. Where there is none, an exhausted memory is the version's fault; everything else may be the cluster's
and is tried again, a crash only a few times.
"""

from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import ValidationError

from podium_crds.verification import BuildReport, VerificationReport
from podium_operator.versions.job_run import JobRun, Termination

_MAX_CRASHES = 3
"""A container that ends without a report this often will not do better the next time."""

_FETCH_REFUSED = 1
_FETCH_LATER = 2

Report = TypeVar("Report", VerificationReport, BuildReport)


@dataclass(frozen=True)
class Pending:
    message: str


@dataclass(frozen=True)
class Passed(Generic[Report]):
    report: Report


@dataclass(frozen=True)
class Failed:
    """`reason` is one CamelCase word, `message` a sentence for people."""

    reason: str
    message: str
    retryable: bool


def verification_outcome(run: JobRun, memory_limit: str) -> Pending | Passed[VerificationReport] | Failed:
    """`memory_limit`: what the Job was given, for the message."""
    if run.finished_at is None:
        return Pending(run.waiting or "the verification is running")
    if (end := run.ended.get("verify")) is None:
        return _without_end(run, "verification")
    if (report := _verification_report(end.message)) is not None:
        return Passed(report) if report.passed else Failed(report.reason, report.message, report.retryable)
    if end.reason == "OOMKilled":
        return Failed(
            "OutOfMemory",
            f"the version needs more than the {memory_limit} of memory that a verification has; make the model smaller, or "
            "ask the platform team to raise the operator's verification memory",
            retryable=False,
        )
    return _without_report(run, end, "verification")


def build_outcome(run: JobRun) -> Pending | Passed[BuildReport] | Failed:
    if run.finished_at is None:
        return Pending(run.waiting or "the image is being built")
    if (end := run.ended.get("build")) is not None and (report := _build_report(end.message)) is not None:
        return Passed(report) if report.status == "Built" else Failed("BuildFailed", report.message, report.retryable)
    if (fetch := run.ended.get("fetch")) is not None and fetch.exit_code != 0:
        return _failed_fetch(run, fetch)
    return _without_report(run, end, "build") if end else _without_end(run, "build")


def _failed_fetch(run: JobRun, end: Termination) -> Failed:
    """`fetch` says by its exit code whose fault it was, and why in its last line."""
    if end.exit_code not in (_FETCH_REFUSED, _FETCH_LATER) or not end.message.strip():
        return _without_report(run, end, "fetch of the package")
    why = end.message.strip().splitlines()[-1]
    return Failed("FetchFailed", f"the package could not be fetched: {why}", retryable=end.exit_code == _FETCH_LATER)


def _without_end(run: JobRun, what: str) -> Failed:
    """The pod is gone, or the Job's time was over: nobody can say whose fault it was."""
    if run.failure == "DeadlineExceeded":
        why = f"the {what} was not done in time; if its pod waited for a node or an image, its events say so"
        return Failed("DeadlineExceeded", why, retryable=True)
    return Failed("ReportLost", f"the {what} ended and its pod is gone, with its report", retryable=True)


def _without_report(run: JobRun, end: Termination, what: str) -> Failed:
    words = end.message.strip() or "it wrote nothing"
    message = f"the {what} ended with exit code {end.exit_code} ({end.reason}) and without a report: {words[-1500:]}"
    return Failed("NoReport", message, retryable=run.attempt < _MAX_CRASHES)


def _verification_report(message: str) -> VerificationReport | None:
    try:
        return VerificationReport.model_validate_json(message)
    except ValidationError:
        return None


def _build_report(message: str) -> BuildReport | None:
    try:
        return BuildReport.model_validate_json(message)
    except ValidationError:
        return None
