"""Reconcile of a ModelVersion: reads the world, asks `decision`, carries it out, writes status. I/O only.

A Job is made before status is written, so that status is true: it says "Verifying" when there is a Job, or why there is
none. A crash between the two is found by the next reconcile, which sees the Job.
"""

from pydantic import ValidationError

from podium_crds.names import LABEL_VERSION
from podium_crds.v1alpha1.model_version import ModelVersionSpec, ModelVersionStatus
from podium_operator import conditions
from podium_operator.errors import AlreadyExists, Forbidden, Invalid
from podium_operator.kinds import Key, Manifest, is_owned_by
from podium_operator.runtime.context import Context, Result
from podium_operator.runtime.references import versions_named_by
from podium_operator.versions.decision import Decision, Observed, decide, is_settled, refused
from podium_operator.versions.job_run import JobRun, job_run
from podium_operator.versions.jobs import (
    LABEL_JOB,
    Version,
    WantedJob,
    build_job,
    build_labels,
    pull_secret_copy,
    verification_job,
)

_POD_OF_JOB = "batch.kubernetes.io/job-name"
_DOCKER_CONFIG = "kubernetes.io/dockerconfigjson"


class VersionReconciler:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._cluster = context.cluster
        self._settings = context.settings

    async def reconcile(self, key: Key) -> Result:
        found = await self._cluster.get(key.kind, key.namespace, key.name)
        if found is None or found["metadata"].get("deletionTimestamp"):
            await self._delete_builds(key)
            return Result()
        seen = await self._observe(key, found)
        decision = decide(seen, self._settings)
        await self._carry_out(found, seen, decision)
        return Result(decision.requeue_after_seconds)

    async def _observe(self, key: Key, found: Manifest) -> Observed:
        metadata = found["metadata"]
        spec = ModelVersionSpec.model_validate(found["spec"])
        version = Version(key.namespace, key.name, metadata["uid"], metadata["generation"], spec)
        status = _status(found)
        used_by = await self._users(key)
        settled = is_settled(version, status, used_by)
        return Observed(
            version=version,
            status=status,
            jobs=[] if settled else await self._jobs(version),
            used_by=used_by,
            pull_secret_missing=not settled and await self._is_pull_secret_missing(version),
            now=self._context.now(),
        )

    async def _jobs(self, version: Version) -> list[JobRun]:
        """Builds of an earlier version of this name are among them: their inputs fit nothing any more, so they are stale."""
        of_version = {LABEL_VERSION: version.name, LABEL_JOB: "verify"}
        verifications = await self._cluster.list("Job", version.namespace, of_version)
        builds = await self._cluster.list("Job", self._settings.namespace, build_labels(version.namespace, version.name))
        jobs = [job for job in verifications if is_owned_by(job, version.uid)] + builds
        now = self._context.now()
        return [job_run(job, await self._pods(job), now) for job in jobs if not job["metadata"].get("deletionTimestamp")]

    async def _pods(self, job: Manifest) -> list[Manifest]:
        metadata = job["metadata"]
        return await self._cluster.list("Pod", metadata["namespace"], {_POD_OF_JOB: metadata["name"]})

    async def _users(self, key: Key) -> list[str]:
        deployments = await self._cluster.list("ModelDeployment", key.namespace, cached=True)
        return [item["metadata"]["name"] for item in deployments if key.name in versions_named_by(item)]

    async def _is_pull_secret_missing(self, version: Version) -> bool:
        secret = version.spec.artifact.pull_secret_ref
        return secret is not None and await self._pull_secret(version.namespace, secret.name) is None

    async def _pull_secret(self, namespace: str, name: str) -> Manifest | None:
        found = await self._cluster.get("Secret", namespace, name)
        return found if found is not None and found.get("type") == _DOCKER_CONFIG else None

    async def _carry_out(self, found: Manifest, seen: Observed, decision: Decision) -> None:
        try:
            if decision.create is not None:
                await self._create(seen.version, decision.create)
        except (Forbidden, Invalid) as error:
            await self._write(found, seen.status, refused(seen, decision, error.why))
            raise
        await self._write(found, seen.status, decision.status)
        for run in decision.delete:
            await self._cluster.delete(run.manifest)
        for run in seen.jobs:
            if run.role == "build" and run.finished_at is None:
                await self._copy_pull_secret(seen.version, run.manifest)

    async def _write(self, found: Manifest, before: ModelVersionStatus, status: ModelVersionStatus) -> None:
        after = await self._cluster.apply_status(found, status_manifest(status))
        await self._tell(after, before, status)

    async def _create(self, version: Version, wanted: WantedJob) -> None:
        make = verification_job if wanted.role == "verify" else build_job
        try:
            job = await self._cluster.create(make(version, wanted, self._settings))
        except AlreadyExists:
            return
        if wanted.role == "build":
            await self._copy_pull_secret(version, job)

    async def _copy_pull_secret(self, version: Version, build: Manifest) -> None:
        """Until the copy is there the build's pod waits for it."""
        reference = version.spec.artifact.pull_secret_ref
        if reference is None:
            return
        secret = await self._pull_secret(version.namespace, reference.name)
        if secret is not None:
            await self._cluster.apply(pull_secret_copy(build, secret))

    async def _delete_builds(self, key: Key) -> None:
        for job in await self._cluster.list("Job", self._settings.namespace, build_labels(key.namespace, key.name)):
            await self._cluster.delete(job)

    async def _tell(self, found: Manifest, before: ModelVersionStatus, after: ModelVersionStatus) -> None:
        """An Event where the verdict changed."""
        ready = conditions.find(after.conditions, conditions.READY)
        was = conditions.find(before.conditions, conditions.READY)
        assert ready is not None, "every status says whether it is ready"
        if was is None or (was.status, was.reason) != (ready.status, ready.reason):
            stalled = conditions.is_true(after.conditions, conditions.STALLED)
            await self._context.events.record(found, ready.reason, ready.message, "Warning" if stalled else "Normal")


def status_manifest(status: ModelVersionStatus) -> Manifest:
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


def _status(found: Manifest) -> ModelVersionStatus:
    """What another schema version wrote is read as nothing: status can always be rebuilt."""
    try:
        return ModelVersionStatus.model_validate(found.get("status") or {})
    except ValidationError:
        return ModelVersionStatus()
