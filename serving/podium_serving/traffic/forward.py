"""One exchange with another pod's forward port: columns out and columns back as binary tensors, checked.

Whatever protocol the client spoke: between pods there is one form, and reading it costs a tenth of what JSON does.
Nothing is retried here, and nothing here decides who answers. Time is bounded by the caller's budget: the whole exchange,
so a pod that hangs and one that drips its answer byte by byte are cut off alike.
"""

import asyncio
import re
import time
from dataclasses import dataclass

import numpy as np

from podium_serving.exchange import Columns, Fallback, InferRequest, InvalidRequest
from podium_serving.http.requests import header_safe
from podium_serving.observation.trace_context import child_traceparent
from podium_serving.oip.binary import Framed
from podium_serving.oip.codec import Codec
from podium_serving.traffic.wire import AnswerTooLarge, Pool, WireResponse

_ERROR_BYTES = 4096
_BYTES_PER_TEXT = 4
_NUMBER = re.compile(rb"[0-9]{1,10}")


class ForwardFailed(Exception):
    """The other pod gave no usable answer. `status` is its HTTP status if there was one; str() says what happened."""

    def __init__(self, reason: Fallback, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.status = status


@dataclass(frozen=True, slots=True)
class Errand:
    """What is asked, and of whom: `version` of `model`, in the name of `arm`."""

    model: str
    version: str
    arm: str
    max_answer_bytes: int
    finite: bool = True
    """Refuse an answer with a NaN or an infinity. The champion's own are relayed as they are."""
    mirror: bool = False


@dataclass(slots=True)
class Forwarded:
    """A checked answer."""

    columns: Columns
    queue_seconds: float
    inference_seconds: float


class Peer:
    """The forward port behind one Service host. Connects when it must and keeps connections for the next request."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        self._token = token
        self._pool = Pool(host, port)

    async def ask(
        self, errand: Errand, request: InferRequest, codec: Codec, seconds: float, *, fresh: bool = False
    ) -> Forwarded:
        """The other pod's answer within `seconds`. Raises ForwardFailed.

        `fresh` takes a new connection: a pooled one may lead to a pod that has just gone.
        """
        try:
            async with asyncio.timeout(seconds):
                packed = codec.pack_inputs(request.columns, request.wanted_outputs)
                head = self._head(errand, request, packed, seconds)
                response = await self._pool.exchange(head, packed.body, errand.max_answer_bytes, fresh=fresh)
            return _forwarded(response, errand, request, codec)
        except TimeoutError as error:
            text = f"{self._authority} gave no answer within {seconds * 1000:.0f} ms"
            raise ForwardFailed(Fallback.TIMEOUT, text) from error
        except AnswerTooLarge as error:
            raise ForwardFailed(Fallback.BAD_ANSWER, f"{self._authority}: {error}") from error
        except ForwardFailed:
            raise
        except Exception as error:  # whatever another pod manages to provoke here must not fail the client's request
            raise ForwardFailed(Fallback.ERROR, f"{self._authority}: {error!r}") from error

    def _head(self, errand: Errand, request: InferRequest, packed: Framed, seconds: float) -> bytes:
        return (
            f"POST /v2/models/{errand.model}/versions/{errand.version}/infer HTTP/1.1\r\n"
            f"host: {self._authority}\r\n"
            f"authorization: Bearer {self._token}\r\n"
            f"content-type: application/octet-stream\r\n"
            f"inference-header-content-length: {packed.header_length}\r\n"
            f"podium-deadline-milliseconds: {max(1, int(seconds * 1000))}\r\n"
            f"podium-request-id: {header_safe(request.request_id)}\r\n"
            f"podium-arm: {errand.arm}\r\n"
            f"podium-mirror: {int(errand.mirror)}\r\n"
            f"{_trace_lines(errand, request)}"
            f"content-length: {len(packed.body)}\r\n\r\n"
        ).encode("latin-1")

    def close(self) -> None:
        self._pool.close()


def _trace_lines(errand: Errand, request: InferRequest) -> str:
    """A shadow has no span of its own here, for its request is over: it belongs to the request itself."""
    if not request.traceparent:
        return ""
    parent = request.traceparent if errand.mirror else child_traceparent(request.traceparent, errand.arm)
    state = f"tracestate: {request.tracestate}\r\n" if request.tracestate else ""
    return f"traceparent: {parent}\r\n{state}"


def _forwarded(response: WireResponse, errand: Errand, request: InferRequest, codec: Codec) -> Forwarded:
    if response.status != 200:
        text = response.body[:_ERROR_BYTES].decode(errors="replace")
        raise ForwardFailed(Fallback.ERROR, text, response.status)
    columns = checked_columns(response, errand, request, codec)
    return Forwarded(columns, _seconds(response, b"queue"), _seconds(response, b"inference"))


def checked_columns(response: WireResponse, errand: Errand, request: InferRequest, codec: Codec) -> Columns:
    """The outputs that it holds: exactly those asked for, of the schema's datatypes and shapes, a row per row of the
    request, and finite where the errand asks for it. Raises ForwardFailed with BAD_ANSWER."""
    version = response.headers.get(b"podium-version", b"").decode("latin-1")
    if version != errand.version:
        raise ForwardFailed(Fallback.BAD_ANSWER, f"the answer is of version {version!r}, {errand.version!r} was asked")
    length = response.headers.get(b"inference-header-content-length", b"")
    try:
        columns = codec.decode_answer(response.body, request.rows, int(length) if _NUMBER.fullmatch(length) else None)
    except InvalidRequest as error:
        raise ForwardFailed(Fallback.BAD_ANSWER, str(error)) from error
    asked = set(request.wanted_outputs) or codec.outputs.keys()
    if columns.keys() != asked:
        raise ForwardFailed(Fallback.BAD_ANSWER, f"the answer holds {sorted(columns)}, {sorted(asked)} were asked")
    if errand.finite:
        check_finite(columns)
    return columns


def check_finite(columns: Columns) -> None:
    """Raises ForwardFailed with BAD_ANSWER."""
    for name, column in columns.items():
        if column.dtype.kind == "f" and not np.isfinite(column).all():
            raise ForwardFailed(Fallback.BAD_ANSWER, f"output '{name}' holds a null or an infinite number")


def size_of(columns: Columns) -> int:
    """About how many bytes they take on their way to another pod."""
    return sum(
        [
            column.nbytes if column.dtype != object else sum(map(_text_bytes, column.ravel().tolist()))
            for column in columns.values()
        ]
    )


def _text_bytes(cell: str | bytes) -> int:
    return len(cell) + _BYTES_PER_TEXT


def _seconds(response: WireResponse, what: bytes) -> float:
    text = response.headers.get(b"podium-" + what + b"-microseconds", b"")
    return int(text) / 1e6 if text.isdigit() and len(text) < 16 else 0.0


def left_until(deadline: float) -> float:
    """Seconds from now to `deadline` (monotonic); negative when it has passed."""
    return deadline - time.monotonic()
