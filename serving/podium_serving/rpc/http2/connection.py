"""One client's connection: its streams, the windows in which it may send, and its end."""

import asyncio
import logging

from podium_serving.rpc.http2.frames import (
    ACK,
    DEFAULT_WINDOW,
    LAST_STREAM,
    SETTINGS_ACK,
    ConnectionFault,
    ErrorCode,
    Flag,
    Kind,
    Setting,
    StreamFault,
    frame,
    goaway,
    reset,
    settings,
    unpadded,
    window_update,
)
from podium_serving.rpc.http2.reading import FrameReader
from podium_serving.rpc.http2.sending import Sender
from podium_serving.rpc.http2.stream import Head, Listener, Stream

logger = logging.getLogger(__name__)

_LEAVING = b"leaving!"
_STILL_THERE = b"there?!?"
_GOING = "this server is going away"


class Connection(FrameReader[Head]):
    """A server's end of HTTP/2."""

    def __init__(self, listener: Listener[Head], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(listener, loop)
        self._listener = listener
        self._streams: dict[int, Stream] = {}
        self._last_stream = 0
        self._resets: dict[int, None] = {}
        """Streams that were reset here lately, the oldest first."""
        self._room = self.limits.connection_window
        self._owed = 0
        self._asked_at = 0.0
        """When a silent client was asked whether it is there; 0: it was not."""
        self._left_at = 0.0
        """When the client was told that the server is leaving; 0: it was not."""
        self._refusing = False
        """It knows: streams that it opens now are not looked at."""
        self._transport: asyncio.Transport
        self._sender: Sender

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._sender = Sender(self.loop, transport, self._drained)
        self._listener.opened(self)
        limits = self.limits
        self._sender.control(
            settings(
                {
                    Setting.MAX_CONCURRENT_STREAMS: limits.streams,
                    Setting.INITIAL_WINDOW_SIZE: limits.stream_window,
                    Setting.MAX_HEADER_LIST_SIZE: limits.head_bytes,
                }
            )
            + window_update(0, limits.connection_window - DEFAULT_WINDOW)
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self.closing = True
        self._listener.closed(self)
        streams, self._streams = list(self._streams.values()), {}
        for stream in streams:
            self._gone(stream)

    def pause_writing(self) -> None:
        self._sender.pause()
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._sender.resume()
        self._transport.resume_reading()

    # What frames say

    def on_head(self, number: int, head: Head, ended: bool) -> None:
        known = self._streams.get(number)
        if known is not None:
            if known.half_closed:
                raise StreamFault(ErrorCode.STREAM_CLOSED, number)
            if not ended:
                raise StreamFault(ErrorCode.PROTOCOL_ERROR, number)
            self._half_close(known)
            return
        if number in self._resets:  # trailers that were under way when the client was told (RFC 9113, 5.1)
            self.count_idle()
            return
        if number <= self._last_stream:
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, f"stream {number} is closed")
        self._last_stream = number
        if len(self._streams) >= self.limits.streams or self._refusing:
            raise StreamFault(ErrorCode.REFUSED_STREAM, number)
        stream = Stream(self, number, self._sender.opened(number), self.limits.stream_window)
        stream.half_closed = ended
        self._streams[number] = stream
        try:
            stream.receiver = self._listener.call(head, stream)
        except StreamFault:
            del self._streams[number]
            raise
        if ended:
            self._half_close(stream)

    def on_data(self, number: int, payload: bytes, flags: int) -> None:
        size = len(payload)
        content = unpadded(flags, payload) if flags & Flag.PADDED else payload
        self._take(size)
        stream = self._streams.get(number)
        if stream is None or stream.half_closed:
            if number > self._last_stream:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"DATA on stream {number}, which is idle")
            raise StreamFault(ErrorCode.STREAM_CLOSED, number)
        stream.room -= size
        stream.owed += size
        if stream.room < 0:
            raise StreamFault(ErrorCode.FLOW_CONTROL_ERROR, number)
        if content:
            stream.receiver.received(content)
        elif not flags & Flag.END_STREAM:
            self.count_idle()
        if flags & Flag.END_STREAM:
            self._half_close(stream)
        elif stream.owed * 2 > self.limits.stream_window and not stream.held:
            self.give_back(stream)

    def on_reset(self, number: int) -> None:
        if number == 0 or number > self._last_stream:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"RST_STREAM on stream {number}, which is idle")
        stream = self._streams.pop(number, None)
        if stream is not None:
            self._gone(stream)
            self._hang_up_if_done()

    def on_setting(self, name: int, value: int) -> None:
        self._sender.setting(name, value, [stream.out for stream in self._streams.values()])

    def on_settings_end(self) -> None:
        self._sender.control(SETTINGS_ACK)

    def on_ping(self, payload: bytes, answers: bool) -> None:
        if not answers:
            self._sender.control(frame(Kind.PING, ACK, 0, payload))
        elif payload == _LEAVING and self._left_at:
            self._refuse_new()

    def on_window(self, number: int, amount: int) -> None:
        if number > self._last_stream:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"WINDOW_UPDATE on stream {number}, which is idle")
        if amount == 0:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR, number)
        stream = self._streams.get(number)
        self._sender.window_grew(amount, stream.out if stream else None, number)

    def on_stream_fault(self, fault: StreamFault) -> None:
        self._cancel(fault.stream, fault.code)

    def on_fault(self, fault: ConnectionFault) -> None:
        self.closing = True
        self.started_at = self.loop.time()
        logger.debug("a connection is closed: %s", fault.text)
        self._sender.control(goaway(self._last_stream, fault.code, fault.text))
        self._hang_up()

    def _take(self, size: int) -> None:
        """Of the connection's window: all of it is given back at once, for bytes are bounded by the port."""
        self._room -= size
        self._owed += size
        if self._room < 0:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "more DATA than the connection's window has room for")
        if self._owed * 2 > self.limits.connection_window:
            self._sender.control(window_update(0, self._owed))
            self._room += self._owed
            self._owed = 0

    def _half_close(self, stream: Stream) -> None:
        stream.half_closed = True
        if stream.number in self._streams:
            stream.receiver.ended()
            self._forget_if_done(stream)

    # What streams ask for

    def send_unary(self, stream: Stream, head: bytes, message: bytes, trailers: bytes) -> None:
        self._sender.unary(stream.out, head, message, trailers)
        self._forget_if_done(stream)

    def send_headers(self, stream: Stream, block: bytes, end: bool) -> None:
        self._sender.headers(stream.out, block, end=end)
        self._forget_if_done(stream)

    def send_data(self, stream: Stream, content: bytes) -> None:
        self._sender.data(stream.out, content)

    def give_back(self, stream: Stream) -> None:
        if stream.owed and not stream.half_closed and stream.number in self._streams:
            self._sender.control(window_update(stream.number, stream.owed))
            stream.room += stream.owed
            stream.owed = 0

    # Ends

    def sweep(self, now: float) -> None:
        self.new_second()
        limits = self.limits
        for stream in list(self._streams.values()):
            stream.receiver.sweep(now)
        for out in self._sender.waiting:
            if now - out.waits_since > limits.answer_seconds:
                self._cancel(out.stream, ErrorCode.CANCEL)
        if self.heard_at > self._asked_at:
            self._asked_at = 0.0
        stuck = self._sender.blocked_since and now - self._sender.blocked_since > limits.answer_seconds
        unsaid = (self.half_said or self.closing) and now - self.started_at > limits.start_seconds
        silent = self._asked_at and now - self._asked_at > limits.answer_seconds
        if stuck or unsaid or silent:
            self.abort()
        elif not self._asked_at and now - self.heard_at > limits.idle_seconds:
            self._asked_at = now
            self._sender.control(frame(Kind.PING, 0, 0, _STILL_THERE))

    def shutdown(self) -> None:
        now = self.loop.time()
        if not self._left_at:
            self._left_at = now
            # First without a limit: what the client sends until it has read this is still answered (RFC 9113, 6.8).
            farewell = goaway(LAST_STREAM, ErrorCode.NO_ERROR, _GOING)
            self._sender.control(farewell + frame(Kind.PING, 0, 0, _LEAVING))
            for stream in list(self._streams.values()):
                stream.receiver.leave()
        elif not self._refusing and now - self._left_at > self.limits.leave_seconds:
            self._refuse_new()

    def abort(self) -> None:
        self.closing = True
        self._transport.abort()

    def _refuse_new(self) -> None:
        if not self._refusing:
            self._refusing = True
            self._sender.control(goaway(self._last_stream, ErrorCode.NO_ERROR, _GOING))
            self._hang_up_if_done()

    def _cancel(self, number: int, code: ErrorCode) -> None:
        self._reset(number, code)
        stream = self._streams.pop(number, None)
        if stream is not None:
            self._gone(stream)
            self._hang_up_if_done()

    def _reset(self, number: int, code: ErrorCode) -> None:
        self._sender.control(reset(number, code))
        self._resets[number] = None
        if len(self._resets) > self.limits.streams:
            del self._resets[next(iter(self._resets))]

    def _gone(self, stream: Stream) -> None:
        self._sender.forget(stream.out)
        stream.receiver.gone()

    def _drained(self, number: int) -> None:
        stream = self._streams.get(number)
        if stream is not None:
            stream.receiver.drained()
            self._forget_if_done(stream)

    def _forget_if_done(self, stream: Stream) -> None:
        """A stream whose answer is complete is over; a client that still sends is told to stop."""
        if not stream.out.ended or stream.out.waiting or self._streams.get(stream.number) is not stream:
            return
        del self._streams[stream.number]
        if not stream.half_closed:
            self._reset(stream.number, ErrorCode.NO_ERROR)
        self._hang_up_if_done()

    def _hang_up_if_done(self) -> None:
        if self._refusing and not self._streams and not self.closing:
            self.closing = True
            self.started_at = self.loop.time()
            self._hang_up()

    def _hang_up(self) -> None:
        self._sender.flush()
        self._transport.close()
