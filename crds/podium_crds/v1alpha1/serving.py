"""How scoring pods answer: batching, processes, who may ask, and what is written of requests.

Apart from `model_deployment` because all of it goes to the pods' environment and mounts, and none of it into a plan: a
change rolls the pods.
"""

from typing import Annotated, Literal

from pydantic import Field

from podium_crds.v1alpha1.meta import Kubernetes, SecretRef, text

_HOST = r"([A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])"
_PORT = r"(:[0-9]{1,5})?"
_PATH = r"(/[-A-Za-z0-9._~%!$&()*+,;=:@/]*)?"
Url = Annotated[
    str,
    text(
        rf"^https?://{_HOST}{_PORT}{_PATH}$",
        "is no address: write https://<host>/<path>, without credentials, query and fragment",
        max_length=512,
    ),
]
Audience = Annotated[
    str, text(r"^[!-+\--~]+$", "is no audience: use printable characters without spaces and commas", max_length=256)
]
ExecutionProvider = Literal["Cpu", "Cuda", "TensorRt"]


class Batching(Kubernetes):
    """How waiting requests are joined into one run of the model. There is no window: none waits for company."""

    max_batch_rows: Annotated[int, Field(ge=1, le=65_536)] | None = None
    """Rows of one run, at most; 1 joins nothing. A single request may have more. Absent: 256."""
    max_queue_rows: Annotated[int, Field(ge=1, le=1_048_576)] | None = None
    """Rows that may wait. Beyond it requests are answered 503 with Retry-After. Absent: 4096."""


class Hooks(Kubernetes):
    """How transform.py of a built version runs."""

    processes: Annotated[int, Field(ge=1, le=16)] | None = None
    """Processes that run it, for each worker. Each has its own memory. Absent: 1."""
    timeout_milliseconds: Annotated[int, Field(ge=1, le=300_000)] | None = None
    """One call, at most. Then its process is killed and made anew. Absent: 5000."""


class Tls(Kubernetes):
    """The certificate of the public port and of gRPC."""

    secret_ref: SecretRef
    """A kubernetes.io/tls Secret: tls.crt and tls.key. A renewed one is taken up without a restart."""


class ApiKey(Kubernetes):
    """Callers show a key: `Authorization: Bearer <key>` or `X-Api-Key: <key>`."""

    secret_ref: SecretRef
    """An Opaque Secret: an entry's name is who is meant, its value the key, of 22 to 512 characters. A changed one is
    taken up without a restart."""


class Jwt(Kubernetes):
    """Callers show a token of an OpenID Connect issuer: `Authorization: Bearer <token>`."""

    issuer: Url
    """What `iss` must say, letter by letter."""
    audiences: Annotated[list[Audience], Field(min_length=1, max_length=10)]
    """`aud` must name one of them."""
    jwks_uri: Url | None = None
    """Where the issuer's keys are. Absent: found by the issuer's /.well-known/openid-configuration. The pods' NetworkPolicy
    opens the port of this address, or of the issuer's where it is absent."""


class Authentication(Kubernetes):
    """Who may ask the public port and gRPC. Health is open to all."""

    type: Literal["Open", "ApiKey", "Jwt"] = "Open"
    """Open: whoever reaches it."""
    api_key: ApiKey | None = None
    """ApiKey only, and required there."""
    jwt: Jwt | None = None
    """Jwt only, and required there."""


class Tracing(Kubernetes):
    """Where OpenTelemetry spans go. Without it `traceparent` is passed on and nothing is written."""

    otlp_endpoint: Url
    """Base address of a collector that takes OTLP over HTTP: http://otel-collector.observability:4318."""
    percent: Annotated[int, Field(ge=0, le=100)] = 0
    """Of the requests without a traceparent; one that has it is traced as its sampled flag says."""


class AccessLog(Kubernetes):
    """Lines of JSON on the pods' standard output, one for each request."""

    percent: Annotated[int, Field(ge=1, le=100)] = 100
    """Of the requests that were answered. Failures are always written."""
