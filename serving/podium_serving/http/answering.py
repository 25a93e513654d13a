"""The life of one inference request on a connection: refused or begun, answered or failed, and let go of exactly once.

Apart from the lane because it knows nothing of how requests are cut out of the connection's bytes.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from podium_serving.exchange import Answer, InferRequest, Overloaded, ServingError
from podium_serving.http.bodies import unpacked
from podium_serving.http.connection import Connection
from podium_serving.http.dialects.dialect import Arrived, Work
from podium_serving.http.exchanges import Exchange
from podium_serving.http.lane_state import Lane
from podium_serving.http.outbox import Outgoing
from podium_serving.http.responses import BodyTooLarge, JsonTooLarge, answer_bytes, error_bytes

logger = logging.getLogger(__name__)

PROTOCOL = "HTTP"

CLIENT_GONE = 499
"""Counted where a client closed before its answer was there; nothing is sent."""

_INLINE_JSON_BYTES = 65_536
_INLINE_BINARY_BYTES = 1024 * 1024
"""What is longer is read in a thread. A MiB of JSON with a list per value takes 0.2 s, one of binary texts 30 ms."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Answering(Connection):
    def __init__(self, lane: Lane, config: Config, server_state: ServerState, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(lane, config, server_state, loop)
        self._open: list[Exchange] = []
        """Between head and response, in the order of their heads."""

    def _come_to_front(self, exchange: Exchange) -> None:
        exchange.front = True
        if exchange.complete:
            self._begin(exchange)
        elif exchange.head.content_length > self.lane.most_bytes(exchange.head):
            self._refuse_rest(exchange, self.lane.too_large(exchange.head, exchange.head.content_length))
        elif exchange.wants_continue:
            if exchange.refusal is not None:
                self._refuse_rest(exchange, exchange.refusal)
            else:
                self.transport.write(_CONTINUE)

    def _refuse_rest(self, exchange: Exchange, error: ServingError) -> None:
        """Refuses a request whose body has not ended; nothing that follows on this connection can be read."""
        exchange.complete = True
        exchange.refusal = error
        exchange.keep_alive = False
        self.lingering = True
        if exchange.front:
            self._begin(exchange)

    def _begin(self, exchange: Exchange) -> None:
        if exchange.disconnected:
            return
        admitted = exchange.entered
        if exchange.refusal is not None or admitted is None:
            self._fail(exchange, exchange.refusal or ServingError("admitted by nobody"))
            return
        port, head = self.lane.port, exchange.head
        exchange.deadline = exchange.body_at + port.seconds(head, admitted)
        exchange.request_id = head.request_id or port.calls.request_ids()
        chunks, exchange.chunks = exchange.chunks, []
        exchange.body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if head.content_encoding:
            exchange.begun = self._start(self._unpack(exchange, head.content_encoding))
        else:
            self._read_body(exchange)

    async def _unpack(self, exchange: Exchange, encoding: bytes) -> None:
        """In a thread, for a kilobyte may become megabytes; zlib lets the interpreter go meanwhile."""
        lane, head, packed = self.lane, exchange.head, exchange.body
        try:
            body = await lane.reading.read(partial(unpacked, packed, encoding, lane.most_bytes(head)), len(packed))
            self._keep_unpacked(exchange, body)
        except BodyTooLarge as large:
            self._fail(exchange, lane.too_large(head, large.size), exchange.request_id)
        except Exception as error:
            self._fail(exchange, self._as_serving_error(error, exchange.request_id), exchange.request_id)
        else:
            self._read_body(exchange)

    def _keep_unpacked(self, exchange: Exchange, body: bytes) -> None:
        """Raises Overloaded: what came out is of the port's buffer, as what came in is."""
        lane = self.lane
        if lane.buffered_bytes + len(body) > lane.settings.max_buffered_bytes:
            raise Overloaded("too many large requests are being received; try again")
        exchange.body = body
        exchange.unpacked_size = len(body)
        lane.buffered_bytes += len(body)

    def _read_body(self, exchange: Exchange) -> None:
        """Now where it is short, else beside the loop."""
        json_bytes, size = exchange.head.inference_header_length, len(exchange.body)
        if json_bytes is not None and json_bytes > self.lane.max_json_bytes:
            error = JsonTooLarge(json_bytes, self.lane.max_json_bytes)
            self._fail(exchange, error, exchange.request_id)
        elif size > (_INLINE_JSON_BYTES if json_bytes is None else _INLINE_BINARY_BYTES):
            exchange.begun = self._start(self._read_beside(exchange))
        else:
            self._read(exchange, exchange.target.dialect.read)

    async def _read_beside(self, exchange: Exchange) -> None:
        try:
            request = await self.lane.reading.read(partial(exchange.target.dialect.read, exchange), len(exchange.body))
        except Exception as error:
            self._fail(exchange, self._as_serving_error(error, exchange.request_id), exchange.request_id)
        else:
            self._read(exchange, lambda _: request)

    def _read(self, exchange: Exchange, read: Callable[[Arrived], InferRequest]) -> None:
        port = self.lane.port
        try:
            exchange.request = request = read(exchange)
            port.note(exchange.head, request)
            begun = port.calls.begin(request, exchange.admitted, partial(self._settle, exchange))
        except Exception as error:
            self._fail(exchange, self._as_serving_error(error, exchange.request_id), exchange.request_id)
        else:
            if not exchange.released:
                exchange.begun = begun

    def _settle(self, exchange: Exchange, result: Answer | ServingError) -> None:
        request, finish = exchange.request, exchange.target.dialect.finish
        assert request is not None, "it was read before it was begun"
        if isinstance(result, ServingError):
            self._fail(exchange, result, request.request_id)
        elif finish is None or (work := finish(exchange, request, result)) is None:
            self._answer(exchange, result)
        else:
            exchange.begun = self._start(self._finish(work, exchange, result))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self.loop.create_task(work)
        self.lane.tasks.add(task)
        task.add_done_callback(self.lane.tasks.discard)
        return task

    async def _finish(self, work: Work, exchange: Exchange, answer: Answer) -> None:
        request = exchange.request
        assert request is not None, "it was read before it was begun"
        try:
            await work()
        except Exception as error:
            self._fail(exchange, self._as_serving_error(error, request.request_id), request.request_id)
        else:
            self._answer(exchange, answer)

    def _answer(self, exchange: Exchange, answer: Answer) -> None:
        request = exchange.request
        if exchange.disconnected or request is None:
            return
        try:
            written = exchange.target.dialect.write(exchange, request, answer)
            close = self._closes_after(exchange)
            port = self.lane.port
            response = answer_bytes(answer, written, request.request_id, close=close, timings=port.timings)
        except Exception as error:
            self._fail(exchange, self._as_serving_error(error, request.request_id), request.request_id)
            return
        self.lane.outbox.put(Outgoing(self, exchange, request, answer, response, close))

    def told(self, outgoing: Outgoing) -> None:
        """The response is on the wire."""
        request, answer, port = outgoing.request, outgoing.answer, self.lane.port
        port.calls.answered(request, outgoing.exchange.admitted, answer, PROTOCOL)
        if port.observer is not None:
            port.observer.answered(outgoing.exchange, request, answer, len(outgoing.response))

    def _as_serving_error(self, error: Exception, request_id: str) -> ServingError:
        if isinstance(error, ServingError):
            return error
        logger.error("request %.128r failed", request_id, exc_info=error)  # chosen by the client
        return ServingError("this server failed; its log says more")

    def _fail(self, exchange: Exchange, error: ServingError, request_id: str = "") -> None:
        if exchange.released:  # its client is gone, or what failed came after its answer
            return
        close = self._closes_after(exchange)
        port, request = self.lane.port, exchange.request
        port.calls.failed(exchange.entered, exchange.admitted_at, error.http_status, PROTOCOL)
        self.write(exchange, error_bytes(error, request_id, close=close), close)
        if port.observer is not None:
            port.observer.failed(exchange, request, error.http_status, error.reason, request_id)

    def _closes_after(self, exchange: Exchange) -> bool:
        """Requests that were read behind this one on the connection are answered first."""
        return not self.pipeline and (self.lane.closing or not exchange.keep_alive or not self.cycle.keep_alive)

    def write(self, exchange: Exchange, response: bytes, close: bool) -> None:
        self._release(exchange)
        if exchange.disconnected or self.transport.is_closing():
            return
        exchange.response_complete = True
        if self.cycle is exchange:
            self.cycle = None  # it knows its plan, and so a model: a client that stays silent would hold it for ever
        self.transport.write(response)
        if close and self.lingering:
            self.linger()
        elif close:
            self.transport.close()
        else:
            self.on_response_complete()

    def _release(self, exchange: Exchange) -> None:
        """Exactly once per exchange: answered, refused, or its client is gone. An idle connection keeps nothing of it."""
        if exchange.released:
            return
        exchange.released = True
        self._open.remove(exchange)
        lane = self.lane
        lane.open_requests -= 1
        lane.buffered_bytes -= exchange.size + exchange.unpacked_size
        exchange.begun = exchange.request = None
        exchange.chunks = []
        exchange.body = b""
        if exchange.entered is not None:
            lane.port.calls.leave(exchange.entered)

    def _let_go(self) -> None:
        """The client is gone: what has not run yet does not run for it."""
        for exchange in list(self._open):
            exchange.disconnected = True
            port = self.lane.port
            port.calls.failed(exchange.entered, exchange.admitted_at, CLIENT_GONE, PROTOCOL)
            if port.observer is not None:
                port.observer.failed(exchange, exchange.request, CLIENT_GONE, "ClientGone", exchange.head.request_id)
            if exchange.begun is not None:
                exchange.begun.cancel()
            self._release(exchange)
