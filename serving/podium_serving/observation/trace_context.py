"""W3C Trace Context (https://www.w3.org/TR/trace-context/): read from a request's head, passed on to other pods. Pure."""

import re
from dataclasses import dataclass
from hashlib import blake2b

_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]*)?")
_LENGTH = 55
TRACE_ID, PARENT_ID = slice(3, 35), slice(36, 52)
_NO_TRACE, _NO_SPAN = b"0" * 32, b"0" * 16
_SAMPLED = 0x01
MOST_STATE_CHARACTERS = 512
"""What section 3.3.1.5 asks every system to pass on, at least."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One request of a trace that is recorded."""

    trace_id: str
    span_id: str
    """Of the span that this pod makes of the request."""
    parent_id: str = ""
    """Empty: the trace begins here."""
    state: str = ""

    @property
    def traceparent(self) -> str:
        """What those that are asked on behalf of this request get to read."""
        return f"00-{self.trace_id}-{self.span_id}-01"


def sampled_by(traceparent: bytes) -> bool | None:
    """Whether who called records the trace. None where the header is absent or cannot be read: then the trace begins anew
    (section 4.3). What is readable is safe in a header, and its parts lie where TRACE_ID and PARENT_ID say."""
    read = _TRACEPARENT.fullmatch(traceparent)
    if read is None:
        return None
    if traceparent[:2] == b"ff" or (traceparent[:2] == b"00" and len(traceparent) > _LENGTH):
        return None
    if traceparent[TRACE_ID] == _NO_TRACE or traceparent[PARENT_ID] == _NO_SPAN:
        return None
    return bool(int(traceparent[53:55], 16) & _SAMPLED)


def recorded(traceparent: str, tracestate: str, incoming: bytes) -> Trace:
    """The Trace whose `traceparent` this is, given what came in."""
    parent_id = "" if sampled_by(incoming) is None else incoming[PARENT_ID].decode()
    return Trace(traceparent[TRACE_ID], traceparent[PARENT_ID], parent_id, tracestate)


def state_of(tracestate: bytes) -> str:
    """What may be passed on as it came; empty where it is too long or no printable ASCII."""
    text = tracestate.decode("latin-1")
    return text if len(text) <= MOST_STATE_CHARACTERS and text.isascii() and text.isprintable() else ""


def child_traceparent(traceparent: str, arm: str) -> str:
    """What a forward to `arm` carries: the span that `forward_span_id` names as its parent. Empty where there is no trace,
    as it came where it is not recorded."""
    if not traceparent.endswith("-01"):
        return traceparent
    return f"{traceparent[:36]}{forward_span_id(traceparent[PARENT_ID], arm)}-01"


def forward_span_id(span_id: str, arm: str) -> str:
    """The span of a forward. It follows from the request's span, so that who writes the forward's head and who makes the
    span afterwards need not tell each other."""
    return blake2b(f"{span_id} {arm}".encode(), digest_size=8).hexdigest()
