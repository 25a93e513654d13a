from typing import Any

import pytest

from operator_fixtures import SCORING_IMAGE, settings
from podium_crds.v1alpha1.model_version import ModelVersionSpec
from podium_operator.kinds import Manifest
from podium_operator.versions.jobs import (
    Version,
    WantedJob,
    build_inputs,
    build_job,
    job_name,
    pull_secret_copy,
    verification_inputs,
    verification_job,
)

DIGEST = "sha256:" + "b" * 64
BUILDS = settings(
    docker_host="tcp://engine:2376",
    docker_certificates_secret="docker",
    build_repository="registry.example/built",
    insecure_registries="registry.example:5000",
)


def version(
    name: str = "churn-3", uid: str = "u1", secret: str = "", type_: str = "Generic", digest: str = DIGEST
) -> Version:
    artifact: dict[str, Any] = {"uri": "oci://registry.example/models/churn:3", "digest": digest}
    artifact |= {"pullSecretRef": {"name": secret}} if secret else {}
    spec = ModelVersionSpec.model_validate({"artifact": artifact, "image": {"type": type_}})
    return Version("retention", name, uid, 1, spec)


def restricted_faults(job: Manifest) -> list[str]:
    """What Pod Security "restricted" would object to, as its documentation lists it."""
    pod = job["spec"]["template"]["spec"]
    faults = [] if pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"} else ["seccomp"]
    faults += [] if pod["securityContext"]["runAsNonRoot"] else ["root"]
    faults += [key for key in ("hostNetwork", "hostPID", "hostIPC") if key in pod]
    for volume in pod["volumes"]:
        faults += [] if set(volume) - {"name"} <= {"emptyDir", "secret", "configMap"} else [volume["name"]]
    for container in [*pod.get("initContainers", []), *pod["containers"]]:
        context = container["securityContext"]
        good = not context["allowPrivilegeEscalation"] and context["capabilities"] == {"drop": ["ALL"]}
        faults += [] if good else [container["name"]]
    return faults


