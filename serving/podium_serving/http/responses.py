"""Bytes of responses that the lane writes itself. Pure."""

from functools import lru_cache
from http import HTTPStatus

import msgspec
from mypy_extensions import mypyc_attr

from podium_serving.exchange import Answer, ServingError
from podium_serving.http.dialects.dialect import Written
from podium_serving.http.requests import header_safe

_json = msgspec.json.Encoder().encode
_CLOSE = b"connection: close\r\n"


@mypyc_attr(native_class=False)
class BodyTooLarge(ServingError):
    http_status = 413
    reason = "BodyTooLarge"

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)
        self.size, self.limit = size, limit

    def __str__(self) -> str:
        return f"the body has {self.size} bytes or more, at most {self.limit} are taken; send fewer rows at a time"


@mypyc_attr(native_class=False)
class JsonTooLarge(BodyTooLarge):
    reason = "JsonTooLarge"

    def __str__(self) -> str:
        return (
            f"the body's JSON has {self.size} bytes or more, at most {self.limit} are taken; send fewer rows at a time, or "
            f"send binary tensors (Inference-Header-Content-Length) to /v2/models/{{model}}/infer, which takes more of them"
        )


@mypyc_attr(native_class=False)
class HeadTooLarge(ServingError):
    http_status = 431
    reason = "HeadTooLarge"


@mypyc_attr(native_class=False)
class BodyTooSlow(ServingError):
    http_status = 408
    reason = "BodyTooSlow"


@mypyc_attr(native_class=False)
class Unauthorized(ServingError):
    http_status = 401
    reason = "Unauthorized"


@lru_cache(maxsize=64)
def _answer_head(version: str, epoch: int, arm: str, fallback: str) -> bytes:
    extra = f"podium-fallback: {fallback}\r\n" if fallback else ""
    return (
        "HTTP/1.1 200 OK\r\n"
        f"podium-version: {header_safe(version)}\r\npodium-epoch: {epoch}\r\npodium-arm: {header_safe(arm)}\r\n{extra}"
        "podium-request-id: "
    ).encode("ascii")


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP/1.1 {status} {phrase}\r\ncontent-type: application/json\r\n".encode("ascii")


def answer_bytes(answer: Answer, written: Written, request_id: str, *, close: bool, timings: bool = False) -> bytes:
    """A whole 200 response. `timings` adds what the forwarding pod wants to know."""
    extra = _CLOSE if close else b""
    if timings:
        extra += b"podium-inference-microseconds: %d\r\npodium-queue-microseconds: %d\r\n" % (
            round(answer.inference_seconds * 1e6), round(answer.queue_seconds * 1e6),
        )  # fmt: skip
    return b"%b%b\r\n%bcontent-length: %d\r\ncontent-type: %b\r\n%b\r\n%b" % (
        _answer_head(answer.version, answer.epoch, answer.arm_answered, answer.fallback),
        header_safe(request_id).encode("ascii"),
        extra,
        len(written.body),
        written.content_type,
        written.headers,
        written.body,
    )


def error_bytes(error: ServingError, request_id: str, *, close: bool) -> bytes:
    """A whole error response: `{"error": "<sentence>"}`."""
    body = error_body(str(error))
    tail = f"podium-request-id: {header_safe(request_id)}\r\n" if request_id else ""
    if error.retry_after_seconds is not None:
        tail += f"retry-after: {error.retry_after_seconds}\r\n"
    if error.http_status == 401:
        tail += "www-authenticate: Bearer\r\n"
    if close:
        tail += "connection: close\r\n"
    return _status_line(error.http_status) + f"{tail}content-length: {len(body)}\r\n\r\n".encode("ascii") + body


def error_body(sentence: str) -> bytes:
    return _json({"error": sentence})
