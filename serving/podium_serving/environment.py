"""Reads the settings from PODIUM_* variables (docs/architecture.md lists them), and says which is missing or wrong."""

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

from podium_crds.names import CONTROL_PORT, FORWARD_PORT, GRPC_PORT, HTTP_PORT
from podium_serving.settings import (
    AuthenticationSettings,
    HttpSettings,
    InvalidSettings,
    ModelSettings,
    ObservationSettings,
    OutsideTraining,
    Provider,
    Secrets,
    Settings,
    TlsSettings,
)


def settings_from(environment: Mapping[str, str]) -> Settings:
    """Settings of `serve`. Raises InvalidSettings naming the first variable that is missing or wrong."""
    secret_dir = Path(environment.get("PODIUM_SECRET_DIR") or "/etc/podium/secret")
    cpu_limit = _number(environment, "PODIUM_CPU_LIMIT", 0.0)
    settings = Settings(
        namespace=_required(environment, "PODIUM_NAMESPACE"),
        deployment=_required(environment, "PODIUM_DEPLOYMENT"),
        deployment_uid=_required(environment, "PODIUM_DEPLOYMENT_UID"),
        role=_one_of(environment, "PODIUM_ROLE", ("champion", "challenger"), "champion"),
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
        grpc_port=int(_number(environment, "PODIUM_GRPC_PORT", GRPC_PORT)),
        workers=max(1, int(_number(environment, "PODIUM_WORKERS", 1))),
        outside_training=_one_of(environment, "PODIUM_OUTSIDE_TRAINING", get_args(OutsideTraining), "Warn"),
        bind=environment.get("PODIUM_BIND") or "0.0.0.0",  # noqa: S104
        model=_model(environment, cpu_limit),
        http=HttpSettings(
            drain_grace_seconds=_number(environment, "PODIUM_DRAIN_SECONDS", HttpSettings.drain_grace_seconds)
        ),
        secrets=read_secrets(secret_dir),
    )
    return with_entrance(settings, environment)


def with_entrance(settings: Settings, environment: Mapping[str, str]) -> Settings:
    """The settings with the certificate, keys, log and tracing of the environment: how a laptop tries them out.

    Raises InvalidSettings.
    """
    return replace(
        settings,
        tls=TlsSettings(_path(environment, "PODIUM_TLS_DIR")),
        authentication=_authentication(environment),
        observation=_observation(environment),
    )


def _observation(environment: Mapping[str, str]) -> ObservationSettings:
    return ObservationSettings(
        otlp_endpoint=_url(environment, "PODIUM_OTLP_ENDPOINT"),
        trace_percent=_percent(environment, "PODIUM_TRACE_PERCENT"),
        access_log_percent=_percent(environment, "PODIUM_ACCESS_LOG_PERCENT"),
    )


def _percent(environment: Mapping[str, str], name: str) -> float:
    value = _number(environment, name, 0.0)
    if value > 100:
        raise InvalidSettings(f"{name} is {value:g}, must be 0 to 100")
    return value


def _model(environment: Mapping[str, str], cpu_limit: float) -> ModelSettings:
    known = get_args(Provider)
    providers = _listed(environment.get("PODIUM_PROVIDERS") or "Cpu")
    for name in providers:
        if name not in known:
            raise InvalidSettings(f"PODIUM_PROVIDERS names {name!r}, must be of {', '.join(known)}")
    return ModelSettings(
        threads=max(1, math.floor(cpu_limit)),
        max_batch_rows=max(1, int(_number(environment, "PODIUM_MAX_BATCH_ROWS", ModelSettings.max_batch_rows))),
        max_queue_rows=max(1, int(_number(environment, "PODIUM_MAX_QUEUE_ROWS", ModelSettings.max_queue_rows))),
        providers=tuple(dict.fromkeys((*cast(tuple[Provider, ...], providers), "Cpu"))),
        hook_processes=max(1, int(_number(environment, "PODIUM_HOOK_PROCESSES", ModelSettings.hook_processes))),
        hook_timeout_seconds=_number(environment, "PODIUM_HOOK_TIMEOUT_SECONDS", ModelSettings.hook_timeout_seconds),
    )


def _authentication(environment: Mapping[str, str]) -> AuthenticationSettings:
    kind = _one_of(environment, "PODIUM_AUTHENTICATION", ("Open", "ApiKey", "Jwt"), "Open")
    if kind == "ApiKey":
        _required(environment, "PODIUM_API_KEYS_DIR")
    if kind == "Jwt":
        _url(environment, "PODIUM_JWKS_URI")
        if not environment.get("PODIUM_JWKS_URI"):
            _url(environment, "PODIUM_JWT_ISSUER")
        _required(environment, "PODIUM_JWT_ISSUER")
        _required(environment, "PODIUM_JWT_AUDIENCES")
    return AuthenticationSettings(
        type=cast(Literal["Open", "ApiKey", "Jwt"], kind),
        api_keys_dir=_path(environment, "PODIUM_API_KEYS_DIR"),
        jwt_issuer=environment.get("PODIUM_JWT_ISSUER", ""),
        jwt_audiences=_listed(environment.get("PODIUM_JWT_AUDIENCES", "")),
        jwks_uri=environment.get("PODIUM_JWKS_URI", ""),
    )


def _path(environment: Mapping[str, str], name: str) -> Path | None:
    text = environment.get(name, "")
    return Path(text) if text else None


def _url(environment: Mapping[str, str], name: str) -> str:
    url = environment.get(name, "")
    if url and not url.startswith(("http://", "https://")):
        raise InvalidSettings(f"{name} is {url!r}, must begin with https:// or http://")
    return url


def _one_of(environment: Mapping[str, str], name: str, allowed: tuple[str, ...], default: str) -> Any:
    value = environment.get(name) or default
    if value not in allowed:
        raise InvalidSettings(f"{name} is {value!r}, must be {', '.join(allowed[:-1])} or {allowed[-1]}")
    return value


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
