"""W3C Trace Context (https://www.w3.org/TR/trace-context/): read from a request's head, passed on to other pods. Pure."""

import re
from dataclasses import dataclass
from hashlib import blake2b

_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL)
_NO_TRACE, _NO_SPAN = b"0" * 32, b"0" * 16
_SAMPLED = 0x01
MOST_STATE_CHARACTERS = 512
"""What section 3.3.1.5 asks every system to pass on, at least."""


@dataclass(frozen=True, slots=True)
class Parent:
    """Who called, as its traceparent says."""

    trace_id: str
    span_id: str
    sampled: bool


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


def parent_of(traceparent: bytes) -> Parent | None:
    """None where the header is absent or cannot be read: then the trace begins anew (section 4.3)."""
    read = _TRACEPARENT.fullmatch(traceparent)
    if read is None:
        return None
    version, trace_id, span_id, flags, more = read.groups()
    if version == b"ff" or (version == b"00" and more is not None) or trace_id == _NO_TRACE or span_id == _NO_SPAN:
        return None
    return Parent(trace_id.decode(), span_id.decode(), bool(int(flags, 16) & _SAMPLED))


def recorded(traceparent: str, tracestate: str, incoming: bytes) -> Trace:
    """The Trace whose `traceparent` this is, given what came in."""
    trace_id, span_id = traceparent[3:35], traceparent[36:52]
    parent = parent_of(incoming)
    return Trace(trace_id, span_id, parent.span_id if parent is not None else "", tracestate)


def state_of(tracestate: bytes) -> str:
    """What may be passed on as it came; empty where it is too long or no printable ASCII."""
    text = tracestate.decode("latin-1")
    return text if len(text) <= MOST_STATE_CHARACTERS and text.isascii() and text.isprintable() else ""


def child_traceparent(traceparent: str, arm: str) -> str:
    """What a forward to `arm` carries: the span that `forward_span_id` names as its parent. Empty where there is no trace,
    as it came where it is not recorded."""
    if not traceparent.endswith("-01"):
        return traceparent
    return f"{traceparent[:36]}{forward_span_id(traceparent[36:52], arm)}-01"


def forward_span_id(span_id: str, arm: str) -> str:
    """The span of a forward. It follows from the request's span, so that who writes the forward's head and who makes the
    span afterwards need not tell each other."""
    return blake2b(f"{span_id} {arm}".encode(), digest_size=8).hexdigest()
