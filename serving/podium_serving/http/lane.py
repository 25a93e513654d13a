"""The fast lane: a subclass of uvicorn's HTTP protocol that answers `POST …/infer` itself and hands the rest to Starlette.

ASGI's two sends alone cost half of a one-row request. A request is admitted when its head is complete: the current plan
is read there, once, and answers it whatever flips meanwhile. Relies on these parts of uvicorn's HttpToolsProtocol:
`cycle` (the newest request; only its response_complete, keep_alive, disconnected and message_event are touched),
`pipeline`, `flow`, `parser`, `_start_asgi_task` and `on_response_complete`.
"""

import asyncio
import logging
import time
from typing import Any

import httptools
from uvicorn.config import Config
from uvicorn.server import ServerState

from podium_serving.exchange import InvalidRequest, Overloaded, ServingError
from podium_serving.http.answering import Answering
from podium_serving.http.bodies import add_part
from podium_serving.http.exchanges import Exchange
from podium_serving.http.known_heads import END
from podium_serving.http.lane_state import Lane
from podium_serving.http.requests import Head, RawHeaders, read_head, without_offer
from podium_serving.http.responses import BodyTooSlow, HeadTooLarge, error_bytes
from podium_serving.http.routes import Target, target_of

logger = logging.getLogger(__name__)

MAX_HEAD_BYTES = 65_536
"""Path and headers of one request. Ten times what proxies let through."""

_TOO_LARGE = HeadTooLarge(f"the request's head has more than {MAX_HEAD_BYTES} bytes")


