"""What this process was told by its environment. Read once, by main; everything else gets it as an argument."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from podium_crds.names import CONTROL_PORT, FORWARD_PORT, GRPC_PORT, HTTP_PORT

Provider = Literal["Cpu", "Cuda", "TensorRt"]
OutsideTraining = Literal["Accept", "Warn", "Refuse"]


class InvalidSettings(ValueError):
    """The environment cannot be served from. The text names the variable and what would be right."""


@dataclass(frozen=True)
class ModelSettings:
    """How one loaded version runs."""

    threads: int = 1
    """Threads inside one run. The CPU limit rounded down: more would be throttled by the kernel."""

    max_batch_rows: int = 256
    """Rows that waiting requests are joined up to in one run. A single request may have more."""

    max_queue_rows: int = 4096
    """Rows that may wait. Beyond it a request is refused with 503 and Retry-After; one that finds the queue empty runs."""

    providers: tuple[Provider, ...] = ("Cpu",)
    """Where the model runs, by preference. What a provider cannot run goes to the next; Cpu is always the last."""

    hook_processes: int = 1
    """Processes that run transform.py of one version. Each imports it anew and has its own memory."""

    hook_timeout_seconds: float = 5.0
    """One call of a transform.py hook, at most. Then its process is killed and made anew."""

    hook_start_seconds: float = 60.0
    """Until transform.py is imported. Heavy libraries take tens of seconds on a cold node."""


@dataclass(frozen=True)
class HttpSettings:
    """Limits of the public and the forward port."""

    max_body_bytes: int = 64 * 1024 * 1024
    """One request's body."""

    max_json_bytes: int = 4 * 1024 * 1024
    """Of a body, what is JSON. It is read in one go, and meanwhile nobody else is answered: 7 to 30 ms per MiB."""

    max_buffered_bytes: int = 256 * 1024 * 1024
    """All bodies that are being received together: many large uploads must not run the pod out of memory."""

    body_timeout_seconds: float = 10.0
    """From a request's head to the end of its body. Bounds how long a half-sent request holds a replaced version."""

    keep_alive_seconds: float = 75.0
    """Longer than in the pools of stock clients and load balancers (60 s), so that those close first."""

    drain_grace_seconds: float = 8.0
    """After SIGTERM connections are still accepted for so long: kube-proxy and clients learn of the change late."""

    drain_limit_seconds: float = 40.0
    """From SIGTERM to the end, at most. Below the pod's terminationGracePeriodSeconds of 45."""


@dataclass(frozen=True)
class TlsSettings:
    """The certificate of the public port and of gRPC. Empty: they speak plain."""

    dir: Path | None = None
    """A mounted Secret of type kubernetes.io/tls: tls.crt and tls.key, read again when they change."""


@dataclass(frozen=True)
class AuthenticationSettings:
    """Who may ask the public port and gRPC. Health and readiness are open to all."""

    type: Literal["Open", "ApiKey", "Jwt"] = "Open"
    api_keys_dir: Path | None = None
    """A mounted Secret: the name of each entry is who is meant, its value the key. Read again when it changes."""
    jwt_issuer: str = ""
    jwt_audiences: tuple[str, ...] = ()
    jwks_uri: str = ""
    """Empty: found by the issuer's /.well-known/openid-configuration."""


@dataclass(frozen=True)
class ObservationSettings:
    """What is written of requests apart from metrics and capture."""

    otlp_endpoint: str = ""
    """Base URL of an OpenTelemetry collector (OTLP over HTTP). Empty: no spans, but traceparent is passed on."""
    trace_percent: float = 0.0
    """Of requests without a traceparent; one that has it is traced as its sampled flag says."""
    access_log_percent: float = 0.0
    """Of requests that were answered. Failures are always written once this is above 0."""


@dataclass(frozen=True)
class Secrets:
    """The mounted serving Secret. Never logged."""

    salt: bytes = field(default=b"", repr=False)
    """For sticky hashing and block seeds."""
    token: str = field(default="", repr=False)
    """For the forward port and between peers."""
    capture_token: str = field(default="", repr=False)
    """For the collector."""


@dataclass(frozen=True)
class Settings:
    """Everything of docs/architecture.md's table, and the defaults of what nobody has needed to change."""

    namespace: str
    deployment: str
    deployment_uid: str
    role: Literal["champion", "challenger"] = "champion"
    pool: str = ""
    pod_name: str = ""
    pod_uid: str = ""
    pod_ip: str = ""
    public_keys: tuple[str, ...] = ()
    """Base64 Ed25519 keys of the operator. More than one while a key is being replaced."""
    peers_host: str = ""
    """Name that resolves to all pods that may hold the plan or its files. Empty: no peers are asked."""
    record_dir: Path = Path("/etc/podium/record")
    secret_dir: Path = Path("/etc/podium/secret")
    cache_dir: Path = Path("/var/lib/podium")
    insecure_registries: tuple[str, ...] = ()
    """Registry hosts that are spoken to by plain HTTP."""
    memory_limit_bytes: int = 0
    """0: no limit."""
    cpu_limit: float = 0.0
    """Cores. 0: no limit."""
    http_port: int = HTTP_PORT
    control_port: int = CONTROL_PORT
    forward_port: int = FORWARD_PORT
    grpc_port: int | None = GRPC_PORT
    """None: no gRPC."""
    workers: int = 1
    """Processes of this pod that serve, each with its own copy of the model."""
    outside_training: OutsideTraining = "Warn"
    """What /score does with a value outside of the range or categories that training saw."""
    bind: str = "0.0.0.0"  # noqa: S104  a pod is reached by its address; NetworkPolicy limits who
    model: ModelSettings = ModelSettings()
    http: HttpSettings = HttpSettings()
    tls: TlsSettings = TlsSettings()
    authentication: AuthenticationSettings = AuthenticationSettings()
    observation: ObservationSettings = ObservationSettings()
    secrets: Secrets = field(default_factory=Secrets, repr=False)
