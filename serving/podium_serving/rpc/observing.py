"""What is seen of calls: access log and spans, as of HTTP's requests."""

import time

from podium_serving.exchange import Answer, InferRequest
from podium_serving.http.gate import Gate
from podium_serving.observation.observer import Observer, pass_on
from podium_serving.observation.seen import GRPC, Seen
from podium_serving.observation.trace_context import Trace, recorded
from podium_serving.rpc.metadata import CallHead


class RpcObserver:
    """Of one port. `gate` knows callers by name."""

    def __init__(self, observer: Observer, gate: Gate, scheme: str) -> None:
        self._observer = observer
        self._gate = gate
        self._scheme = scheme

    def note(self, head: CallHead, request: InferRequest) -> None:
        """Before the request is answered: what its forwards have to carry."""
        trace = self._observer.begin(head.traceparent, head.tracestate)
        if trace is not None or head.traceparent:
            pass_on(request, trace, head.traceparent, head.tracestate)

    def answered(
        self, head: CallHead, model: str, request: InferRequest, answer: Answer, bytes_in: int, bytes_out: int
    ) -> None:
        line = self._observer.wants_line(failed=False)
        trace = self._trace(head, request)
        if line or trace is not None:
            seen = self._seen(head, 200, request.admitted_at, trace)
            seen.request_id, seen.model, seen.request, seen.answer = request.request_id, model, request, answer
            seen.bytes_in, seen.bytes_out = bytes_in, bytes_out
            self._observer.saw(seen, line=line)

    def failed(
        self, head: CallHead, model: str, request: InferRequest | None, started_at: float, status: int, reason: str
    ) -> None:
        """`request` is None where it could not be read, or was refused by its head."""
        line = self._observer.wants_line(failed=True)
        trace = self._trace(head, request) if request else self._observer.begin(head.traceparent, head.tracestate)
        if line or trace is not None:
            seen = self._seen(head, status, started_at, trace)
            seen.request_id = request.request_id if request else head.request_id
            seen.model, seen.request, seen.reason = model, request, reason
            self._observer.saw(seen, line=line)

    def _trace(self, head: CallHead, request: InferRequest) -> Trace | None:
        """The one that `note` began, read back from what it left."""
        if not request.traceparent.endswith("-01") or not self._observer.traces:
            return None
        return recorded(request.traceparent, request.tracestate, head.traceparent)

    def _seen(self, head: CallHead, status: int, started_at: float, trace: Trace | None) -> Seen:
        method = head.path.decode("latin-1").lstrip("/")
        return Seen(
            GRPC,
            method,
            "",
            status,
            started_at,
            time.monotonic(),
            scheme=self._scheme,
            caller=self._gate.caller(head.authorization, head.api_key),
            trace=trace,
        )
