"""What is seen of HTTP requests: of the lane's exchanges, and of the application's paths."""

import time
from collections.abc import MutableMapping
from typing import Any, Protocol

from podium_serving.exchange import Answer, InferRequest
from podium_serving.http.gate import OPEN_PATHS, Application, Gate, Receive, Scope, Send
from podium_serving.http.requests import Head
from podium_serving.http.routes import Target
from podium_serving.observation.observer import Observer, pass_on
from podium_serving.observation.seen import HTTP, Seen
from podium_serving.observation.trace_context import Trace, recorded

_POST = "POST"


class Asked(Protocol):
    """What of a lane's exchange is looked at. There from its head on."""

    head: Head
    target: Target
    model: str
    """There when it is answered."""
    admitted_at: float
    size: int


class HttpObserver:
    """Of one port. `gate` knows callers by name."""

    def __init__(self, observer: Observer, gate: Gate, scheme: str) -> None:
        self._observer = observer
        self._gate = gate
        self._scheme = scheme

    def note(self, head: Head, request: InferRequest) -> None:
        """Before the request is answered: what its forwards have to carry."""
        trace = self._observer.begin(head.traceparent, head.tracestate)
        if trace is not None or head.traceparent:
            pass_on(request, trace, head.traceparent, head.tracestate)

    def answered(self, asked: Asked, request: InferRequest, answer: Answer, bytes_out: int) -> None:
        line = self._observer.wants_line(failed=False)
        trace = self._trace(asked.head, request)
        if line or trace is not None:
            seen = self._seen(asked, 200, request.request_id, trace)
            seen.model, seen.request, seen.answer, seen.bytes_out = asked.model, request, answer, bytes_out
            self._observer.saw(seen, line=line)

    def failed(self, asked: Asked, request: InferRequest | None, status: int, reason: str, request_id: str) -> None:
        """`request` is None where it could not be read, or was refused by its head."""
        line = self._observer.wants_line(failed=True)
        head = asked.head
        trace = self._trace(head, request) if request else self._observer.begin(head.traceparent, head.tracestate)
        if line or trace is not None:
            seen = self._seen(asked, status, request_id, trace)
            seen.request, seen.reason = request, reason
            self._observer.saw(seen, line=line)

    def _trace(self, head: Head, request: InferRequest) -> Trace | None:
        """The one that `note` began, read back from what it left: most requests have none, and keep nothing for it."""
        if not request.traceparent.endswith("-01") or not self._observer.traces:
            return None
        return recorded(request.traceparent, request.tracestate, head.traceparent)

    def _seen(self, asked: Asked, status: int, request_id: str, trace: Trace | None) -> Seen:
        target = asked.target
        path = target.url.partition(b"?")[0].decode("latin-1")
        return Seen(
            HTTP,
            _POST,
            path,
            status,
            asked.admitted_at,
            time.monotonic(),
            scheme=self._scheme,
            request_id=request_id,
            model=target.model,
            caller=self._gate.caller(asked.head.authorization, asked.head.api_key),
            bytes_in=asked.size,
            trace=trace,
        )


class Watched:
    """An ASGI application whose requests are logged: all but those of health, which a kubelet asks every second."""

    def __init__(self, application: Application, observer: Observer, gate: Gate) -> None:
        self._application = application
        self._observer = observer
        self._gate = gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(OPEN_PATHS):
            await self._application(scope, receive, send)
            return
        began = time.monotonic()
        status = 500
        sent = 0

        async def counting(message: MutableMapping[str, Any]) -> None:
            nonlocal status, sent
            status = message.get("status", status)
            sent += len(message.get("body", b""))
            await send(message)

        try:
            await self._application(scope, receive, counting)
        finally:
            if self._observer.wants_line(failed=status >= 400):
                self._observer.saw(self._seen(scope, status, sent, began), line=True)

    def _seen(self, scope: Scope, status: int, sent: int, began: float) -> Seen:
        headers = dict(scope["headers"])
        caller = self._gate.caller(headers.get(b"authorization", b""), headers.get(b"x-api-key", b""))
        path = scope["path"]
        return Seen(
            HTTP,
            scope["method"],
            path,
            status,
            began,
            time.monotonic(),
            scheme=scope["scheme"],
            caller=caller,
            bytes_out=sent,
        )