@pytest.mark.parametrize("secret", ["", "pull"])
def test_every_pod_passes_pod_security_restricted_and_has_no_token(secret: str) -> None:
    verify = verification_job(version(secret=secret), WantedJob("verify", "abc", 1, SCORING_IMAGE), BUILDS)
    build = build_job(version(secret=secret, type_="Built"), WantedJob("build", "abc", 1, SCORING_IMAGE), BUILDS)
    for job in (verify, build):
        assert restricted_faults(job) == []
        pod = job["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is False
        assert all(c["securityContext"]["readOnlyRootFilesystem"] for c in pod["containers"])
        mounted = {m["name"] for c in [*pod.get("initContainers", []), *pod["containers"]] for m in c["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_a_verification_runs_beside_its_version_under_the_serving_limits() -> None:
    job = verification_job(version(secret="pull"), WantedJob("verify", "abc", 1, SCORING_IMAGE), BUILDS)
    assert job["metadata"]["namespace"] == "retention"
    [owner] = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == ("ModelVersion", "churn-3", "u1", True)
    assert job["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "podium",
        "podium.dev/model-version": "churn-3",
        "podium.dev/job": "verify",
    }
    assert (job["spec"]["backoffLimit"], job["spec"]["activeDeadlineSeconds"]) == (0, 600)
    [container] = job["spec"]["template"]["spec"]["containers"]
    assert container["command"] == [
        *["python", "-m", "podium_serving", "verify", "--uri", "oci://registry.example/models/churn:3"],
        *["--digest", DIGEST, "--image-type", "Generic"],
    ]
    assert container["resources"] == {
        "requests": {"cpu": "100m", "memory": "1Gi"},
        "limits": {"cpu": "1", "memory": "1Gi"},
    }
    environment = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert environment == {
        "PODIUM_CACHE_DIR": "/var/lib/podium",
        "PODIUM_INSECURE_REGISTRIES": "registry.example:5000",
        "PODIUM_REGISTRY_AUTH_FILE": "/etc/podium/pull/.dockerconfigjson",
        "PODIUM_MEMORY_LIMIT_BYTES": None,
        "PODIUM_CPU_LIMIT": None,
    }


def test_a_build_runs_where_the_engines_certificate_is_and_its_labels_say_whose_it_is() -> None:
    job = build_job(version(type_="Built"), WantedJob("build", "abc", 1, SCORING_IMAGE), BUILDS)
    assert job["metadata"]["namespace"] == "podium"
    assert "ownerReferences" not in job["metadata"]
    assert job["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "podium",
        "podium.dev/model-version": "churn-3",
        "podium.dev/job": "build",
        "podium.dev/model-version-namespace": "retention",
        "podium.dev/model-version-uid": "u1",
    }
    pod = job["spec"]["template"]["spec"]
    [fetch], [build] = pod["initContainers"], pod["containers"]
    assert fetch["command"][:4] == ["python", "-m", "podium_serving", "fetch"]
    assert fetch["image"] == SCORING_IMAGE
    assert build["command"] == [
        *["python", "-m", "podium_operator.build", "--package", "/package", "--base-image", SCORING_IMAGE],
        *["--repository", "registry.example/built", "--network", "default"],
    ]
    assert {entry["name"]: entry["value"] for entry in build["env"]} == {
        "DOCKER_HOST": "tcp://engine:2376",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": "/etc/podium/docker",
    }


def test_options_of_the_installation_become_mounts_and_arguments_of_the_build_only() -> None:
    known = BUILDS.model_copy(
        update={"build_pip_secret": "pip", "build_ca_config_map": "ca", "build_registry_secret": "push"},
    )
    pod = build_job(version(type_="Built"), WantedJob("build", "abc", 1, SCORING_IMAGE), known)["spec"]["template"]["spec"]
    [fetch], [build] = pod["initContainers"], pod["containers"]
    assert build["command"][-6:] == [
        *["--registry-auth-file", "/etc/podium/push/.dockerconfigjson", "--pip-conf", "/etc/podium/pip/pip.conf"],
        *["--ca-bundle", "/etc/podium/ca/ca.crt"],
    ]
    assert {mount["name"] for mount in fetch["volumeMounts"]} == {"package", "tmp"}


def test_the_pull_secret_travels_to_the_build_and_dies_with_its_job() -> None:
    job = build_job(version(secret="pull", type_="Built"), WantedJob("build", "abc", 1, SCORING_IMAGE), BUILDS)
    made = {**job, "metadata": {**job["metadata"], "uid": "j1"}}
    copy = pull_secret_copy(made, {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "e30="}})
    assert copy["metadata"]["ownerReferences"][0]["uid"] == "j1"
    assert copy["metadata"]["namespace"] == "podium"
    [volume] = [v for v in job["spec"]["template"]["spec"]["volumes"] if v["name"] == "pull-secret"]
    assert volume["secret"]["secretName"] == copy["metadata"]["name"]


def test_another_uid_digest_image_limit_or_secret_is_another_verification() -> None:
    roomy = BUILDS.model_copy(update={"verification_memory": "2Gi"})
    hashes = {
        verification_inputs(version(), SCORING_IMAGE, BUILDS),
        verification_inputs(version(uid="u2"), SCORING_IMAGE, BUILDS),
        verification_inputs(version(digest="sha256:" + "c" * 64), SCORING_IMAGE, BUILDS),
        verification_inputs(version(), SCORING_IMAGE + "0", BUILDS),
        verification_inputs(version(), SCORING_IMAGE, roomy),
        verification_inputs(version(secret="pull"), SCORING_IMAGE, BUILDS),
    }
    assert len(hashes) == 6
    assert verification_inputs(version(), SCORING_IMAGE, BUILDS) in hashes


def test_another_base_image_or_repository_is_another_build() -> None:
    known = version(type_="Built")
    changed = [
        BUILDS.model_copy(update={"scoring_image": SCORING_IMAGE[:-1] + "f"}),
        BUILDS.model_copy(update={"build_repository": "elsewhere"}),
        BUILDS.model_copy(update={"operator_image": "operator:2"}),
    ]
    same = build_inputs(known, BUILDS)
    assert [build_inputs(known, other) == same for other in changed] == [False, False, True]


def test_names_fit_and_do_not_collide_between_namespaces_and_attempts() -> None:
    long = Version("n" * 63, "v" * 63, "u1", 1, version().spec)
    names = {job_name(long, WantedJob(role, "abcdef", attempt, "i")) for role in ("build", "verify") for attempt in (1, 2)}
    assert len(names) == 4
    assert all(len(name) <= 63 for name in names)
