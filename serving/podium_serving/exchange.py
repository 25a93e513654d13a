"""One inference request and its answer, between HTTP, traffic and the model. Data only: no framework, no I/O.

What is made per request is a Struct: its constructor is C and takes a quarter of a dataclass's time.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol

import msgspec
import numpy.typing as npt

Columns = dict[str, npt.NDArray[Any]]
"""Tensors by name; the first axis of each is rows. BYTES are object arrays of str (or bytes where not UTF-8)."""


class ServingError(Exception):
    """Base of all errors that a client may see. `http_status` is a plain number; str() is the sentence the client reads."""

    http_status = 500
    reason = "InternalError"
    retry_after_seconds: int | None = None


class InvalidRequest(ServingError):
    """The request does not fit the protocol or the model. Retrying is useless: the caller has to change it."""

    http_status = 400
    reason = "InvalidRequest"


class NotFound(ServingError):
    """No such model, version or path here."""

    http_status = 404
    reason = "NotFound"


class HookFailed(ServingError):
    """transform.py raised, answered what does not fit, or took too long. The text names hook, file and line."""

    reason = "TransformFailed"


class DeadlineExceeded(ServingError):
    http_status = 504
    reason = "DeadlineExceeded"


class NotServing(ServingError):
    """This pod has no committed plan (starting), or is going away."""

    http_status = 503
    reason = "NotServing"
    retry_after_seconds = 1


class Overloaded(ServingError):
    http_status = 503
    reason = "Overloaded"
    retry_after_seconds = 1


class InferRequest(msgspec.Struct, eq=False):
    """A parsed and validated Open Inference Protocol request."""

    columns: Columns
    rows: int
    admitted_at: float
    """Monotonic seconds when the request's head was read: the moment of admission under the plan of that turn."""
    deadline: float
    """Monotonic seconds. Later answers are 504."""
    request_id: str
    """The client's id, or one that was made here."""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Lower-case names. A client's own podium-* headers are not in it."""
    pinned_version: str = ""
    """The version that the client named in the path, which is the champion's. Then only the champion may answer: such a
    request is never split (it may be mirrored and captured)."""
    wanted_outputs: tuple[str, ...] = ()
    """Outputs that the client asked for; empty: all. The answer's columns may hold more: the encoder leaves them out."""
    binary_outputs: frozenset[str] = frozenset()
    """Outputs that the client asked for as binary tensors."""
    parameters: Mapping[str, Any] = msgspec.field(default_factory=dict)
    recorded: bool = True
    """False: asked for its reasons only, so nobody acts on this answer: it is neither captured nor mirrored, and its time
    is not that of a prediction."""
    traceparent: str = ""
    """W3C trace context of the request, made here where the client sent none and it is traced. Header-safe."""
    tracestate: str = ""
    """What other tracing systems want passed on with it. Header-safe, too."""
    arm: str = ""
    """On the forward port: in whose name the other pod asks."""
    mirror: bool = False
    """On the forward port: a shadow's copy, whose answer no client sees."""


class Fallback(StrEnum):
    """Why the champion answered a request that was assigned to a challenger, or was kept from assignment."""

    NONE = ""
    TIMEOUT = "Timeout"
    ERROR = "Error"
    BAD_ANSWER = "BadAnswer"
    BREAKER_OPEN = "BreakerOpen"
    TOO_MANY_IN_FLIGHT = "TooManyInFlight"
    BODY_TOO_LARGE = "BodyTooLarge"
    MIXED_KEYS = "MixedKeys"
    MISSING_KEY = "MissingKey"
    NO_TIME_LEFT = "NoTimeLeft"


class RowTexts(Protocol):
    """A run whose parts were single rows, and JSON of its outputs, written once for all who read them
    (podium_serving.oip.rows)."""

    rows: int
    asked: Columns
    """Inputs of all rows."""
    said: Columns
    """Outputs of all rows."""

    def of(self, name: str) -> list[bytes]:
        """Per row the values of output `name`, comma-separated, without brackets."""

    def outputs(self, row: int, wanted: tuple[str, ...], beginnings: Mapping[str, bytes]) -> bytes:
        """The outputs of one row as the protocol writes them, comma-separated."""


class Answer(msgspec.Struct, eq=False):
    """What goes back to the client, whoever answered."""

    version: str
    version_digest: str
    epoch: int
    columns: Columns
    arm_assigned: str = "champion"
    """champion, or the challenger's name."""
    arm_answered: str = "champion"
    fallback: Fallback = Fallback.NONE
    queue_seconds: float = 0.0
    inference_seconds: float = 0.0
    forward_seconds: float = 0.0
    texts: RowTexts | None = None
    """JSON of the run that answered this one row, which is `row` of it. None: `columns` are all there is."""
    row: int = 0
