"""What an installation decides: read once from the environment, in `main`, and handed on. Frozen.

Each field's variable is `PODIUM_` + its name in capitals, but for `kubeconfig`, which has the name that all clients know.
Lists are comma-separated.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from podium_crds.v1alpha1.model_deployment import ResourceLimits, ResourceList, Resources


def _split(value: Any) -> Any:
    return tuple(word.strip() for word in value.split(",") if word.strip()) if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_split)]


class SettingsError(Exception):
    """The environment does not fit. The message names each variable, its value and what would be right."""


class Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    namespace: str = Field(min_length=1)
    """The operator's own namespace: keys, the Lease and build Jobs live here."""

    pod_name: str = "podium-operator"
    """Who holds the Lease, for people; the identity adds a random part."""

    kubeconfig: str = ""
    """A kubeconfig file, from KUBECONFIG. Empty: the pod's service account."""

    scoring_image: str = Field(pattern=r".+@sha256:[0-9a-f]{64}$")
    """The generic scoring image, by digest: a tag could change under a verified version."""

    operator_image: str = Field(min_length=1)
    """Runs `python -m podium_operator.build` in build Jobs."""

    watch_namespaces: Words = ()
    """Empty: all namespaces."""

    insecure_registries: Words = ()
    """Registry hosts (host:port) that scoring pods and Jobs speak to by plain HTTP."""

    docker_host: str = ""
    """`tcp://host:2376` of the Docker Engine that builds images. Empty: versions of type Built are refused and told so."""

    docker_certificates_secret: str = ""
    """Secret with ca.pem, cert.pem and key.pem in the operator's namespace."""

    build_repository: str = ""
    """Where built images are pushed, e.g. `registry.example.com/podium/scoring`."""

    build_registry_secret: str = ""
    """kubernetes.io/dockerconfigjson Secret in the operator's namespace for the base image and the push."""

    build_pip_secret: str = ""
    """Secret with key `pip.conf` in the operator's namespace."""

    build_ca_config_map: str = ""
    """ConfigMap with key `ca.crt` in the operator's namespace: trusted while packages are installed."""

    build_network: str = "default"
    """The Docker network of a build's RUN steps. It should reach the package index and nothing of the cluster."""

    build_deadline_seconds: int = Field(default=1800, ge=60)

    job_image_pull_secrets: Words = ()
    """Pull secrets for the scoring and operator images in the pods of Jobs; they must exist in the Job's namespace."""

    verification_cpu: str = "1"
    verification_memory: str = "1Gi"
    """Limits of a verification: what a version is judged under. The memory is requested, too."""

    verification_cpu_request: str = "100m"
    """Low, so that a full cluster still verifies; a busy node makes the measured p99 worse, not the verdict."""

    verification_deadline_seconds: int = Field(default=600, ge=30)

    collector_url: str = ""
    """Where pods send captured events, e.g. `http://podium-monitor.podium:8090/v1/events`. Empty: capture is off."""

    monitor_url: str = ""
    """Where the monitor tells evidence, e.g. `http://podium-monitor.podium:8091`. Empty: status says nothing of it."""

    evidence_seconds: float = Field(default=60.0, ge=0.1)
    """The monitor is asked about each deployment this often."""

    resync_seconds: float = Field(default=300.0, gt=0)
    """Every key is reconciled this often even if no event came: a lost event costs at most this."""

    workers: int = Field(default=8, ge=1, le=64)
    """Keys in work at once."""

    reconcile_timeout_seconds: float = Field(default=300.0, gt=0)
    """One reconcile may last this long; then it is cancelled and tried again with back-off."""

    request_timeout_seconds: float = Field(default=10.0, gt=0)
    """Each request to the API server. Shorter than the Lease's renew deadline is of no use to a hung API server."""

    lease_name: str = "podium-operator"
    lease_seconds: float = Field(default=15.0, ge=1)
    """A Lease that nobody renewed for so long may be taken."""
    lease_renew_seconds: float = Field(default=10.0, ge=0.5)
    """A leader that could not renew for so long gives up. In the gap to `lease_seconds` nobody writes."""
    lease_retry_seconds: float = Field(default=2.0, ge=0.05)

    health_port: int = Field(default=8085, ge=0, le=65535)
    health_bind: str = "0.0.0.0"  # noqa: S104 - the kubelet probes the pod's address
    stuck_seconds: float = Field(default=60.0, gt=0)
    """/healthz goes red when the work loop has not turned for so long."""

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @property
    def verification_resources(self) -> Resources:
        return Resources(
            requests=ResourceList(cpu=self.verification_cpu_request, memory=self.verification_memory),
            limits=ResourceLimits(cpu=self.verification_cpu, memory=self.verification_memory),
        )


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Settings from `PODIUM_*` variables; others are not looked at. Raises SettingsError."""
    variables = {name: _variable(name) for name in Settings.model_fields}
    found: dict[str, Any] = {name: environment[key] for name, key in variables.items() if environment.get(key)}
    try:
        return Settings.model_validate(found)
    except ValidationError as error:
        lines = [f"{_variable(str(fault['loc'][0]))}: {fault['msg']}" for fault in error.errors()]
        raise SettingsError("the operator's settings do not fit: " + "; ".join(lines)) from error


def _variable(field: str) -> str:
    return "KUBECONFIG" if field == "kubeconfig" else "PODIUM_" + field.upper()
