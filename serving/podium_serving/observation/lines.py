"""The access log's lines: one JSON object each. Pure."""

from datetime import datetime

import msgspec

from podium_serving.observation.seen import Seen

MOST_LINE_BYTES = 4096
"""PIPE_BUF on Linux: what is written at once up to here is not mixed with what another worker writes."""
_MOST_PATH = 200
_MOST_ID = 128
_json = msgspec.json.Encoder().encode


class Line(msgspec.Struct, omit_defaults=True):
    time: datetime
    protocol: str
    method: str
    status: int
    duration_ms: float
    path: str = ""
    reason: str = ""
    model: str = ""
    version: str = ""
    arm: str = ""
    fallback: str = ""
    rows: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    queue_ms: float = 0.0
    inference_ms: float = 0.0
    forward_ms: float = 0.0
    request_id: str = ""
    trace_id: str = ""
    caller: str = ""


def line_of(seen: Seen, time: datetime) -> bytes:
    """At most MOST_LINE_BYTES: whatever a client can choose is cut, and is at most six bytes a character in JSON."""
    line = Line(
        time,
        seen.protocol,
        seen.method,
        seen.status,
        _milliseconds(seen.ended_at - seen.admitted_at),
        path=seen.path[:_MOST_PATH],
        reason=seen.reason,
        model=seen.model,
        request_id=seen.request_id[:_MOST_ID],
        bytes_in=seen.bytes_in,
        bytes_out=seen.bytes_out,
        caller=seen.caller,
    )
    if seen.trace is not None:
        line.trace_id = seen.trace.trace_id
    if seen.request is not None:
        line.rows = seen.request.rows
    if (answer := seen.answer) is not None:
        line.version = answer.version
        line.arm = answer.arm_answered
        line.fallback = answer.fallback
        line.queue_ms = _milliseconds(answer.queue_seconds)
        line.inference_ms = _milliseconds(answer.inference_seconds)
        line.forward_ms = _milliseconds(answer.forward_seconds)
    return _json(line) + b"\n"


def left_out_line(count: int, time: datetime) -> bytes:
    return _json({"time": time, "left_out": count, "reason": "more failures in one second than are written"}) + b"\n"


def chunks(lines: list[bytes]) -> list[bytes]:
    """Whole lines joined into writes of at most MOST_LINE_BYTES."""
    joined: list[bytes] = []
    start = size = 0
    for place, line in enumerate(lines):
        if size + len(line) > MOST_LINE_BYTES and place > start:
            joined.append(b"".join(lines[start:place]))
            start, size = place, 0
        size += len(line)
    if start < len(lines):
        joined.append(b"".join(lines[start:]))
    return joined


def _milliseconds(seconds: float) -> float:
    return int(seconds * 1e6 + 0.5) / 1000  # a third of what round() takes