class LaneProtocol(Answering):
    """One connection's requests."""

    def __init__(self, lane: Lane, config: Config, server_state: ServerState, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(lane, config, server_state, loop)
        self._head_bytes = 0
        self._asked_app_at = 0.0
        self._between = True
        """The parser waits for the first byte of a request, and the one before left the connection open."""
        self._begun_since = False
        """A request began in what is being read."""

    # What uvicorn's parser calls

    def on_message_begin(self) -> None:
        # The ASGI scope is made only for those who need it.
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._between = False
        self._begun_since = True

    def on_headers_complete(self) -> None:
        read, self._head_bytes = self._head_bytes, 0
        if self.lingering or self.parser.should_upgrade():
            return
        # What was read may hold the body's beginning, too: only then the head is measured.
        if read > MAX_HEAD_BYTES and _head_bytes(self.url, self.headers) > MAX_HEAD_BYTES:
            self._refuse_next(_TOO_LARGE)
            return
        target = target_of(self.url) if self.parser.get_method() == b"POST" else None
        if target is None:
            self._hand_to_app()
            return
        exchange = self._admit(target, self.headers, read_head(self.headers, forwarded=self.lane.port.forwarded))
        exchange.keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        exchange.wants_continue = self.expect_100_continue
        self._line_up(exchange)

    def on_body(self, body: bytes) -> None:
        exchange = self.cycle
        if self.lingering:
            return
        if type(exchange) is not Exchange:
            super().on_body(body)
        elif not exchange.complete and exchange.refusal is None:  # who may not ask has nothing kept for him
            add_part(exchange.chunks, body)
            exchange.size += len(body)
            self.lane.buffered_bytes += len(body)
            if exchange.size > self.lane.most_bytes(exchange.head):
                self._refuse_rest(exchange, self.lane.too_large(exchange.head, exchange.size))
            elif self.lane.buffered_bytes > self.lane.settings.max_buffered_bytes:
                self._refuse_rest(exchange, Overloaded("too many large requests are being received; try again"))

    def on_message_complete(self) -> None:
        exchange = self.cycle
        if self.lingering or self.parser.should_upgrade():
            return
        self._between = bool(self.parser.should_keep_alive())
        if type(exchange) is not Exchange:
            super().on_message_complete()
        elif not exchange.complete:
            exchange.complete = True
            exchange.body_at = time.monotonic()
            if exchange.front:
                self._begin(exchange)

    def data_received(self, data: bytes) -> None:
        while data:
            data = self._read_on(data)

    def _read_on(self, data: bytes) -> bytes:
        """Returns what is to be read again."""
        if self._between:
            self._head_bytes = 0
            data = self._without_known(data)
        if self.lingering or not data:
            return b""
        again = b""
        counted = self._between
        self._begun_since = False
        self._head_bytes += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            again = self._without_upgrade(data[offer.args[0] :])
        except httptools.HttpParserError as error:
            if isinstance(error, httptools.HttpParserCallbackError):
                logger.error("a request could not be read", exc_info=error)
            self.send_400_response(str(error))
        if self._head_bytes > MAX_HEAD_BYTES and not self._between and self.quiet and not self.lingering:
            if self._begun_since and not counted:
                self._head_bytes = 0  # most of it was the body before: what follows is counted
            else:
                self._refuse_connection(_TOO_LARGE)
        return again

    def connection_lost(self, exc: Exception | None) -> None:
        self._let_go()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What follows a request that is still open, or is in the middle of it, cannot be read."""
        self._refuse_next(InvalidRequest(f"this is not HTTP/1.1: {msg}"))

    def _refuse_next(self, error: ServingError) -> None:
        exchange = self.cycle
        if exchange is None or exchange.response_complete:
            self._refuse_connection(error)
        elif type(exchange) is Exchange and not exchange.complete:
            self._refuse_rest(exchange, error)
        else:
            exchange.keep_alive = False
            self.lingering = True

    # What uvicorn's protocol calls when a request may start, and what the server calls

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if type(cycle) is Exchange:
            self._come_to_front(cycle)
        else:
            super()._start_asgi_task(cycle, app)

    def sweep(self, now: float) -> None:
        super().sweep(now)
        waits_for_body = not self.quiet and type(self.cycle) is not Exchange and self.cycle.more_body
        if waits_for_body and now - self._asked_app_at > self.lane.body_seconds:
            self.transport.abort()
        for exchange in list(self._open):
            waited = now - exchange.admitted_at
            if not exchange.complete and waited > self.lane.body_seconds:
                self._refuse_rest(exchange, BodyTooSlow(f"the body did not arrive within {waited:.0f} s of its head"))

    # The life of an exchange

    def _refuse_connection(self, error: ServingError) -> None:
        """Between requests: there is no exchange to answer."""
        self.lingering = True
        self.transport.write(error_bytes(error, "", close=True))
        self.linger()

    def _without_upgrade(self, rest: bytes) -> bytes:
        """The request without its offer, and `rest`: the parser skips the body of one that offers another protocol.

        Java's client offers HTTP/2 (h2c) with its first request, body and all.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self.send_400_response("CONNECT is not taken")
            return b""
        self.parser = httptools.HttpRequestParser(self)
        return without_offer(method, self.url, self.headers) + rest

    def _hand_to_app(self) -> None:
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url = url
        self.headers.extend(headers)
        self.expect_100_continue = expects
        super().on_headers_complete()
        self._asked_app_at = time.monotonic()
        if self.lane.closing:
            self.cycle.keep_alive = False

    def _without_known(self, data: bytes) -> bytes:
        """Takes whole requests whose heads were read before from the front of `data`; returns the rest, for the parser."""
        lane = self.lane
        while not self.lingering:
            end = data.find(END) + len(END)
            known = lane.known.heads.get(data[:end])
            if known is None:
                if end >= len(END):
                    lane.known.meet(data[:end])
                break
            size = known.end - known.body_at
            if len(data) < known.end or lane.buffered_bytes + size > lane.settings.max_buffered_bytes:
                break
            exchange = self._admit(known.target, known.headers, known.head)
            exchange.chunks.append(data[known.body_at : known.end])
            exchange.size = size
            lane.buffered_bytes += size
            exchange.complete = True
            exchange.body_at = exchange.admitted_at
            self._line_up(exchange)
            data = data[known.end :]
            if not data:
                break
        return data

    def _admit(self, target: Target, headers: RawHeaders, head: Head) -> Exchange:
        lane = self.lane
        port = lane.port
        model = port.calls.model_named(target.model)
        entered = port.calls.enter(model)
        exchange = Exchange(
            target,
            head,
            headers,
            entered,
            model,
            time.monotonic(),
            port.outside_training,
            port.refusal(head, target, entered),
        )
        lane.open_requests += 1
        self._open.append(exchange)
        return exchange

    def _line_up(self, exchange: Exchange) -> None:
        previous, self.cycle = self.cycle, exchange
        if previous is None or previous.response_complete:
            self._come_to_front(exchange)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((exchange, self.app))  # type: ignore[arg-type]  # an Exchange stands in for a cycle


def _head_bytes(url: bytes, headers: list[tuple[bytes, bytes]]) -> int:
    return len(url) + sum(len(name) + len(value) + 4 for name, value in headers)
