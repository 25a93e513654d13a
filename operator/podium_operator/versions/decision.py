"""What to do about a ModelVersion, from what was seen: the one place where its policy is. Pure.

Image first (built, or the generic one), then the verification in that image, then Ready. What is in status already is not
done again: a verified version keeps its image and needs no Job, so Jobs may be deleted, and an upgrade of Podium changes no
version, unless its image understands less than today's operator asks of it (SERVING_CONTRACT). Deleting the failed Job is
how a person asks for another try.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from podium_crds.names import SERVING_CONTRACT
from podium_crds.v1alpha1.model_version import ModelVersionStatus, VerifiedFacts
from podium_crds.verification import BuildReport, VerificationReport
from podium_operator import conditions
from podium_operator.conditions import Wanted
from podium_operator.settings import Settings
from podium_operator.versions.job_run import JobRun
from podium_operator.versions.jobs import JobRole, Version, WantedJob, build_inputs, verification_inputs
from podium_operator.versions.outcome import Failed, Passed, Pending, build_outcome, verification_outcome

VERIFIED = "Verified"
IMAGE_BUILT = "ImageBuilt"

_LOOK_AGAIN_SECONDS = 10.0
"""A pod that waits for its image changes nothing in its Job: no event comes of it."""
_RETRY_BASE_SECONDS = 15.0
_RETRY_CAP_SECONDS = 600.0
_MAX_USERS = 100


@dataclass(frozen=True)
class Observed:
    version: Version
    status: ModelVersionStatus
    jobs: Sequence[JobRun]
    """All Jobs of this version's uid, both roles, all attempts."""
    used_by: Sequence[str]
    pull_secret_missing: bool
    now: datetime


@dataclass(frozen=True)
class Decision:
    status: ModelVersionStatus
    create: WantedJob | None = None
    delete: Sequence[JobRun] = ()
    requeue_after_seconds: float | None = None


@dataclass(frozen=True)
class _Step:
    """What one step says: conditions of its own, and the verdict if the way ends here."""

    said: Sequence[Wanted]
    verdict: Sequence[Wanted] = ()
    """Empty: go on."""
    image: str = ""
    facts: VerifiedFacts | None = None
    create: WantedJob | None = None
    current: Sequence[JobRun] = ()
    requeue_after_seconds: float | None = None


def is_settled(version: Version, status: ModelVersionStatus, used_by: Sequence[str]) -> bool:
    """Whether status alone says that the version is verified, so that Jobs need not even be looked at.

    One of an earlier contract is verified anew, in an image of today, once a deployment names it: not all at the hour of an
    upgrade.
    """
    facts = status.verification
    if facts is None or (facts.contract < SERVING_CONTRACT and used_by):
        return False
    built = version.spec.image.type == "Generic" or conditions.is_true(status.conditions, IMAGE_BUILT, version.generation)
    verified = conditions.is_true(status.conditions, VERIFIED, version.generation)
    return bool(built and verified and status.image)


def decide(seen: Observed, settings: Settings) -> Decision:
    if is_settled(seen.version, seen.status, seen.used_by):
        return _settled(seen)
    if seen.pull_secret_missing:
        return _blocked(seen)
    image = _image_step(seen, settings)
    if image.verdict:
        waits = Wanted(VERIFIED, "Unknown", "WaitingForImage", "the image comes first")
        return _decision(seen, [*image.said, waits], image)
    verification = _verification_step(seen, image.image, settings)
    return _decision(seen, [*image.said, *verification.said], verification, kept=image.current)


