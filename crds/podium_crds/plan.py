"""The plan: what every pod of a deployment answers with, and the signed messages that carry it.

The operator writes plans and signs; pods hold public keys only. A message is bound to its deployment by uid and ordered
by (term, epoch): term counts leader elections, epoch counts plans of the deployment and is never lowered. Pure: no
clock, no I/O; `now` comes in as an argument.
"""

import base64
from typing import Annotated, Any, Literal, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
)

from podium_crds.package import canonical_json, sha256_digest

CLOCK_SKEW_SECONDS = 30.0


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DeploymentKey(_Wire):
    namespace: str
    name: str
    uid: str


class PlannedVersion(_Wire):
    """A ModelVersion with the digest it is bound to: the name alone decides nothing."""

    name: str
    uri: str
    digest: str
    image: str
    """Image reference by digest."""


class PlannedChampion(_Wire):
    version: PlannedVersion
    pool: str
    """The pool whose pods hold the champion. Pods of another pool forward to `host`."""
    host: str
    """Service host of the pool's forward port, without port."""


class PlannedRoute(_Wire):
    """A challenger. `slots` are half-open ranges of the 10,000 sticky slots; empty for Shadow."""

    name: str
    version: PlannedVersion
    mode: Literal["Shadow", "Canary"]
    percent: int = Field(ge=0, le=100)
    timeout_milliseconds: int = Field(ge=1)
    host: str
    slots: list[tuple[int, int]] = Field(default_factory=list)


class PlannedSticky(_Wire):
    type: Literal["Header", "Input", "Request"] = "Request"
    name: str = ""
    """The header (lower case) or input that holds the key; empty for Request."""


class PlannedJoinKey(_Wire):
    """What labels find a captured row by. A row without such a key has the request's id, with the row's number where the
    request has several."""

    type: Literal["Sticky", "Input", "Header", "Request"] = "Sticky"
    """Sticky: as PlannedSticky says, so that what is one arm's is joined as one. Request: always by the request's id."""
    name: str = ""
    """The input, or the header (lower case). Empty for Sticky and Request."""


