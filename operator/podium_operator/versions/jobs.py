"""The Jobs of a version as manifests: building its image and verifying it. Pure.

Verification runs in the version's namespace and is owned by it. A build runs in the operator's namespace: it mounts the
Docker Engine's client certificate, which is root on that machine, and people may exec into pods of their own namespaces.
Owner references do not cross namespaces, so a build's labels say whose it is, and the reconcile deletes it.
"""

from dataclasses import dataclass
from typing import Literal

from podium_crds.names import LABEL_MANAGED_BY, LABEL_VERSION, MANAGED_BY, child_name, short_hash
from podium_crds.v1alpha1.model_version import ModelVersionSpec
from podium_operator.kinds import Manifest, owner_reference
from podium_operator.runtime.routing import LABEL_VERSION_NAMESPACE
from podium_operator.settings import Settings
from podium_operator.versions import pods

JobRole = Literal["build", "verify"]

LABEL_JOB = "podium.dev/job"
LABEL_VERSION_UID = "podium.dev/model-version-uid"
ANNOTATION_INPUTS = "podium.dev/inputs"
ANNOTATION_ATTEMPT = "podium.dev/attempt"


@dataclass(frozen=True)
class Version:
    """A ModelVersion without its status."""

    namespace: str
    name: str
    uid: str
    generation: int
    spec: ModelVersionSpec


@dataclass(frozen=True)
class WantedJob:
    role: JobRole
    inputs: str
    """Hash of all that the outcome depends on. Another one is another Job."""
    attempt: int
    image: str
    """The image to verify, or to build upon."""


def verification_inputs(version: Version, image: str, settings: Settings) -> str:
    limits = (settings.verification_cpu, settings.verification_memory)
    return short_hash("verify", version.uid, *_artifact(version), image, *limits)


def build_inputs(version: Version, settings: Settings) -> str:
    with_names_of = (settings.build_pip_secret, settings.build_ca_config_map, settings.build_network)
    return short_hash(
        "build", version.uid, *_artifact(version), settings.scoring_image, settings.build_repository, *with_names_of
    )


def job_name(version: Version, wanted: WantedJob) -> str:
    owner = version.name if wanted.role == "verify" else f"{version.namespace}-{version.name}"
    return child_name(owner, f"{wanted.role}-{wanted.inputs}-{wanted.attempt}")


def build_labels(namespace: str, name: str) -> dict[str, str]:
    """Selects the builds of one version among all in the operator's namespace."""
    return {LABEL_VERSION: name, LABEL_VERSION_NAMESPACE: namespace, LABEL_JOB: "build"}


def verification_job(version: Version, wanted: WantedJob, settings: Settings) -> Manifest:
    secret = version.spec.artifact.pull_secret_ref
    container = pods.container(
        "verify",
        wanted.image,
        ["python", "-m", "podium_serving", "verify", *_package_arguments(version), "--image-type", version.spec.image.type],
        environment={
            "PODIUM_CACHE_DIR": pods.CACHE_DIR,
            "PODIUM_INSECURE_REGISTRIES": ",".join(settings.insecure_registries),
            **({"PODIUM_REGISTRY_AUTH_FILE": pods.PULL_AUTH_FILE} if secret else {}),
        },
        mounts={"cache": pods.CACHE_DIR, "tmp": "/tmp", **({"pull-secret": pods.PULL_AUTH_DIR} if secret else {})},  # noqa: S108
        resources=settings.verification_resources,
    )
    container["env"] += pods.limits_environment("verify")
    volumes = [pods.scratch("cache"), pods.scratch("tmp"), *([pods.pull_secret(secret.name)] if secret else [])]
    metadata = {
        "name": job_name(version, wanted),
        "namespace": version.namespace,
        "labels": _labels(version, "verify"),
        "annotations": _annotations(wanted),
        "ownerReferences": [_owner(version)],
    }
    return _job(metadata, [], container, volumes, settings, settings.verification_deadline_seconds)


def build_job(version: Version, wanted: WantedJob, settings: Settings) -> Manifest:
    name = job_name(version, wanted)
    secret = version.spec.artifact.pull_secret_ref
    volumes = [pods.scratch("package"), pods.scratch("tmp")]
    volumes += [pods.pull_secret(name)] if secret else []
    fetch = pods.container(
        "fetch",
        settings.scoring_image,
        ["python", "-m", "podium_serving", "fetch", *_package_arguments(version), "--dir", pods.PACKAGE_DIR],
        environment={
            "PODIUM_INSECURE_REGISTRIES": ",".join(settings.insecure_registries),
            **({"PODIUM_REGISTRY_AUTH_FILE": pods.PULL_AUTH_FILE} if secret else {}),
        },
        mounts={"package": pods.PACKAGE_DIR, "tmp": "/tmp", **({"pull-secret": pods.PULL_AUTH_DIR} if secret else {})},  # noqa: S108
    )
    build, mounted = pods.builder(wanted.image, settings)
    metadata = {
        "name": name,
        "namespace": settings.namespace,
        "labels": {
            **_labels(version, "build"),
            LABEL_VERSION_NAMESPACE: version.namespace,
            LABEL_VERSION_UID: version.uid,
        },
        "annotations": _annotations(wanted),
    }
    return _job(metadata, [fetch], build, [*volumes, *mounted], settings, settings.build_deadline_seconds)


def pull_secret_copy(build: Manifest, pull_secret: Manifest) -> Manifest:
    """The version's pull secret beside its build Job, owned by it: gone when the Job is."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": build["metadata"]["name"],
            "namespace": build["metadata"]["namespace"],
            "labels": {LABEL_MANAGED_BY: MANAGED_BY},
            "ownerReferences": [owner_reference({"apiVersion": "batch/v1", **build})],
        },
        "type": pull_secret["type"],
        "data": pull_secret["data"],
    }


def _job(
    metadata: Manifest,
    first: list[Manifest],
    container: Manifest,
    volumes: list[Manifest],
    settings: Settings,
    deadline_seconds: int,
) -> Manifest:
    # Retries are ours: a new Job per attempt, so that each attempt's report can be read. An eviction is no attempt.
    disruption = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata,
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": deadline_seconds,
            "podFailurePolicy": {"rules": [disruption]},
            "template": {
                "metadata": {"labels": metadata["labels"]},
                "spec": pods.pod(first, container, volumes, settings.job_image_pull_secrets),
            },
        },
    }


def _labels(version: Version, role: JobRole) -> dict[str, str]:
    return {LABEL_MANAGED_BY: MANAGED_BY, LABEL_VERSION: version.name, LABEL_JOB: role}


def _annotations(wanted: WantedJob) -> dict[str, str]:
    return {ANNOTATION_INPUTS: wanted.inputs, ANNOTATION_ATTEMPT: str(wanted.attempt)}


def _owner(version: Version) -> Manifest:
    return owner_reference({"kind": "ModelVersion", "metadata": {"name": version.name, "uid": version.uid}})


def _artifact(version: Version) -> tuple[str, ...]:
    artifact = version.spec.artifact
    secret = artifact.pull_secret_ref
    return (artifact.uri, artifact.digest, version.spec.image.type, secret.name if secret else "")


def _package_arguments(version: Version) -> list[str]:
    return ["--uri", version.spec.artifact.uri, "--digest", version.spec.artifact.digest]
