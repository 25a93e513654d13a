"""What this process was told by its environment. Read once, in main; everything else gets it as an argument."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from podium_crds.names import CONTROL_PORT, FORWARD_PORT, HTTP_PORT


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

    hook_timeout_seconds: float = 5.0
    """One call of a transform.py hook, at most. Then its process is killed and made anew."""

    hook_start_seconds: float = 60.0
    """Until transform.py is imported. Heavy libraries take tens of seconds on a cold node."""


@dataclass(frozen=True)
class HttpSettings:
    """Limits of the public and the forward port."""

    max_body_bytes: int = 64 * 1024 * 1024
    """One request's body."""

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
    bind: str = "0.0.0.0"  # noqa: S104  a pod is reached by its address; NetworkPolicy limits who
    model: ModelSettings = ModelSettings()
    http: HttpSettings = HttpSettings()
    secrets: Secrets = field(default_factory=Secrets, repr=False)


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Settings of `serve`. Raises InvalidSettings naming the first variable that is missing or wrong."""
    secret_dir = Path(environment.get("PODIUM_SECRET_DIR") or "/etc/podium/secret")
    cpu_limit = _number(environment, "PODIUM_CPU_LIMIT", 0.0)
    return Settings(
        namespace=_required(environment, "PODIUM_NAMESPACE"),
        deployment=_required(environment, "PODIUM_DEPLOYMENT"),
        deployment_uid=_required(environment, "PODIUM_DEPLOYMENT_UID"),
        role=_role(environment),
        pool=environment.get("PODIUM_POOL", ""),
        pod_name=environment.get("PODIUM_POD_NAME", ""),
        pod_uid=environment.get("PODIUM_POD_UID", ""),
        pod_ip=environment.get("PODIUM_POD_IP", ""),
        public_keys=_listed(_required(environment, "PODIUM_PUBLIC_KEYS")),
        peers_host=environment.get("PODIUM_PEERS_HOST", ""),
        record_dir=Path(environment.get("PODIUM_RECORD_DIR") or "/etc/podium/record"),
        secret_dir=secret_dir,
        cache_dir=Path(environment.get("PODIUM_CACHE_DIR") or "/var/lib/podium"),
        insecure_registries=_listed(environment.get("PODIUM_INSECURE_REGISTRIES", "")),
        memory_limit_bytes=int(_number(environment, "PODIUM_MEMORY_LIMIT_BYTES", 0)),
        cpu_limit=cpu_limit,
        http_port=int(_number(environment, "PODIUM_HTTP_PORT", HTTP_PORT)),
        control_port=int(_number(environment, "PODIUM_CONTROL_PORT", CONTROL_PORT)),
        forward_port=int(_number(environment, "PODIUM_FORWARD_PORT", FORWARD_PORT)),
        bind=environment.get("PODIUM_BIND") or "0.0.0.0",  # noqa: S104
        model=ModelSettings(threads=max(1, math.floor(cpu_limit))),
        http=HttpSettings(
            drain_grace_seconds=_number(environment, "PODIUM_DRAIN_SECONDS", HttpSettings.drain_grace_seconds)
        ),
        secrets=read_secrets(secret_dir),
    )


def read_secrets(folder: Path) -> Secrets:
    """The serving Secret's files. Raises InvalidSettings when one is missing or empty."""
    return Secrets(
        salt=_secret_file(folder, "salt"),
        token=_secret_file(folder, "token").decode().strip(),
        capture_token=_secret_file(folder, "capture-token").decode().strip(),
    )


def _secret_file(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InvalidSettings(
            f"cannot read {path}: {error.strerror}; PODIUM_SECRET_DIR must hold salt, token and capture-token"
        ) from error
    if not content:
        raise InvalidSettings(f"{path} is empty")
    return content


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise InvalidSettings(f"{name} is not set")
    return value


def _role(environment: Mapping[str, str]) -> Literal["champion", "challenger"]:
    role = environment.get("PODIUM_ROLE") or "champion"
    if role == "champion":
        return "champion"
    if role == "challenger":
        return "challenger"
    raise InvalidSettings(f"PODIUM_ROLE is {role!r}, must be champion or challenger")


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name, "")
    try:
        value = float(text) if text else float(default)
    except ValueError as error:
        raise InvalidSettings(f"{name} is {text!r}, must be a number") from error
    if not 0 <= value < math.inf:
        raise InvalidSettings(f"{name} is {text!r}, must not be negative")
    return value


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
