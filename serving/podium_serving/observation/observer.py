"""What one process writes of its requests: decides which are logged and traced, and hands those to threads that write.

Nothing here waits. A request that is neither logged nor traced costs two comparisons with a random number.
"""

import asyncio
from typing import Protocol

from podium_serving.metrics import Metrics
from podium_serving.observation.access_log import AccessLog
from podium_serving.observation.outlet import Outlet
from podium_serving.observation.seen import Seen
from podium_serving.observation.trace_context import Trace, sampled_by, state_of
from podium_serving.observation.tracing import Sampler
from podium_serving.settings import Settings

STANDARD_OUTPUT = 1
_MOST_TRACED = 4096
"""Requests that wait to become spans."""
_TRACE_PAUSE_SECONDS = 0.5
_CLOSE_SECONDS = 3.0


class Traced(Protocol):
    """What the parts that ask other pods read the trace from (exchange.InferRequest)."""

    traceparent: str
    tracestate: str


class Observer:
    """Of one port: the public ones log, and begin traces; the forward port does neither, but continues traces."""

    def __init__(self, sampler: Sampler | None, spans: Outlet[Seen] | None, log: AccessLog | None) -> None:
        self._sampler = sampler
        self._spans = spans
        self._log = log

    @property
    def active(self) -> bool:
        """Whether there is anything to tell it."""
        return self._log is not None or self._spans is not None

    @property
    def traces(self) -> bool:
        return self._sampler is not None

    def begin(self, traceparent: bytes, tracestate: bytes) -> Trace | None:
        """The trace that a request belongs to, from the headers of its head; None: it is not recorded here."""
        return self._sampler.begin(traceparent, tracestate) if self._sampler is not None else None

    def wants_line(self, *, failed: bool) -> bool:
        """Whether the request that has just ended is logged. Ask once: it counts."""
        return self._log is not None and self._log.wants(failed=failed)

    def saw(self, seen: Seen, *, line: bool) -> None:
        """Takes a request that ended, which is logged (`line`) or traced."""
        if line and self._log is not None:
            self._log.write(seen)
        if seen.trace is not None and self._spans is not None:
            self._spans.put(seen)


def pass_on(request: Traced, trace: Trace | None, traceparent: bytes, tracestate: bytes) -> None:
    """What forwards of `request` carry: its own span where it is recorded, else what the client sent."""
    if trace is not None:
        request.traceparent, request.tracestate = trace.traceparent, trace.state
    elif traceparent and sampled_by(traceparent) is not None:
        request.traceparent, request.tracestate = traceparent.decode("ascii"), state_of(tracestate)


class Observation:
    """Log and spans of a process, with their threads. `public` and `forwarded` are what the ports call."""

    def __init__(self, settings: Settings, metrics: Metrics, descriptor: int = STANDARD_OUTPUT) -> None:
        asked = settings.observation
        self._log: AccessLog | None = None
        self._spans: Outlet[Seen] | None = None
        if asked.access_log_percent > 0:
            self._log = AccessLog(asked.access_log_percent, metrics, descriptor)
        if asked.otlp_endpoint:
            from podium_serving.observation.spans import SpanExporter  # OpenTelemetry is for those who ask for it

            self._spans = Outlet(
                "spans",
                SpanExporter(settings),
                metrics.traced_requests,
                most=_MOST_TRACED,
                pause_seconds=_TRACE_PAUSE_SECONDS,
            )
        traces = self._spans is not None
        self.public = Observer(Sampler(asked.trace_percent) if traces else None, self._spans, self._log)
        self.forwarded = Observer(Sampler(0.0) if traces else None, self._spans, None)

    def start(self) -> None:
        for writing in (self._log, self._spans):
            if writing is not None:
                writing.start()

    async def close(self) -> None:
        """After the last answer: writes what is left, within _CLOSE_SECONDS."""
        await asyncio.gather(*(writing.close(_CLOSE_SECONDS) for writing in (self._log, self._spans) if writing is not None))
