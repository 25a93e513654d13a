"""ModelInfer: one message in, one answer out, by the same engine as the HTTP port's."""

import asyncio
import logging
import time
from functools import partial
from weakref import WeakKeyDictionary

from podium_serving.calls import Calls
from podium_serving.exchange import Answer, DeadlineExceeded, InferRequest, ServingError
from podium_serving.http.requests import ClientHeaders
from podium_serving.inference import Cancel
from podium_serving.observation.observer import pass_on
from podium_serving.oip.codec import Codec
from podium_serving.reading import Reading
from podium_serving.rpc.call import Reply
from podium_serving.rpc.envelope_pb2 import Envelope
from podium_serving.rpc.metadata import CallHead
from podium_serving.rpc.observing import RpcObserver
from podium_serving.rpc.reading import RequestReader, opened
from podium_serving.rpc.status import answer_head
from podium_serving.rpc.writing import AnswerWriter
from podium_serving.served import Serving

logger = logging.getLogger(__name__)

PROTOCOL = "gRPC"
CLIENT_GONE = 499
"""Counted where a client left before its answer was there, as on the HTTP port."""
_IN_THREAD_BYTES = 1024 * 1024
"""Messages above it are read in a thread: 64 MB of typed values take seconds."""
_FAILED = "this server failed; its log says more"


class _Forms:
    """How messages of one version are read and written."""

    def __init__(self, codec: Codec, model: str) -> None:
        self.reader = RequestReader(codec)
        self.writer = AnswerWriter(codec, model)


class Inferences:
    """All that one port is asked to infer."""

    def __init__(self, calls: Calls, observer: RpcObserver | None, reading: Reading) -> None:
        self.calls = calls
        self.observer = observer
        self._forms: WeakKeyDictionary[Codec, dict[str, _Forms]] = WeakKeyDictionary()
        self._reading = reading
        self._tasks: set[asyncio.Task[None]] = set()

    def infer(self, head: CallHead, message: bytes, reply: Reply, started_at: float) -> None:
        """Answers `reply` once, now or later. A request is admitted when its message is complete: that names its model."""
        model = ""
        try:
            envelope = opened(message)
            model = self.calls.model_named(envelope.model_name)
            admitted = self.calls.admit(model, envelope.model_version)
        except ServingError as error:
            self.refused(head, model, started_at, error)
            reply.fail(error, head.request_id)
            return
        asked = _Asked(self, head, envelope, model, len(message), reply, admitted, started_at)
        asked.forms = self._forms_of(admitted.codec, model)
        asked.request_id = envelope.id or head.request_id or self.calls.request_ids()
        reply.begun(asked)
        if len(message) > _IN_THREAD_BYTES:
            task = asyncio.get_running_loop().create_task(self._read_in_thread(asked, message))
            asked.work = task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        try:
            asked.begin(asked.read(message))
        except Exception as error:
            asked.fail(_as_serving_error(error, asked.request_id))

    def refused(self, head: CallHead, model: str, started_at: float, error: ServingError) -> None:
        """Counts a call that was refused before it was admitted."""
        self.calls.failed(None, started_at, error.http_status, PROTOCOL)
        if self.observer is not None:
            self.observer.failed(head, model, None, started_at, error.http_status, error.reason)

    async def _read_in_thread(self, asked: "_Asked", message: bytes) -> None:
        try:
            asked.begin(await self._reading.read(partial(asked.read, message), len(message)))
        except Exception as error:
            asked.fail(_as_serving_error(error, asked.request_id))

    def _forms_of(self, codec: Codec, model: str) -> _Forms:
        by_model = self._forms.get(codec)
        if by_model is None:
            by_model = self._forms[codec] = {}
        forms = by_model.get(model)
        if forms is None:
            forms = by_model[model] = _Forms(codec, model)
        return forms