class PlannedCapture(_Wire):
    percent: int = Field(default=0, ge=0, le=100)
    url: str = ""
    """Where batches of events go, e.g. http://podium-monitor.podium:8090/v1/events. Empty: capture is off."""
    redact: list[str] = Field(default_factory=list)
    """Inputs and outputs that are left out of events."""
    hash: list[str] = Field(default_factory=list)
    """Inputs and outputs (and headers, where a key is made of one) whose values are captured as keyed hashes only."""
    join_key: PlannedJoinKey = PlannedJoinKey()
    always: list[Literal["Fallback", "Header"]] = Field(default_factory=list)
    """What is captured beyond the percentage, and marked so: answers in a challenger's place, and requests with the header
    Podium-Capture: always."""

    @model_serializer(mode="wrap")
    def _what_it_says(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what is not asked for: pods of an earlier scoring image, which know `percent` and `url` only, take such a
        plan during an upgrade, and refuse one that asks them to leave out what they would send."""
        found: dict[str, Any] = dump(self)
        silent = {name for name in ("redact", "hash", "always") if not found.get(name)}
        silent |= {"join_key"} if self.join_key == PlannedJoinKey() else set()
        return {name: value for name, value in found.items() if name not in silent}


class Plan(_Wire):
    deployment: DeploymentKey
    term: int = Field(ge=0)
    epoch: int = Field(ge=1)
    role: Literal["champion", "challenger"] = "champion"
    champion: PlannedChampion
    routes: list[PlannedRoute] = Field(default_factory=list)
    sticky: PlannedSticky = PlannedSticky()
    timeout_milliseconds: int = Field(default=1000, ge=1)
    capture: PlannedCapture = PlannedCapture()

    @property
    def digest(self) -> str:
        return sha256_digest(canonical_json(self.model_dump(mode="json")))

    @property
    def order(self) -> tuple[int, int]:
        """Plans compare by epoch first: an epoch is never reused, a term only tells who wrote it."""
        return (self.epoch, self.term)

    def says_the_same(self, other: "Plan") -> bool:
        """Equal but for term and epoch."""
        ignored = {"term", "epoch"}
        return self.model_dump(exclude=ignored) == other.model_dump(exclude=ignored)


class RegistryCredential(_Wire):
    """Short-lived credential for fetching. Never logged."""

    username: str = Field(default="", repr=False)
    password: str = Field(default="", repr=False)
    token: str = Field(default="", repr=False)


class Prepare(_Wire):
    """Fetch, check, load and warm the plan's champion; keep serving the committed one."""

    kind: Literal["Prepare"] = "Prepare"
    plan: Plan
    expires_at: float
    """Unix seconds. The pod refuses the message later, and drops a preparation `lapse_seconds` after it was made."""
    lapse_seconds: float = 120.0
    memory_limit_bytes: int = 0
    credential: RegistryCredential | None = None


class Commit(_Wire):
    """Flip to the plan. The durable record is a signed Commit, so it never expires; order protects from replay."""

    kind: Literal["Commit"] = "Commit"
    plan: Plan


class Abort(_Wire):
    """Drop the preparation of exactly this plan, if it is not committed."""

    kind: Literal["Abort"] = "Abort"
    deployment: DeploymentKey
    term: int
    epoch: int
    plan_digest: str
    expires_at: float


class Credential(_Wire):
    """For a starting pod that must fetch from a registry that asks for a password."""

    kind: Literal["Credential"] = "Credential"
    deployment: DeploymentKey
    credential: RegistryCredential
    expires_at: float


class Inquiry(_Wire):
    """Asks a pod for its ControlStatus."""

    kind: Literal["Inquiry"] = "Inquiry"
    deployment: DeploymentKey
    expires_at: float


Message = Annotated[Prepare | Commit | Abort | Credential | Inquiry, Field(discriminator="kind")]
_MESSAGES: TypeAdapter[Message] = TypeAdapter(Message)


class Envelope(_Wire):
    """A signed message. `body` is base64 of canonical JSON; the signature covers the decoded bytes."""

    body: str
    signature: str
    key_id: str


class MessageRefused(ValueError):
    """The message is not from this deployment's operator, or not for now. The text says which."""


class SigningKey:
    """The operator's Ed25519 key."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = public_text(private.public_key())

    @classmethod
    def generate(cls) -> Self:
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_text(cls, text: str) -> Self:
        return cls(Ed25519PrivateKey.from_private_bytes(base64.b64decode(text)))

    def to_text(self) -> str:
        """Base64 of the raw 32 bytes. Secret."""
        raw = self._private.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()
        )
        return base64.b64encode(raw).decode()

    def sign(self, message: Message) -> Envelope:
        body = canonical_json(message.model_dump(mode="json"))
        return Envelope(
            body=base64.b64encode(body).decode(),
            signature=base64.b64encode(self._private.sign(body)).decode(),
            key_id=key_id(self.public),
        )


def public_text(public: Ed25519PublicKey) -> str:
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(raw).decode()


def key_id(public: str) -> str:
    return sha256_digest(public.encode())[7:23]


def open_envelope(envelope: Envelope, public_keys: list[str], deployment_uid: str, now: float) -> Message:
    """The message inside, if one of `public_keys` (base64) signed it for this deployment and it has not expired.

    Raises MessageRefused.
    """
    body = _verified_body(envelope, public_keys)
    try:
        message = _MESSAGES.validate_json(body)
    except ValidationError as error:
        raise MessageRefused(
            f"the signed message is not one this version understands: {error.errors()[0]['msg']}"
        ) from error
    deployment = message.plan.deployment if isinstance(message, Prepare | Commit) else message.deployment
    if deployment.uid != deployment_uid:
        raise MessageRefused(f"the message is for deployment uid {deployment.uid}, this pod belongs to {deployment_uid}")
    expires_at: Any = getattr(message, "expires_at", None)
    if expires_at is not None and now > expires_at + CLOCK_SKEW_SECONDS:
        raise MessageRefused(f"the {message.kind} message expired {now - expires_at:.0f} s ago")
    return message


def _verified_body(envelope: Envelope, public_keys: list[str]) -> bytes:
    try:
        body = base64.b64decode(envelope.body, validate=True)
        signature = base64.b64decode(envelope.signature, validate=True)
    except ValueError as error:
        raise MessageRefused("the envelope is not base64") from error
    for public in public_keys:
        if key_id(public) != envelope.key_id:
            continue
        try:
            Ed25519PublicKey.from_public_bytes(base64.b64decode(public)).verify(signature, body)
        except InvalidSignature:
            continue
        return body
    raise MessageRefused(f"no known key with id {envelope.key_id[:40]!r} made this signature")


class HeldPlan(_Wire):
    term: int
    epoch: int
    plan_digest: str
    version: str
    version_digest: str


class Failure(_Wire):
    """Why a preparation failed. Version: aborts for all pods. Pod: this pod is replaced and vetoes nothing."""

    fault: Literal["Version", "Pod"]
    reason: str
    """One CamelCase word: DigestMismatch, GoldenRowsFailed, LoadFailed, FetchFailed, OutOfMemory, ..."""
    message: str
    plan_digest: str


class Flip(_Wire):
    """When this process went from one epoch to the next, Unix seconds. None: no request was admitted on that side."""

    from_epoch: int | None
    to_epoch: int
    flipped_at: float
    last_admitted_old: float | None = None
    first_admitted_new: float | None = None


class ControlStatus(_Wire):
    """What a pod answers to every control message."""

    pod_uid: str
    process_id: str
    """Made at process start: a container restarted in place has a new one."""
    pool: str
    ready: bool
    committed: HeldPlan | None = None
    preparing: HeldPlan | None = None
    prepared: HeldPlan | None = None
    failure: Failure | None = None
    flip: Flip | None = None
    open_requests: dict[int, int] = Field(default_factory=dict)
    """Requests in flight by the epoch that admitted them."""
    memory_bytes: int = 0


class PeerState(_Wire):
    """What pods of one deployment tell each other."""

    committed: Envelope | None = None
    preparing_epoch: int | None = None
    """A newer plan is being prepared or is prepared here: a starting peer waits for its outcome."""