def refused(seen: Observed, decision: Decision, why: str) -> ModelVersionStatus:
    """What to say when the Job that was decided on may not be made, as by a quota or an admission webhook."""
    assert decision.create is not None, "only a Job that was to be made can be refused"
    type_ = IMAGE_BUILT if decision.create.role == "build" else VERIFIED
    message = f"the Job may not be made: {why}"
    others = [c for c in decision.status.conditions if c.type in (VERIFIED, IMAGE_BUILT) and c.type != type_]
    said = [Wanted(c.type, c.status, c.reason, c.message) for c in others]
    said.append(Wanted(type_, "Unknown", "JobRefused", message))
    step = _Step([], conditions.in_progress("JobRefused", message, ready="False"), decision.status.image)
    return _decision(seen, said, step).status


def _image_step(seen: Observed, settings: Settings) -> _Step:
    if seen.version.spec.image.type == "Generic":
        return _Step([], image=settings.scoring_image)
    if missing := _missing_build_settings(settings):
        message = f"this installation builds no images: the operator's settings lack {', '.join(missing)}"
        return _ended(IMAGE_BUILT, Failed("BuildNotConfigured", message, retryable=False), [])
    inputs = build_inputs(seen.version, settings)
    run = _newest(seen.jobs, "build", inputs)
    if run is None:
        first = WantedJob("build", inputs, 1, settings.scoring_image)
        return _begun(IMAGE_BUILT, "Building", "the image is being built", first)
    match build_outcome(run):
        case Pending(message):
            return _running(IMAGE_BUILT, "Building", message, run)
        case Failed() as failed:
            again = WantedJob("build", inputs, run.attempt + 1, settings.scoring_image)
            return _retried(IMAGE_BUILT, failed, run, again, seen.now)
        case Passed(report):
            assert isinstance(report, BuildReport)
            built = Wanted(IMAGE_BUILT, "True", "Reused" if report.reused else "Built", report.image)
            return _Step([built], image=report.image, current=[run])


def _verification_step(seen: Observed, image: str, settings: Settings) -> _Step:
    inputs = verification_inputs(seen.version, image, settings)
    run = _newest(seen.jobs, "verify", inputs)
    if run is None:
        return _begun(VERIFIED, "Verifying", "the verification is running", WantedJob("verify", inputs, 1, image), image)
    match verification_outcome(run, settings.verification_memory):
        case Pending(message):
            return _running(VERIFIED, "Verifying", message, run, image)
        case Failed() as failed:
            again = WantedJob("verify", inputs, run.attempt + 1, image)
            return _retried(VERIFIED, failed, run, again, seen.now, image)
        case Passed(report):
            assert isinstance(report, VerificationReport)
            if report.contract < SERVING_CONTRACT:
                return _ended(VERIFIED, _outdated_image(image, report.contract), [run], image)
            verified = Wanted(VERIFIED, "True", report.reason, report.message)
            ready = conditions.current("Verified", _ready_message(facts_of(report)))
            return _Step([verified], ready, image, facts_of(report), current=[run])


def _outdated_image(image: str, contract: int) -> Failed:
    message = (
        f"the scoring image {image} is of an earlier Podium: it understands contract {contract}, this operator asks for "
        f"{SERVING_CONTRACT}: install operator and scoring image of one release"
    )
    return Failed("ScoringImageOutdated", message, retryable=False)


def _begun(type_: str, reason: str, message: str, wanted: WantedJob, image: str = "") -> _Step:
    said = [Wanted(type_, "Unknown", reason, message)]
    return _Step(said, conditions.in_progress(reason, message), image, create=wanted)


def _running(type_: str, reason: str, message: str, run: JobRun, image: str = "") -> _Step:
    said = [Wanted(type_, "Unknown", reason, message)]
    verdict = conditions.in_progress(reason, message)
    return _Step(said, verdict, image, current=[run], requeue_after_seconds=_LOOK_AGAIN_SECONDS)


