"""What a connection and the port that it belongs to agree on: a stream is a call, and a Receiver is told of its bytes."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

from podium_serving.rpc.http2.headers import MAX_LIST_BYTES, RawHeaders
from podium_serving.rpc.http2.sending import Outgoing

Head = TypeVar("Head")
Interpreted = TypeVar("Interpreted", covariant=True)


class Receiver(Protocol):
    """What one stream's bytes go to. Nothing here may raise."""

    def received(self, content: bytes) -> None: ...

    def ended(self) -> None:
        """The client has sent all."""

    def gone(self) -> None:
        """The client is gone or has reset the stream: nothing more can be sent."""

    def drained(self) -> None:
        """What waited for the client's window is sent."""

    def sweep(self, now: float) -> None:
        """Called every second, with the loop's time."""

    def leave(self) -> None:
        """The server is stopping: what has no end of its own has to end."""


@dataclass(frozen=True)
class Limits:
    """What one connection may ask for."""

    streams: int = 512
    """Calls at a time. A client keeps further ones back."""
    stream_window: int = 1024 * 1024
    """Bytes of one stream that a client may send ahead."""
    connection_window: int = 16 * 1024 * 1024
    frames_per_second: int = 10_000
    """Frames that carry no call on: PING, SETTINGS, RST_STREAM, PRIORITY, empty ones. More is an attack."""
    head_bytes: int = MAX_LIST_BYTES
    start_seconds: float = 10.0
    """Until a client has said that it speaks HTTP/2, and for a header block in parts."""
    idle_seconds: float = 75.0
    """Silence after which a client is asked whether it is still there."""
    answer_seconds: float = 20.0
    """How long it may take to say so, or to take bytes that wait for it."""
    leave_seconds: float = 5.0
    """How long a client may still open streams after it was told that the server is leaving, if it does not say that it
    heard so."""


class Place(Protocol):
    """A stream's connection, as the stream needs it."""

    def send_unary(self, stream: "Stream", head: bytes, message: bytes, trailers: bytes) -> None: ...

    def send_headers(self, stream: "Stream", block: bytes, end: bool) -> None: ...

    def send_data(self, stream: "Stream", content: bytes) -> None: ...

    def give_back(self, stream: "Stream") -> None: ...


class Stream:
    """One call's place on its connection; what the Receiver writes with."""

    __slots__ = ("_place", "half_closed", "held", "number", "out", "owed", "receiver", "room")

    def __init__(self, place: Place, number: int, out: Outgoing, room: int) -> None:
        self._place = place
        self.number = number
        self.out = out
        self.room = room
        """Bytes that the client may still send."""
        self.owed = 0
        """Bytes that were taken and not given back to the client's window."""
        self.held = False
        self.half_closed = False
        """The client has sent all."""
        self.receiver: Receiver

    @property
    def open(self) -> bool:
        """Something may still be sent."""
        return not self.out.ended

    @property
    def waiting(self) -> int:
        """Frames that the client has no room for yet."""
        return len(self.out.waiting)

    @property
    def waiting_bytes(self) -> int:
        """Of the same frames."""
        return sum(len(content) for _, content in self.out.waiting)

    def unary(self, head: bytes, message: bytes, trailers: bytes) -> None:
        """A whole answer. Nothing may have been sent before."""
        self._place.send_unary(self, head, message, trailers)

    def headers(self, block: bytes, *, end: bool = False) -> None:
        self._place.send_headers(self, block, end)

    def data(self, content: bytes) -> None:
        self._place.send_data(self, content)

    def hold(self, held: bool) -> None:
        """While held, the client is not told that it may send more than it may already."""
        self.held = held
        if not held:
            self._place.give_back(self)


class Listener(Protocol[Head]):
    """The port that a connection belongs to."""

    limits: Limits

    def interpret(self, headers: RawHeaders) -> Head:
        """What the port wants to know of a request's headers. Pure: it is kept for equal headers."""

    def call(self, head: Head, stream: Stream) -> Receiver: ...

    def opened(self, connection: "Link") -> None: ...

    def closed(self, connection: "Link") -> None: ...


class Link(Protocol):
    """A connection, as the port's server needs it."""

    def sweep(self, now: float) -> None:
        """Called every second: ends what takes too long. `now` is the loop's time."""

    def shutdown(self) -> None:
        """Asks the client to go elsewhere and closes when its calls are answered. May be called again and again."""

    def abort(self) -> None: ...
