"""What a call's headers say (gRPC over HTTP/2, doc/PROTOCOL-HTTP2.md). Pure, and kept for equal headers."""

from dataclasses import dataclass, field

from podium_serving.exchange import InvalidRequest, ServingError
from podium_serving.rpc.http2.headers import RawHeaders
from podium_serving.rpc.status import Unimplemented

_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_ENCODINGS = (b"identity", b"gzip", b"deflate")
_CONNECTION_ONLY = frozenset({b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"})
_PSEUDO = frozenset({b":method", b":scheme", b":path", b":authority"})


@dataclass(slots=True)
class CallHead:
    """A call's headers, read."""

    path: bytes = b""
    """/package.Service/Method"""
    headers: RawHeaders = field(default_factory=list)
    """Without the pseudo-headers. Names are lower-case."""
    malformed: bool = False
    """No HTTP/2 request: the stream is reset."""
    http_refusal: str = ""
    """No gRPC: answered with this HTTP status."""
    refusal: ServingError | None = None
    """A call that is refused whatever its message says."""
    encoding: bytes = b"identity"
    """Of messages that say that they are compressed."""
    timeout_seconds: float | None = None
    """grpc-timeout: from the head to the end of the call."""
    timeout_milliseconds: int | None = None
    """podium-timeout-milliseconds: from the end of the message, as on the other port."""
    authorization: bytes = b""
    api_key: bytes = b""
    request_id: str = ""
    traceparent: bytes = b""
    tracestate: bytes = b""


def read_head(fields: RawHeaders) -> CallHead:
    head = CallHead()
    pseudo: dict[bytes, bytes] = {}
    for name, value in fields:
        if name[:1] == b":":
            head.malformed |= bool(head.headers) or name in pseudo or name not in _PSEUDO
            pseudo[name] = value
        else:
            head.malformed |= name in _CONNECTION_ONLY or not name or name != name.lower()
            head.headers.append((name, value))
            _take(head, name, value)
    head.path = pseudo.get(b":path", b"")
    head.malformed |= not (pseudo.get(b":method") and pseudo.get(b":scheme") and head.path)
    if pseudo.get(b":method") != b"POST":
        head.http_refusal = "405"
    elif not _is_grpc(dict(head.headers).get(b"content-type", b"")):
        head.http_refusal = "415"
    return head


def _take(head: CallHead, name: bytes, value: bytes) -> None:
    match name:
        case b"te":
            head.malformed |= value != b"trailers"
        case b"grpc-timeout":
            if value[:-1].isdigit() and len(value) <= 9 and value[-1:] in _UNITS:
                head.timeout_seconds = int(value[:-1]) * _UNITS[value[-1:]]
            else:
                head.refusal = InvalidRequest(f"grpc-timeout is {_shown(value)}, must be up to 8 digits and a unit")
        case b"grpc-encoding":
            head.encoding = value
            if value not in _ENCODINGS:
                head.refusal = Unimplemented(f"grpc-encoding {_shown(value)} is not taken; gzip and deflate are")
        case b"podium-timeout-milliseconds":
            if value.isdigit() and 0 < len(value) < 10 and int(value) > 0:
                head.timeout_milliseconds = int(value)
            else:
                head.refusal = InvalidRequest(f"podium-timeout-milliseconds is {_shown(value)}, must be a positive integer")
        case b"authorization":
            head.authorization = value
        case b"x-api-key":
            head.api_key = value
        case b"traceparent":
            head.traceparent = value
        case b"tracestate":
            head.tracestate = value
        case b"x-request-id":
            head.request_id = head.request_id or value.decode("latin-1")


def _is_grpc(content_type: bytes) -> bool:
    kind = content_type.partition(b";")[0].strip().lower()
    return kind == b"application/grpc" or kind == b"application/grpc+proto"


def _shown(value: bytes) -> str:
    return repr(value[:40].decode("latin-1"))
