"""How spec.serving reaches the serving process: variables, mounted Secrets, the scheme of the public port. Pure.

What the spec leaves open is no variable: then the scoring image's own default holds, and an upgrade that changes none of
these rolls no pod.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from podium_crds.v1alpha1.model_deployment import Serving
from podium_operator.kinds import Manifest

TLS_DIR = "/etc/podium/tls"
API_KEYS_DIR = "/etc/podium/api-keys"


@dataclass(frozen=True)
class MountedSecret:
    """A Secret of the user's that scoring pods cannot start without."""

    volume: str
    name: str
    path: str
    field: str
    """Where spec names it."""
    holds: str
    """What a person has to put there."""


def mounted_secrets(serving: Serving) -> list[MountedSecret]:
    found = []
    if serving.tls is not None:
        holds = "of type kubernetes.io/tls, with tls.crt and tls.key"
        found.append(MountedSecret("tls", serving.tls.secret_ref.name, TLS_DIR, "spec.serving.tls", holds))
    if serving.authentication.api_key is not None:
        name, field = serving.authentication.api_key.secret_ref.name, "spec.serving.authentication.apiKey"
        holds = "with one entry for each caller: its name, and a key of 22 to 512 characters as the value"
        found.append(MountedSecret("api-keys", name, API_KEYS_DIR, field, holds))
    return found


def engine_environment(serving: Serving) -> dict[str, str]:
    """Variables for what the spec says and a scoring image would not do by itself."""
    return {
        **({"PODIUM_WORKERS": str(serving.workers)} if serving.workers > 1 else {}),
        **_running(serving),
        **({"PODIUM_OUTSIDE_TRAINING": serving.outside_training} if serving.outside_training != "Warn" else {}),
        **({"PODIUM_TLS_DIR": TLS_DIR} if serving.tls else {}),
        **_authentication(serving),
        **_observation(serving),
    }


def _running(serving: Serving) -> dict[str, str]:
    found: dict[str, str] = {}
    if serving.batching is not None and serving.batching.max_batch_rows is not None:
        found["PODIUM_MAX_BATCH_ROWS"] = str(serving.batching.max_batch_rows)
    if serving.batching is not None and serving.batching.max_queue_rows is not None:
        found["PODIUM_MAX_QUEUE_ROWS"] = str(serving.batching.max_queue_rows)
    if serving.execution_providers:
        found["PODIUM_PROVIDERS"] = ",".join(serving.execution_providers)
    if serving.hooks is not None and serving.hooks.processes is not None:
        found["PODIUM_HOOK_PROCESSES"] = str(serving.hooks.processes)
    if serving.hooks is not None and serving.hooks.timeout_milliseconds is not None:
        found["PODIUM_HOOK_TIMEOUT_SECONDS"] = str(serving.hooks.timeout_milliseconds / 1000)
    return found


def _authentication(serving: Serving) -> dict[str, str]:
    asked = serving.authentication
    if asked.api_key is not None:
        return {"PODIUM_AUTHENTICATION": "ApiKey", "PODIUM_API_KEYS_DIR": API_KEYS_DIR}
    if asked.jwt is not None:
        return {
            "PODIUM_AUTHENTICATION": "Jwt",
            "PODIUM_JWT_ISSUER": asked.jwt.issuer,
            "PODIUM_JWT_AUDIENCES": ",".join(asked.jwt.audiences),
            **({"PODIUM_JWKS_URI": asked.jwt.jwks_uri} if asked.jwt.jwks_uri else {}),
        }
    return {}


def _observation(serving: Serving) -> dict[str, str]:
    found = {}
    if serving.tracing is not None:
        found["PODIUM_OTLP_ENDPOINT"] = serving.tracing.otlp_endpoint
        found["PODIUM_TRACE_PERCENT"] = str(serving.tracing.percent)
    if serving.access_log is not None:
        found["PODIUM_ACCESS_LOG_PERCENT"] = str(serving.access_log.percent)
    return found


def volumes(serving: Serving) -> list[Manifest]:
    """Not optional: a pod must not answer without the certificate or the keys that it was to ask for."""
    return [
        {"name": secret.volume, "secret": {"secretName": secret.name, "optional": False, "defaultMode": 0o440}}
        for secret in mounted_secrets(serving)
    ]


def mounts(serving: Serving) -> list[Manifest]:
    """Whole folders: a mount of single files would never show a renewed certificate."""
    return [{"name": secret.volume, "mountPath": secret.path, "readOnly": True} for secret in mounted_secrets(serving)]


def called_ports(serving: Serving) -> set[int]:
    """Ports of the servers that pods call because of these settings: the issuer's keys, the collector of spans."""
    jwt = serving.authentication.jwt
    issuer = [] if jwt is None else [jwt.jwks_uri or jwt.issuer]
    collector = [serving.tracing.otlp_endpoint] if serving.tracing is not None else []
    return {url_port(url) for url in [*issuer, *collector]}


def url_port(url: str) -> int:
    """The port of an http:// or https:// address."""
    parts = urlsplit(url)
    return parts.port or (443 if parts.scheme == "https" else 80)
