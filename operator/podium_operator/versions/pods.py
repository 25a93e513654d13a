"""The pods of a version's Jobs, all of them passing Pod Security "restricted". Pure."""

from collections.abc import Mapping, Sequence

from podium_crds.v1alpha1.model_deployment import Resources
from podium_operator.kinds import Manifest
from podium_operator.settings import Settings

_USER = 65532

CACHE_DIR = "/var/lib/podium"
PACKAGE_DIR = "/package"
PULL_AUTH_DIR = "/etc/podium/pull"
PULL_AUTH_FILE = f"{PULL_AUTH_DIR}/.dockerconfigjson"
DOCKER_CERTIFICATES_DIR = "/etc/podium/docker"
PUSH_AUTH_DIR = "/etc/podium/push"
PIP_DIR = "/etc/podium/pip"
CA_DIR = "/etc/podium/ca"


def pod(
    first: Sequence[Manifest], main: Manifest, volumes: Sequence[Manifest], image_pull_secrets: Sequence[str]
) -> Manifest:
    """`first`: init containers."""
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **({"initContainers": list(first)} if first else {}),
        "containers": [main],
        "volumes": list(volumes),
        **({"imagePullSecrets": [{"name": name} for name in image_pull_secrets]} if image_pull_secrets else {}),
    }


def container(
    name: str,
    image: str,
    command: Sequence[str],
    environment: Mapping[str, str],
    mounts: Mapping[str, str],
    resources: Resources | None = None,
) -> Manifest:
    """`mounts`: volume to path. The last words of a container that wrote no report are its report."""
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "env": [{"name": key, "value": value} for key, value in environment.items()],
        "volumeMounts": [{"name": volume, "mountPath": path} for volume, path in mounts.items()],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        **({"resources": resources.model_dump(by_alias=True, exclude_none=True)} if resources else {}),
    }


def limits_environment(name: str) -> list[Manifest]:
    """The container's own limits, as scoring pods learn them."""
    wanted = {"PODIUM_MEMORY_LIMIT_BYTES": "limits.memory", "PODIUM_CPU_LIMIT": "limits.cpu"}
    return [
        {"name": key, "valueFrom": {"resourceFieldRef": {"containerName": name, "resource": resource}}}
        for key, resource in wanted.items()
    ]


def scratch(name: str) -> Manifest:
    return {"name": name, "emptyDir": {}}


def pull_secret(name: str) -> Manifest:
    return _secret("pull-secret", name)


def builder(base_image: str, settings: Settings) -> tuple[Manifest, list[Manifest]]:
    """The container that builds upon `base_image`, and the volumes that only it has."""
    command = ["python", "-m", "podium_operator.build", "--package", PACKAGE_DIR, "--base-image", base_image]
    command += ["--repository", settings.build_repository, "--network", settings.build_network]
    mounts = {"package": PACKAGE_DIR, "tmp": "/tmp", "docker": DOCKER_CERTIFICATES_DIR}  # noqa: S108 - a mount
    volumes = [_secret("docker", settings.docker_certificates_secret)]
    if settings.build_registry_secret:
        mounts["push"] = PUSH_AUTH_DIR
        volumes.append(_secret("push", settings.build_registry_secret))
        command += ["--registry-auth-file", f"{PUSH_AUTH_DIR}/.dockerconfigjson"]
    if settings.build_pip_secret:
        mounts["pip"] = PIP_DIR
        volumes.append(_secret("pip", settings.build_pip_secret))
        command += ["--pip-conf", f"{PIP_DIR}/pip.conf"]
    if settings.build_ca_config_map:
        mounts["ca"] = CA_DIR
        volumes.append({"name": "ca", "configMap": {"name": settings.build_ca_config_map}})
        command += ["--ca-bundle", f"{CA_DIR}/ca.crt"]
    environment = {
        "DOCKER_HOST": settings.docker_host,
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": DOCKER_CERTIFICATES_DIR,
    }
    return container("build", settings.operator_image, command, environment, mounts), volumes


def _secret(volume: str, name: str) -> Manifest:
    return {"name": volume, "secret": {"secretName": name, "defaultMode": 0o440}}
