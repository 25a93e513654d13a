"""ModelInfer: one message in, one answer out, by the same engine as the HTTP port's."""

import asyncio
import logging
import time
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from podium_serving.calls import Calls
from podium_serving.exchange import Answer, DeadlineExceeded, InferRequest, ServingError
from podium_serving.http.requests import ClientHeaders
from podium_serving.inference import Cancel
from podium_serving.oip.codec import Codec
from podium_serving.rpc.call import Reply
from podium_serving.rpc.envelope_pb2 import Envelope
from podium_serving.rpc.metadata import CallHead
from podium_serving.rpc.reading import Decoded, RequestReader, opened
from podium_serving.rpc.status import answer_head
from podium_serving.rpc.writing import AnswerWriter
from podium_serving.state import Serving

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


@dataclass(slots=True, eq=False)
class _Asked:
    """One inference between its message and its answer. Cancelled when its client is gone."""

    calls: Calls
    reply: Reply
    admitted: Serving
    forms: _Forms
    head: CallHead
    client_id: str
    request_id: str
    version: str
    started_at: float
    """Monotonic seconds when the head was read."""
    complete_at: float
    """Likewise the end of the message."""
    raw: bool = False
    over: bool = False
    work: Cancel | None = None

    def read(self, envelope: Envelope, message: bytes) -> InferRequest:
        """Raises ServingError."""
        decoded = self.forms.reader.decode(envelope, message)
        self.raw = decoded.raw
        return self._request(decoded)

    def begin(self, request: InferRequest) -> None:
        if not self.over:
            self.work = self.calls.begin(request, self.admitted, lambda result: self._settle(request, result))

    def fail(self, error: ServingError) -> None:
        if self._end():
            self.calls.failed(self.admitted, self.started_at, error.http_status, PROTOCOL)
            self.reply.fail(error, self.request_id)

    def cancel(self) -> None:
        if self._end():
            self.calls.failed(self.admitted, self.started_at, CLIENT_GONE, PROTOCOL)
            if self.work is not None:
                self.work.cancel()

    def _request(self, decoded: Decoded) -> InferRequest:
        limit = self.admitted.plan.timeout_milliseconds
        deadline = self.complete_at + min(limit, self.head.timeout_milliseconds or limit) / 1000
        if self.head.timeout_seconds is not None:
            deadline = min(deadline, self.started_at + self.head.timeout_seconds)
        if deadline <= time.monotonic():
            raise DeadlineExceeded("the message was complete only after the call's deadline")
        return InferRequest(
            columns=decoded.columns,
            rows=decoded.rows,
            admitted_at=self.started_at,
            deadline=deadline,
            request_id=self.request_id,
            headers=ClientHeaders(self.head.headers),
            pinned_version=self.version,
            wanted_outputs=decoded.wanted_outputs,
            parameters=decoded.parameters,
        )

    def _settle(self, request: InferRequest, result: Answer | ServingError) -> None:
        if isinstance(result, ServingError):
            self.fail(result)
            return
        try:
            assert result.columns is not None, "an answer has columns"
            message = self.forms.writer.encode(
                result.columns, result.version, self.client_id, request.wanted_outputs, raw=self.raw
            )
        except Exception:
            logger.exception("the answer to request %s could not be written", self.request_id)
            self.fail(ServingError(_FAILED))
            return
        if self._end():
            self.reply.answer(message, answer_head(result, self.request_id))
            self.calls.answered(request, self.admitted, result, PROTOCOL)

    def _end(self) -> bool:
        """False: it ended before."""
        if self.over:
            return False
        self.over = True
        self.calls.leave(self.admitted)
        return True


class Inferences:
    """All that one port is asked to infer."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._forms: WeakKeyDictionary[Codec, dict[str, _Forms]] = WeakKeyDictionary()
        self._reading: set[asyncio.Task[None]] = set()

    def infer(self, head: CallHead, message: bytes, reply: Reply, started_at: float) -> None:
        """Answers `reply` once, now or later. A request is admitted when its message is complete: that names its model."""
        try:
            envelope = opened(message)
            model = self._calls.model_named(envelope.model_name)
            admitted = self._calls.admit(model, envelope.model_version)
        except ServingError as error:
            self._calls.failed(None, started_at, error.http_status, PROTOCOL)
            reply.fail(error, head.request_id)
            return
        asked = _Asked(
            calls=self._calls,
            reply=reply,
            admitted=admitted,
            forms=self._forms_of(admitted.codec, model),
            head=head,
            client_id=envelope.id,
            request_id=envelope.id or head.request_id or self._calls.request_ids(),
            version=envelope.model_version,
            started_at=started_at,
            complete_at=time.monotonic(),
        )
        reply.begun(asked)
        if len(message) > _IN_THREAD_BYTES:
            task = asyncio.get_running_loop().create_task(self._read_in_thread(asked, envelope, message))
            self._reading.add(task)
            task.add_done_callback(self._reading.discard)
            return
        try:
            asked.begin(asked.read(envelope, message))
        except Exception as error:
            asked.fail(_as_serving_error(error, asked.request_id))

    async def _read_in_thread(self, asked: _Asked, envelope: Envelope, message: bytes) -> None:
        try:
            asked.begin(await asyncio.to_thread(asked.read, envelope, message))
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


def _as_serving_error(error: Exception, request_id: str) -> ServingError:
    if isinstance(error, ServingError):
        return error
    logger.error("request %s failed", request_id, exc_info=error)
    return ServingError(_FAILED)