def _retried(type_: str, failed: Failed, run: JobRun, again: WantedJob, now: datetime, image: str = "") -> _Step:
    """A retryable failure waits, then becomes another attempt; any other ends the way. `image`: the one for status."""
    if not failed.retryable:
        return _ended(type_, failed, [run], image)
    assert run.finished_at is not None, "only a finished run has failed"
    delay = min(_RETRY_CAP_SECONDS, _RETRY_BASE_SECONDS * 2.0 ** (min(run.attempt, 20) - 1))
    left = delay - (now - run.finished_at).total_seconds()
    message = f"{failed.message} (attempt {run.attempt}; it is tried again)"
    said = [Wanted(type_, "Unknown", failed.reason, message)]
    verdict = conditions.in_progress(failed.reason, message)
    if left > 0:
        return _Step(said, verdict, image, current=[run], requeue_after_seconds=left)
    return _Step(said, verdict, image, create=again, current=[run])


def _ended(type_: str, failed: Failed, current: Sequence[JobRun], image: str = "") -> _Step:
    said = [Wanted(type_, "False", failed.reason, failed.message)]
    return _Step(said, conditions.failed(failed.reason, failed.message), image, current=current)


def _settled(seen: Observed) -> Decision:
    steps = [found for found in seen.status.conditions if found.type in (VERIFIED, IMAGE_BUILT)]
    kept = [Wanted(found.type, found.status, found.reason, found.message) for found in steps]
    assert seen.status.verification is not None, "a settled version has its facts"
    verdict = conditions.current("Verified", _ready_message(seen.status.verification))
    return _decision(seen, kept, _Step([], verdict, seen.status.image, seen.status.verification))


def _blocked(seen: Observed) -> Decision:
    secret = seen.version.spec.artifact.pull_secret_ref
    assert secret is not None, "only a named secret can be missing"
    message = (
        f"Secret {seen.version.namespace}/{secret.name}, named by spec.artifact.pullSecretRef, should be of type "
        "kubernetes.io/dockerconfigjson and is not there"
    )
    waits = Wanted(VERIFIED, "Unknown", "PullSecretMissing", message)
    verdict = conditions.in_progress("PullSecretMissing", message, ready="False")
    return _decision(seen, [waits], _Step([], verdict, requeue_after_seconds=30.0))


def _decision(seen: Observed, said: Sequence[Wanted], step: _Step, kept: Sequence[JobRun] = ()) -> Decision:
    wanted = [*said, *step.verdict]
    ready = next(want for want in wanted if want.type == conditions.READY)
    status = ModelVersionStatus(
        observed_generation=seen.version.generation,
        conditions=conditions.merged(seen.status.conditions, wanted, seen.version.generation, seen.now),
        image=step.image,
        verification=step.facts,
        used_by=sorted(seen.used_by)[:_MAX_USERS],
        reason=ready.reason,
    )
    keep = [id(run) for run in [*step.current, *kept]]
    stale = [run for run in seen.jobs if id(run) not in keep]
    return Decision(status, step.create, stale, step.requeue_after_seconds)


def _newest(jobs: Sequence[JobRun], role: JobRole, inputs: str) -> JobRun | None:
    return max((run for run in jobs if run.role == role and run.inputs == inputs), key=lambda run: run.attempt, default=None)


def _missing_build_settings(settings: Settings) -> list[str]:
    needed = ("docker_host", "docker_certificates_secret", "build_repository")
    return [name for name in needed if not getattr(settings, name)]


def facts_of(report: VerificationReport) -> VerifiedFacts:
    return VerifiedFacts(
        golden_rows=report.golden_rows,
        flipped_labels=report.flipped_labels,
        worst_absolute_error=f"{report.worst_absolute_error:.3g}",
        p99_milliseconds=f"{report.p99_milliseconds:.3g}",
        peak_memory_bytes=report.peak_memory_bytes,
        schema_digest=report.schema_digest,
        inputs=report.inputs,
        outputs=report.outputs,
        contract=report.contract,
    )


def _ready_message(facts: VerifiedFacts) -> str:
    return f"{facts.golden_rows} golden rows reproduced, worst difference {facts.worst_absolute_error}"
