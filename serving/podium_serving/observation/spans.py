"""OpenTelemetry spans of a request, made after its answer, sent over OTLP/HTTP. Imported only where it is configured.

Spans are built from what was seen, with their times, in the exporter's thread: OpenTelemetry's own tracers would do it in
the event loop, between a request and its answer. The children's lengths are measured; where they lie is reckoned back from
the answer, so they may be off by what writing it took. Names and attributes: OpenTelemetry semantic conventions 1.43, for
HTTP and RPC servers; `podium.*` is ours.
"""

import logging
import threading
import time
from collections.abc import Iterator

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import AttributeValue

from podium_serving import __version__
from podium_serving.exchange import Answer
from podium_serving.observation.seen import GRPC, Seen
from podium_serving.observation.trace_context import Trace, forward_span_id
from podium_serving.settings import Settings

logger = logging.getLogger(__name__)

_BATCH_REQUESTS = 64
"""Sent at once. Turning this many into bytes takes some milliseconds of the interpreter, then the event loop has a turn."""
_EXPORT_SECONDS = 2.0
"""One batch, with its retries: what is not taken by then is given up, for more is coming."""
_LOOKS_AT_CLOCKS = 5
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SCOPE = InstrumentationScope("podium_serving", __version__)

Attributes = dict[str, AttributeValue]


class SpanExporter:
    """An Outlet's write. Complains when exports begin to fail, and when they work again."""

    def __init__(self, settings: Settings) -> None:
        self._spans = Spans(resource_of(settings))
        url = settings.observation.otlp_endpoint.rstrip("/") + "/v1/traces"
        # Its own complaints come once per batch; ours say what they say, once.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
        self._exporter = OTLPSpanExporter(endpoint=url, timeout=_EXPORT_SECONDS)
        self._url = url
        self._troubled = False

    def __call__(self, seen: list[Seen], closing: threading.Event) -> int:
        offset = unix_minus_monotonic()
        sent = 0
        for start in range(0, len(seen), _BATCH_REQUESTS):
            part = seen[start : start + _BATCH_REQUESTS]
            spans = [span for one in part for span in self._spans.of(one, offset)]
            good = self._exporter.export(spans) is SpanExportResult.SUCCESS
            self._tell(good)
            if good:
                sent += len(part)
            elif closing.is_set():
                break
        return sent

    def _tell(self, good: bool) -> None:
        if good is self._troubled:
            self._troubled = not good
            logger.log(
                logging.INFO if good else logging.WARNING,
                "%s takes spans again" if good else "%s does not take spans: those of this time are lost",
                self._url,
            )


