"""How a call ends: gRPC's status codes, and the header blocks that say them. Pure.

Source: https://github.com/grpc/grpc, doc/statuscodes.md and doc/PROTOCOL-HTTP2.md.
"""

from enum import IntEnum
from functools import lru_cache

from podium_serving.exchange import Answer, ServingError
from podium_serving.http.requests import header_safe
from podium_serving.rpc.http2.headers import STATUS_200, literal


class Code(IntEnum):
    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


class Unimplemented(ServingError):
    """No such call here, or not in this form."""

    http_status = 501
    reason = "Unimplemented"


_BY_HTTP_STATUS = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    408: Code.DEADLINE_EXCEEDED,
    413: Code.RESOURCE_EXHAUSTED,
    429: Code.UNAVAILABLE,
    501: Code.UNIMPLEMENTED,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}
_MAX_SENTENCE = 4096
"""Clients take 8 KB of headers unless told otherwise."""

ENCODINGS = "identity,deflate,gzip"
HEAD = STATUS_200 + literal("content-type", "application/grpc") + literal("grpc-accept-encoding", ENCODINGS)
"""What every response begins with."""
OK = literal("grpc-status", "0")
"""The trailers of a call that was answered."""


def code_of(error: ServingError) -> Code:
    return _BY_HTTP_STATUS.get(error.http_status, Code.INTERNAL if error.http_status >= 500 else Code.INVALID_ARGUMENT)


def trailers(error: ServingError, request_id: str = "") -> bytes:
    """Of a call that failed. As the only header block they need HEAD in front."""
    block = literal("grpc-status", str(code_of(error).value)) + literal("grpc-message", percent_encoded(str(error)))
    if error.retry_after_seconds is not None:
        block += literal("grpc-retry-pushback-ms", str(error.retry_after_seconds * 1000))
    return block + (literal("podium-request-id", header_safe(request_id)) if request_id else b"")


def answer_head(answer: Answer, request_id: str) -> bytes:
    """The header block of an answered inference, which says who answered."""
    return _answer_head(answer.version, answer.epoch, answer.arm_answered, answer.fallback) + literal(
        "podium-request-id", header_safe(request_id)
    )


@lru_cache(maxsize=64)
def _answer_head(version: str, epoch: int, arm: str, fallback: str) -> bytes:
    block = HEAD + literal("podium-version", header_safe(version)) + literal("podium-epoch", str(epoch))
    block += literal("podium-arm", header_safe(arm))
    return block + (literal("podium-fallback", str(fallback)) if fallback else b"")


def percent_encoded(sentence: str) -> str:
    """`grpc-message`: UTF-8, where all but printable ASCII, and the percent sign, are percent-encoded."""
    if sentence.isascii() and sentence.isprintable() and "%" not in sentence:
        return sentence[:_MAX_SENTENCE]
    encoded = "".join(chr(byte) if 0x20 <= byte <= 0x7E and byte != 0x25 else f"%{byte:02X}" for byte in sentence.encode())
    cut = encoded[:_MAX_SENTENCE]
    half = cut.rfind("%", -2)
    return cut if half < 0 or len(cut) < _MAX_SENTENCE else cut[:half]
