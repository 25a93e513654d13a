"""One inference request and its answer, between HTTP, traffic and the model. Data only: no framework, no I/O.

What is made per request is a plain class that writes its `__init__` out: compiled (hack/compiled) it is made and read at the
speed of C, where a dataclass or a Struct is another library's.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Protocol

import numpy.typing as npt
from mypy_extensions import mypyc_attr

Columns = dict[str, npt.NDArray[Any]]
"""Tensors by name; the first axis of each is rows. BYTES are object arrays of str (or bytes where not UTF-8)."""

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_NO_PARAMETERS: Mapping[str, Any] = MappingProxyType({})
_NO_OUTPUTS: frozenset[str] = frozenset()


@mypyc_attr(native_class=False)
class ServingError(Exception):
    """Base of all errors that a client may see. A Python class even where it is compiled: those that derive from it override
    its attributes. `http_status` is a plain number; str() is the sentence the client reads."""

    http_status = 500
    reason = "InternalError"
    retry_after_seconds: int | None = None


@mypyc_attr(native_class=False)
class InvalidRequest(ServingError):
    """The request does not fit the protocol or the model. Retrying is useless: the caller has to change it."""

    http_status = 400
    reason = "InvalidRequest"


@mypyc_attr(native_class=False)
class NotFound(ServingError):
    """No such model, version or path here."""

    http_status = 404
    reason = "NotFound"


@mypyc_attr(native_class=False)
class HookFailed(ServingError):
    """transform.py raised, answered what does not fit, or took too long. The text names hook, file and line."""

    reason = "TransformFailed"


@mypyc_attr(native_class=False)
class DeadlineExceeded(ServingError):
    http_status = 504
    reason = "DeadlineExceeded"


@mypyc_attr(native_class=False)
class NotServing(ServingError):
    """This pod has no committed plan (starting), or is going away."""

    http_status = 503
    reason = "NotServing"
    retry_after_seconds = 1


@mypyc_attr(native_class=False)
class Overloaded(ServingError):
    http_status = 503
    reason = "Overloaded"
    retry_after_seconds = 1


class InferRequest:
    """A parsed and validated Open Inference Protocol request."""

    def __init__(
        self,
        columns: Columns,
        rows: int,
        admitted_at: float,
        deadline: float,
        request_id: str,
        headers: Mapping[str, str] = _NO_HEADERS,
        pinned_version: str = "",
        wanted_outputs: tuple[str, ...] = (),
        binary_outputs: frozenset[str] = _NO_OUTPUTS,
        parameters: Mapping[str, Any] = _NO_PARAMETERS,
        recorded: bool = True,
        traceparent: str = "",
        tracestate: str = "",
    ) -> None:
        self.columns = columns
        self.rows = rows
        self.admitted_at = admitted_at
        """Monotonic seconds when the request's head was read: the moment of admission under the plan of that turn."""
        self.deadline = deadline
        """Monotonic seconds. Later answers are 504."""
        self.request_id = request_id
        """The client's id, or one that was made here."""
        self.headers = headers
        """Lower-case names. A client's own podium-* headers are not in it."""
        self.pinned_version = pinned_version
        """The version that the client named in the path, which is the champion's. Then only the champion may answer: such a
        request is never split (it may be mirrored and captured)."""
        self.wanted_outputs = wanted_outputs
        """Outputs that the client asked for; empty: all. The answer's columns may hold more: the encoder leaves them out."""
        self.binary_outputs = binary_outputs
        """Outputs that the client asked for as binary tensors."""
        self.parameters = parameters
        self.recorded = recorded
        """False: asked for its reasons only, so nobody acts on this answer: it is neither captured nor mirrored, and its
        time is not that of a prediction."""
        self.traceparent = traceparent
        """W3C trace context of the request, made here where the client sent none and it is traced. Header-safe."""
        self.tracestate = tracestate
        """What other tracing systems want passed on with it. Header-safe, too."""
        self.arm = ""
        """On the forward port: in whose name the other pod asks."""
        self.mirror = False
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

    def said_of(self, row: int) -> Columns:
        """Outputs of one row."""

    def of(self, name: str) -> list[bytes]:
        """Per row the values of output `name`, comma-separated, without brackets."""

    def outputs(self, row: int, wanted: tuple[str, ...], beginnings: Mapping[str, bytes]) -> bytes:
        """The outputs of one row as the protocol writes them, comma-separated."""


class Answer:
    """What goes back to the client, whoever answered."""

    def __init__(
        self,
        version: str,
        version_digest: str,
        epoch: int,
        columns: Columns | None,
        arm_assigned: str = "champion",
        arm_answered: str = "champion",
        fallback: Fallback = Fallback.NONE,
        queue_seconds: float = 0.0,
        inference_seconds: float = 0.0,
        forward_seconds: float = 0.0,
        texts: RowTexts | None = None,
        row: int = 0,
    ) -> None:
        self.version = version
        self.version_digest = version_digest
        self.epoch = epoch
        self._columns = columns
        self.arm_assigned = arm_assigned
        """champion, or the challenger's name."""
        self.arm_answered = arm_answered
        self.fallback = fallback
        self.queue_seconds = queue_seconds
        self.inference_seconds = inference_seconds
        self.forward_seconds = forward_seconds
        self.texts = texts
        """The run that answered this one row, which is `row` of it. Then `columns` may be left out."""
        self.row = row

    @property
    def columns(self) -> Columns:
        """Outputs of all its rows. Cut out of the run when first asked for: most answers are written from its texts."""
        if self._columns is None:
            assert self.texts is not None, "an answer has columns, or a run that has them"
            self._columns = self.texts.said_of(self.row)
        return self._columns