class _Asked:
    """One inference between its message and its answer. Cancelled when its client is gone."""

    __slots__ = (
        "_over", "_raw", "admitted", "complete_at", "envelope", "forms", "head", "model", "port", "reply",
        "request", "request_id", "size", "started_at", "work",
    )  # fmt: skip

    def __init__(
        self,
        port: Inferences,
        head: CallHead,
        envelope: Envelope,
        model: str,
        size: int,
        reply: Reply,
        admitted: Serving,
        started_at: float,
    ) -> None:
        self.port = port
        self.head = head
        self.envelope = envelope
        self.model = model
        self.size = size
        """Bytes of the message."""
        self.reply = reply
        self.admitted = admitted
        self.started_at = started_at
        """Monotonic seconds when the head was read."""
        self.complete_at = time.monotonic()
        """Likewise the end of the message."""
        self.forms: _Forms
        self.request_id = ""
        self.request: InferRequest | None = None
        self._raw = False
        self._over = False
        self.work: Cancel | None = None
        """What is under way for it."""

    def read(self, message: bytes) -> InferRequest:
        """Raises ServingError."""
        decoded = self.forms.reader.decode(self.envelope, message)
        self._raw = decoded.raw
        return InferRequest(
            columns=decoded.columns,
            rows=decoded.rows,
            admitted_at=self.started_at,
            deadline=self._deadline(),
            request_id=self.request_id,
            headers=ClientHeaders(self.head.headers),
            pinned_version=self.envelope.model_version,
            wanted_outputs=decoded.wanted_outputs,
            parameters=decoded.parameters,
        )

    def begin(self, request: InferRequest) -> None:
        if not self._over:
            self.request = request
            if self.port.observer is not None:
                self.port.observer.note(self.head, request)
            elif self.head.traceparent:
                pass_on(request, None, self.head.traceparent, self.head.tracestate)
            work = self.port.calls.begin(request, self.admitted, self._settle)
            self.work = None if self._over else work

    def fail(self, error: ServingError) -> None:
        if self._end():
            self._count_failure(error.http_status, error.reason)
            self.reply.fail(error, self.request_id)

    def cancel(self) -> None:
        if self._end():
            self._count_failure(CLIENT_GONE, "ClientGone")
            if self.work is not None:
                self.work.cancel()

    def _deadline(self) -> float:
        """Raises DeadlineExceeded when it is over."""
        limit = self.admitted.plan.timeout_milliseconds
        deadline = self.complete_at + min(limit, self.head.timeout_milliseconds or limit) / 1000
        if self.head.timeout_seconds is not None:
            deadline = min(deadline, self.started_at + self.head.timeout_seconds)
        if deadline <= time.monotonic():
            raise DeadlineExceeded("the message was complete only after the call's deadline")
        return deadline

    def _settle(self, result: Answer | ServingError) -> None:
        if isinstance(result, ServingError):
            self.fail(result)
            return
        request = self.request
        assert request is not None, "it was begun"
        try:
            assert result.columns is not None, "an answer has columns"
            message = self.forms.writer.encode(
                result.columns, result.version, self.envelope.id, request.wanted_outputs, raw=self._raw
            )
        except Exception as error:
            self.fail(_as_serving_error(error, self.request_id))
            return
        if self._end():
            self.reply.answer(message, answer_head(result, self.request_id))
            self.port.calls.answered(request, self.admitted, result, PROTOCOL)
            if self.port.observer is not None:
                self.port.observer.answered(self.head, self.model, request, result, self.size, len(message))

    def _count_failure(self, status: int, reason: str) -> None:
        self.port.calls.failed(self.admitted, self.started_at, status, PROTOCOL)
        if self.port.observer is not None:
            self.port.observer.failed(self.head, self.model, self.request, self.started_at, status, reason)

    def _end(self) -> bool:
        """False: it ended before."""
        if self._over:
            return False
        self._over = True
        self.port.calls.leave(self.admitted)
        return True


def _as_serving_error(error: Exception, request_id: str) -> ServingError:
    if isinstance(error, ServingError):
        return error
    logger.error("request %.128r failed", request_id, exc_info=error)  # chosen by the client
    return ServingError(_FAILED)