def unix_minus_monotonic() -> int:
    """Nanoseconds. Of a few looks at both clocks the quickest: a thread that stood still between the two would shift all
    spans of a batch against those of other pods."""
    looks = []
    for _ in range(_LOOKS_AT_CLOCKS):
        before, unix, after = time.monotonic_ns(), time.time_ns(), time.monotonic_ns()
        looks.append((after - before, unix - (before + after) // 2))
    return min(looks)[1]


def resource_of(settings: Settings) -> Resource:
    """What all spans of this process share."""
    known = {
        "service.name": settings.deployment,
        "service.namespace": settings.namespace,
        "service.instance.id": settings.pod_uid,
        "service.version": __version__,
        "k8s.namespace.name": settings.namespace,
        "k8s.pod.name": settings.pod_name,
        "k8s.pod.uid": settings.pod_uid,
        "podium.role": settings.role,
    }
    return Resource.create({name: value for name, value in known.items() if value})


class Spans:
    """The spans of one process."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def of(self, seen: Seen, offset: int) -> Iterator[ReadableSpan]:
        """The request's span, and those of what it was made of. `offset` is Unix minus monotonic time, in nanoseconds."""
        trace = seen.trace
        if trace is None:
            return
        state = TraceState.from_header([trace.state]) if trace.state else None
        parent = _context(trace.trace_id, trace.parent_id, state, remote=True) if trace.parent_id else None
        context = _context(trace.trace_id, trace.span_id, state)
        name = seen.route if seen.protocol == GRPC else f"{seen.method} {seen.route}"
        yield self._span(
            name, context, parent, SpanKind.SERVER, _attributes(seen), seen.admitted_at, seen.ended_at, offset, _status(seen)
        )
        if seen.answer is not None:
            yield from self._children(seen.answer, trace, context, state, seen.ended_at, offset)

    def _children(
        self,
        answer: Answer,
        trace: Trace,
        parent: SpanContext,
        state: TraceState | None,
        ended_at: float,
        offset: int,
    ) -> Iterator[ReadableSpan]:
        end = ended_at
        if _answered_here(answer):
            for name, seconds in (("inference", answer.inference_seconds), ("queue", answer.queue_seconds)):
                context = _context(trace.trace_id, forward_span_id(trace.span_id, f"/{name}"), state)
                yield self._span(name, context, parent, SpanKind.INTERNAL, {}, end - seconds, end, offset)
                end -= seconds
        if answer.forward_seconds > 0:
            arm = answer.arm_assigned
            fallback = answer.fallback.value
            attributes: Attributes = {"podium.arm": arm}
            if fallback:
                attributes["error.type"] = fallback
            context = _context(trace.trace_id, forward_span_id(trace.span_id, arm), state)
            status = Status(StatusCode.ERROR, fallback) if fallback else Status()
            start = end - answer.forward_seconds
            yield self._span(f"forward {arm}", context, parent, SpanKind.CLIENT, attributes, start, end, offset, status)

    def _span(
        self,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: Attributes,
        start: float,
        end: float,
        offset: int,
        status: Status | None = None,
    ) -> ReadableSpan:
        return ReadableSpan(
            name,
            context,
            parent,
            self._resource,
            attributes,
            kind=kind,
            status=status or Status(),
            start_time=int(start * 1e9) + offset,
            end_time=int(end * 1e9) + offset,
            instrumentation_scope=_SCOPE,
        )


def _answered_here(answer: Answer) -> bool:
    """Else queue and inference were another pod's, which makes its own spans of them."""
    return answer.forward_seconds == 0 or answer.arm_assigned != answer.arm_answered


def _context(trace_id: str, span_id: str, state: TraceState | None, *, remote: bool = False) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), remote, _SAMPLED, state)


def _attributes(seen: Seen) -> Attributes:
    made: Attributes = {"podium.request_id": seen.request_id, "podium.model": seen.model, "podium.caller": seen.caller}
    if seen.protocol == GRPC:
        service, _, method = seen.method.partition("/")
        made |= {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}
    else:
        made |= {
            "http.request.method": seen.method,
            "http.route": seen.route,
            "url.path": seen.path,
            "url.scheme": seen.scheme,
        }
        made |= {"http.request.body.size": seen.bytes_in, "http.response.body.size": seen.bytes_out}
    made["http.response.status_code" if seen.protocol != GRPC else "podium.http_status"] = seen.status
    if seen.failed:
        made["error.type"] = seen.reason or str(seen.status)
    if seen.request is not None:
        made |= {"podium.rows": seen.request.rows, "podium.mirror": seen.request.mirror or None}
    if (answer := seen.answer) is not None:
        made |= {"podium.version": answer.version, "podium.epoch": answer.epoch, "podium.fallback": answer.fallback.value}
        made |= {"podium.arm": answer.arm_answered, "podium.arm_assigned": answer.arm_assigned}
    return {name: value for name, value in made.items() if value not in (None, "")}


def _status(seen: Seen) -> Status:
    """A caller's fault is no error of the server's span (semantic conventions, HTTP spans, status)."""
    return Status(StatusCode.ERROR, seen.reason) if seen.status >= 500 else Status()
