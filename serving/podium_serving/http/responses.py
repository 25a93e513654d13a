"""Bytes of responses that the lane writes itself. Pure."""

from functools import lru_cache
from http import HTTPStatus

import msgspec

from podium_serving.exchange import Answer, ServingError
from podium_serving.http.dialects.dialect import Written
from podium_serving.http.requests import header_safe

_json = msgspec.json.Encoder().encode


class BodyTooLarge(ServingError):
    http_status = 413
    reason = "BodyTooLarge"

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)
        self.size, self.limit = size, limit

    def __str__(self) -> str:
        return f"the body has {self.size} bytes or more, at most {self.limit} are taken; send fewer rows at a time"


class HeadTooLarge(ServingError):
    http_status = 431
    reason = "HeadTooLarge"


class BodyTooSlow(ServingError):
    http_status = 408
    reason = "BodyTooSlow"


class Unauthorized(ServingError):
    http_status = 401
    reason = "Unauthorized"


@lru_cache(maxsize=64)
def _answer_head(version: str, epoch: int, arm: str) -> bytes:
    return (
        "HTTP/1.1 200 OK\r\n"
        f"podium-version: {header_safe(version)}\r\npodium-epoch: {epoch}\r\npodium-arm: {header_safe(arm)}\r\n"
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
    extra = f"podium-fallback: {answer.fallback}\r\n" if answer.fallback else ""
    if timings:
        extra += (
            f"podium-inference-microseconds: {answer.inference_seconds * 1e6:.0f}\r\n"
            f"podium-queue-microseconds: {answer.queue_seconds * 1e6:.0f}\r\n"
        )
    if close:
        extra += "connection: close\r\n"
    tail = f"podium-request-id: {header_safe(request_id)}\r\n{extra}content-length: {len(written.body)}\r\ncontent-type: "
    head = _answer_head(answer.version, answer.epoch, answer.arm_answered)
    return b"%b%b%b\r\n%b\r\n%b" % (head, tail.encode("ascii"), written.content_type, written.headers, written.body)


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
