"""What the lane reads from a request's head. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from mypy_extensions import mypyc_attr

from podium_serving.exchange import InvalidRequest

RawHeaders = list[tuple[bytes, bytes]]
"""Lower-case names, as the parser gives them."""

_MAX_ID = 128


_CREDENTIALS = frozenset({b"authorization", b"proxy-authorization", b"x-api-key", b"cookie"})


_OF_CLIENTS = frozenset({b"podium-capture"})


def _is_told(name: bytes) -> bool:
    return name not in _CREDENTIALS and (not name.startswith(b"podium-") or name in _OF_CLIENTS)


class ClientHeaders(Mapping[str, str]):
    """Header values by lower-case name, decoded when asked: most requests are answered without a look.

    Neither podium-* ones, which but for one are not the client's to send, nor credentials, which would become a sticky key,
    and so be captured."""

    __slots__ = ("_raw",)

    def __init__(self, raw: RawHeaders) -> None:
        self._raw = raw

    def __getitem__(self, name: str) -> str:
        """Values of a repeated header are joined by commas, as HTTP says."""
        wanted = name.encode("latin-1", "replace")
        if _is_told(wanted):
            values = [value.decode("latin-1") for raw_name, value in self._raw if raw_name == wanted]
            if values:
                return ", ".join(values)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        names = dict.fromkeys(name for name, _ in self._raw if _is_told(name))
        return (name.decode("latin-1") for name in names)

    def __len__(self) -> int:
        return sum(1 for _ in self)


@dataclass(slots=True)
class Head:
    """The headers that the lane itself acts on."""

    content_length: int = 0
    content_encoding: bytes = b""
    """gzip or deflate: what the body is packed in. Empty: nothing."""
    inference_header_length: int | None = None
    """Bytes of JSON that the body begins with, where binary tensors follow it."""
    timeout_milliseconds: int | None = None
    deadline_milliseconds: int | None = None
    request_id: str = ""
    """X-Request-Id; on the forward port Podium-Request-Id."""
    arm: str = ""
    mirror: bool = False
    authorization: bytes = b""
    api_key: bytes = b""
    traceparent: bytes = b""
    tracestate: bytes = b""
    refusal: InvalidRequest | None = None
    """Something in the headers cannot be served."""


@mypyc_attr(native_class=False)
class UnsupportedMedia(InvalidRequest):
    http_status = 415
    reason = "UnsupportedMedia"


_READ = frozenset(
    {
        b"content-length",
        b"content-encoding",
        b"inference-header-content-length",
        b"authorization",
        b"x-api-key",
        b"traceparent",
        b"tracestate",
        b"x-request-id",
        b"podium-timeout-milliseconds",
        b"podium-deadline-milliseconds",
        b"podium-request-id",
        b"podium-arm",
        b"podium-mirror",
    }
)


_ENCODINGS = {b"identity": b"", b"gzip": b"gzip", b"x-gzip": b"gzip", b"deflate": b"deflate"}


def read_head(headers: RawHeaders, *, forwarded: bool) -> Head:
    """On the public port only Podium-Timeout-Milliseconds is taken of a client's podium-* headers."""
    head = Head()
    for name, value in headers:
        if name in _READ:
            _take(head, name, value, forwarded)
    return head


def _take(head: Head, name: bytes, value: bytes, forwarded: bool) -> None:
    match name:
        case b"content-length":
            head.content_length = int(value) if value.isdigit() and len(value) < 19 else 0
        case b"content-encoding":
            encoding = _ENCODINGS.get(value.strip().lower())
            if encoding is None or head.content_encoding:
                head.refusal = UnsupportedMedia(
                    f"content-encoding {value.decode('latin-1')[:80]!r} is not taken; gzip, deflate and identity are, once"
                )
            else:
                head.content_encoding = encoding
        case b"inference-header-content-length":
            if head.inference_header_length is None and value.isdigit() and len(value) < 19:
                head.inference_header_length = int(value)
            else:
                head.refusal = InvalidRequest(
                    f"Inference-Header-Content-Length is {value.decode('latin-1')[:80]!r}, must be there once, "
                    f"and say how many bytes of JSON the body begins with"
                )
        case b"podium-timeout-milliseconds":
            if value.isdigit() and 0 < len(value) < 10 and int(value) > 0:
                head.timeout_milliseconds = int(value)
            else:
                head.refusal = InvalidRequest(
                    f"Podium-Timeout-Milliseconds is {value.decode('latin-1')!r}, must be a positive integer"
                )
        case b"x-request-id":
            head.request_id = head.request_id or value.decode("latin-1")
        case b"authorization":
            head.authorization = value
        case b"x-api-key":
            head.api_key = value
        case b"traceparent":
            head.traceparent = value
        case b"tracestate":
            head.tracestate = head.tracestate + b"," + value if head.tracestate else value
        case _ if forwarded:
            _take_forwarded(head, name, value)


def _take_forwarded(head: Head, name: bytes, value: bytes) -> None:
    if name == b"podium-deadline-milliseconds" and value.isdigit() and len(value) < 10:
        head.deadline_milliseconds = int(value)
    elif name == b"podium-request-id":
        head.request_id = value.decode("latin-1")
    elif name == b"podium-arm":
        head.arm = value.decode("latin-1")
    elif name == b"podium-mirror":
        head.mirror = value == b"1"


_OFFERS = (b"upgrade", b"http2-settings", b"connection")


def without_offer(method: bytes, url: bytes, headers: RawHeaders) -> bytes:
    """The bytes of a request's head that offers no other protocol."""
    kept = [(name, value) for name, value in headers if name not in _OFFERS]
    if any(name == b"connection" and b"close" in value.lower() for name, value in headers):
        kept.append((b"connection", b"close"))
    lines = b"".join(b"%b: %b\r\n" % header for header in kept)
    return b"%b %b HTTP/1.1\r\n%b\r\n" % (method, url, lines)


def header_safe(text: str) -> str:
    """`text` as a header value: what is no printable ASCII is percent-encoded, so an id cannot add headers."""
    if text.isascii() and text.isprintable() and len(text) <= _MAX_ID:
        return text
    return quote(text)[:_MAX_ID]
