"""The reading half of a connection: bytes to frames, and what a frame alone can get wrong.

Keeps what the protocol says is state of the connection and not of a stream: the preface, the header block that comes in
parts, the client's header table. What frames mean for streams is the subclass's.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Generic

from podium_serving.rpc.http2.frames import (
    ACK,
    HEAD_BYTES,
    LAST_STREAM,
    MAX_FRAME_BYTES,
    PREFACE,
    ConnectionFault,
    ErrorCode,
    Flag,
    Kind,
    StreamFault,
    parse_head,
    read_settings,
    unpadded,
    word,
)
from podium_serving.rpc.http2.headers import HeaderReader
from podium_serving.rpc.http2.stream import Head, Limits, Listener

_SETTINGS_WEIGHT = 10
"""Of a SETTINGS among the frames that are counted: it may change the window of every stream."""


class FrameReader(asyncio.Protocol, Generic[Head]):
    """Calls the `on_…` methods below. They may raise ConnectionFault and StreamFault."""

    def __init__(self, listener: Listener[Head], loop: asyncio.AbstractEventLoop) -> None:
        self.limits: Limits = listener.limits
        self.loop = loop
        self.closing = False
        """What comes is not read any more."""
        self.heard_at = self.started_at = loop.time()
        """When the client was last heard of; when it began what has to be finished soon."""
        self._headers: HeaderReader[Head] = HeaderReader(listener.interpret)
        self._rest = b""
        self._greeted = False
        self._settled = False
        self._block: tuple[int, int, bytearray] | None = None
        """(stream, flags, parts) of a header block that is not complete."""
        self._idle_frames = 0

    def on_head(self, number: int, head: Head, ended: bool) -> None:
        raise NotImplementedError

    def on_data(self, number: int, payload: bytes, flags: int) -> None:
        raise NotImplementedError

    def on_reset(self, number: int) -> None:
        raise NotImplementedError

    def on_setting(self, name: int, value: int) -> None:
        raise NotImplementedError

    def on_settings_end(self) -> None:
        raise NotImplementedError

    def on_ping(self, payload: bytes, answers: bool) -> None:
        raise NotImplementedError

    def on_window(self, number: int, amount: int) -> None:
        raise NotImplementedError

    def on_stream_fault(self, fault: StreamFault) -> None:
        raise NotImplementedError

    def on_fault(self, fault: ConnectionFault) -> None:
        raise NotImplementedError

    @property
    def half_said(self) -> bool:
        """Something that should come in one piece has begun and not ended."""
        return not self._settled or self._block is not None

    def new_second(self) -> None:
        self._idle_frames = 0

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.loop.time()
        if self._rest:
            data = self._rest + data
        try:
            at = self._read(data)
        except ConnectionFault as fault:
            self._rest = b""
            self.on_fault(fault)
        else:
            self._rest = data[at:]

    def _read(self, data: bytes) -> int:
        """How many bytes were whole frames."""
        at = 0
        if not self._greeted:
            if data[: len(PREFACE)] != PREFACE[: len(data)]:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "this port speaks HTTP/2 (gRPC)")
            if len(data) < len(PREFACE):
                return 0
            self._greeted = True
            at = len(PREFACE)
        left = len(data) - at
        while left >= HEAD_BYTES and not self.closing:
            high, low, kind, flags, stream = parse_head(data, at)
            size = high << 8 | low
            if size > MAX_FRAME_BYTES:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"a frame of {size} bytes")
            if left < HEAD_BYTES + size:
                break
            start = at + HEAD_BYTES
            at = start + size
            left = len(data) - at
            self._frame(kind, flags, stream & LAST_STREAM, data[start:at])
        return len(data) if self.closing else at

    def _frame(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        if self._block is not None and kind != Kind.CONTINUATION:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a header block was not finished")
        if not self._settled and kind != Kind.SETTINGS:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "the first frame must be SETTINGS")
        handle = _HANDLERS.get(kind)
        try:
            if handle is None:  # to be ignored, says the protocol
                self.count_idle()
            else:
                handle(self, number, flags, payload)
        except StreamFault as fault:
            self.on_stream_fault(fault)
            self.count_idle()  # a client that has its calls reset by us (CVE-2025-8671) costs what one that resets them does

    def count_idle(self, weight: int = 1) -> None:
        """A frame that carries no call on."""
        self._idle_frames += weight
        if self._idle_frames > self.limits.frames_per_second:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many frames that carry no call on")

    def _headers_frame(self, number: int, flags: int, payload: bytes) -> None:
        if number % 2 == 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a client's streams have odd numbers")
        payload = unpadded(flags, payload)
        if flags & Flag.PRIORITY:
            if len(payload) < 5:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "HEADERS is too short for its priority")
            if word(payload) == number:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a stream depends on itself")
            payload = payload[5:]
        if flags & Flag.END_HEADERS:
            self.on_head(number, self._headers.read(payload), bool(flags & Flag.END_STREAM))
        else:
            self._block = (number, flags, bytearray(payload))
            self.started_at = self.loop.time()

    def _continuation_frame(self, number: int, flags: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != number:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        _, first_flags, block = self._block
        block += payload
        if len(block) > self.limits.head_bytes:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "a header block is too large")
        self.count_idle()
        if flags & Flag.END_HEADERS:
            self._block = None
            self.on_head(number, self._headers.read(bytes(block)), bool(first_flags & Flag.END_STREAM))

    def _data_frame(self, number: int, flags: int, payload: bytes) -> None:
        if number == 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "DATA without a stream")
        self.on_data(number, payload, flags)

    def _priority_frame(self, number: int, flags: int, payload: bytes) -> None:
        self.count_idle()
        if number == 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PRIORITY without a stream")
        if len(payload) != 5:
            raise StreamFault(ErrorCode.FRAME_SIZE_ERROR, number)
        if word(payload) == number:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR, number)

    def _reset_frame(self, number: int, flags: int, payload: bytes) -> None:
        self.count_idle()
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM has four bytes")
        self.on_reset(number)

    def _settings_frame(self, number: int, flags: int, payload: bytes) -> None:
        self.count_idle(_SETTINGS_WEIGHT)
        if number != 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        self._settled = True
        if flags & ACK:
            if payload:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS is empty")
            return
        for name, value in dict(read_settings(payload)).items():  # the last of each counts
            self.on_setting(name, value)
        self.on_settings_end()

    def _push_frame(self, number: int, flags: int, payload: bytes) -> None:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "a client pushes nothing")

    def _ping_frame(self, number: int, flags: int, payload: bytes) -> None:
        self.count_idle()
        if number != 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "PING has eight bytes")
        self.on_ping(payload, bool(flags & ACK))

    def _goaway_frame(self, number: int, flags: int, payload: bytes) -> None:
        self.count_idle()
        if number != 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream")

    def _window_frame(self, number: int, flags: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE has four bytes")
        amount = word(payload)
        if amount == 0 and number == 0:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by nothing")
        self.on_window(number, amount)


_HANDLERS: dict[int, Callable[[FrameReader[Any], int, int, bytes], None]] = {
    Kind.DATA: FrameReader._data_frame,
    Kind.HEADERS: FrameReader._headers_frame,
    Kind.PRIORITY: FrameReader._priority_frame,
    Kind.RST_STREAM: FrameReader._reset_frame,
    Kind.SETTINGS: FrameReader._settings_frame,
    Kind.PUSH_PROMISE: FrameReader._push_frame,
    Kind.PING: FrameReader._ping_frame,
    Kind.GOAWAY: FrameReader._goaway_frame,
    Kind.WINDOW_UPDATE: FrameReader._window_frame,
    Kind.CONTINUATION: FrameReader._continuation_frame,
}
