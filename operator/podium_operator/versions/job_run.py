"""What became of a Job: the facts of the Job and its pod in a few typed fields. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from podium_operator.kinds import Manifest
from podium_operator.versions.jobs import ANNOTATION_ATTEMPT, ANNOTATION_INPUTS, LABEL_JOB

_TELLING_WAITS = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImagePull",
        "ErrImageNeverPull",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)

_PODLESS_SECONDS = 20.0
"""A Job without a pod for so long is being refused one."""


@dataclass(frozen=True)
class Termination:
    """How a container ended."""

    exit_code: int
    reason: str
    """Kubernetes' word: Completed, Error, OOMKilled, ..."""
    message: str
    """The report, or the last lines of the output."""


@dataclass(frozen=True)
class JobRun:
    role: str
    inputs: str
    attempt: int
    finished_at: datetime | None = None
    """None: still running."""
    failure: str = ""
    """Why the Job failed, in its own words (DeadlineExceeded, BackoffLimitExceeded); empty if it did not."""
    ended: dict[str, Termination] = field(default_factory=dict)
    """By container, init containers too; empty when the pod is gone."""
    waiting: str = ""
    """What the pod waits for, if that is something that a person can put right."""
    manifest: Manifest = field(default_factory=dict, repr=False, compare=False)


def job_run(job: Manifest, pods: Sequence[Manifest], now: datetime) -> JobRun:
    """`pods`: those of this Job. The newest tells."""
    metadata = job["metadata"]
    annotations = metadata.get("annotations") or {}
    end = next(
        (
            condition
            for condition in job.get("status", {}).get("conditions") or []
            if condition["type"] in ("Complete", "Failed") and condition["status"] == "True"
        ),
        None,
    )
    newest = max(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")), default=None)
    return JobRun(
        role=(metadata.get("labels") or {}).get(LABEL_JOB, ""),
        inputs=annotations.get(ANNOTATION_INPUTS, ""),
        attempt=_number(annotations.get(ANNOTATION_ATTEMPT, "")),
        finished_at=_moment(end["lastTransitionTime"]) if end else None,
        failure=end.get("reason", "Failed") if end and end["type"] == "Failed" else "",
        ended=_terminations(newest) if newest else {},
        waiting=_waiting(newest) if newest else _podless(job, now),
        manifest=job,
    )


def _terminations(pod: Manifest) -> dict[str, Termination]:
    status = pod.get("status", {})
    found = {}
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        if end := container.get("state", {}).get("terminated"):
            found[container["name"]] = Termination(end.get("exitCode", -1), end.get("reason", ""), end.get("message", ""))
    return found


def _waiting(pod: Manifest) -> str:
    status = pod.get("status", {})
    for container in [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]:
        wait = container.get("state", {}).get("waiting") or {}
        if wait.get("reason") in _TELLING_WAITS:
            return f"{wait['reason']}: {wait.get('message', container['image'])}"
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason', 'Unschedulable')}: {condition.get('message', 'no node takes the pod')}"
    return ""


def _podless(job: Manifest, now: datetime) -> str:
    """A quota or a webhook refuses pods without a word in the Job; only its Events tell."""
    started = job.get("status", {}).get("startTime")
    if started is None or (now - _moment(started)).total_seconds() < _PODLESS_SECONDS:
        return ""
    metadata = job["metadata"]
    return (
        f"no pod was made for Job {metadata['namespace']}/{metadata['name']} yet; its Events say why (kubectl describe job)"
    )


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
