"""Calls with many messages: ModelStreamInfer here; health's Watch and reflection build on the same base."""

from collections import deque
from collections.abc import Callable

from podium_serving.exchange import DeadlineExceeded, NotServing, Overloaded, ServingError
from podium_serving.inference import Cancel
from podium_serving.rpc.call import LEAVING, Load, Unary
from podium_serving.rpc.framing import Messages, framed
from podium_serving.rpc.http2.stream import Stream
from podium_serving.rpc.metadata import CallHead
from podium_serving.rpc.status import HEAD, OK, trailers
from podium_serving.rpc.writing import stream_error, streamed

_IN_FLIGHT = 16
"""Requests of one stream that are worked on; further ones wait, and the client is not told to send more."""
UNREAD = 64
"""Frames that wait for a client that does not read. Then its requests wait, too."""


class StreamingCall:
    """A Receiver that cuts bytes into messages and ends in good order. Subclasses say what a message does."""

    def __init__(self, head: CallHead, stream: Stream, load: Load) -> None:
        self.open = True
        self.stream = stream
        self._load = load
        self._messages = Messages(head.encoding, load.max_message_bytes)
        self._counted_bytes = 0
        """Of the port's buffer: what is kept of messages, and answers that nobody has read."""
        self.waiting_bytes = 0
        """Of messages that a subclass keeps back."""
        self._started = False
        load.calls += 1

    def on_message(self, message: bytes) -> None:
        raise NotImplementedError

    def on_end(self) -> None:
        """The client has sent all."""
        raise NotImplementedError

    def on_close(self) -> None:
        """Nothing more can be sent."""

    def answer_bytes(self) -> int:
        """Of answers that a subclass keeps back."""
        return 0

    def received(self, content: bytes) -> None:
        try:
            for message in self._messages.fed(content):
                if self.open:
                    self.on_message(message)
        except ServingError as error:
            self.fail(error)
        self._count()

    def ended(self) -> None:
        if self.open:
            self.on_end()

    def gone(self) -> None:
        self._close()
        self._count()

    def drained(self) -> None:
        self._count()

    def sweep(self, now: float) -> None:
        self._count()

    def leave(self) -> None:
        self.fail(NotServing(LEAVING))

    def send(self, message: bytes) -> None:
        if not self.open:
            return
        if not self._started:
            self._started = True
            self.stream.headers(HEAD)
        self.stream.data(framed(message))
        self._count()

    def finish(self) -> None:
        self._last(OK)

    def fail(self, error: ServingError) -> None:
        self._last(trailers(error))

    def _last(self, block: bytes) -> None:
        if self.open:
            self._close()
            self.stream.headers(block if self._started else HEAD + block, end=True)

    def _close(self) -> None:
        if self.open:
            self.open = False
            self._load.calls -= 1
            self._messages = Messages(b"identity", 0)
            self.on_close()
            self._count()

    def _count(self) -> None:
        """What is kept for a call is of the port's buffer, as it is of the calls with one message."""
        kept = self._messages.kept_bytes + self.waiting_bytes + self.answer_bytes() + self.stream.waiting_bytes
        self._load.buffered_bytes += kept - self._counted_bytes
        self._counted_bytes = kept
        if kept and self._load.buffered_bytes > self._load.max_buffered_bytes:
            self.fail(Overloaded("too many large requests are being received; try again"))


class InferStream(StreamingCall):
    """ModelStreamInfer: an answer for each request, in their order. A request that fails is told so and ends nothing."""

    def __init__(self, head: CallHead, stream: Stream, load: Load, infer: Unary, now: Callable[[], float]) -> None:
        super().__init__(head, stream, load)
        self._head = head
        self._infer = infer
        self._now = now
        self._places: deque[_Place] = deque()
        self._waiting: deque[bytes] = deque()
        self._ended = False
        self._advancing = False
        self._ends_at = None if head.timeout_seconds is None else now() + head.timeout_seconds

    def on_message(self, message: bytes) -> None:
        self._waiting.append(message)
        self.waiting_bytes += len(message)
        self._advance()

    def drained(self) -> None:
        super().drained()
        self._advance()

    def answer_bytes(self) -> int:
        return sum(len(place.content) for place in self._places if place.content is not None)

    def on_end(self) -> None:
        self._ended = True
        self._advance()

    def on_close(self) -> None:
        self._waiting.clear()
        self.waiting_bytes = 0
        places, self._places = list(self._places), deque()
        for place in places:
            place.cancel()

    def sweep(self, now: float) -> None:
        super().sweep(now)
        if self._ends_at is not None and now > self._ends_at:
            self.fail(DeadlineExceeded("the stream's deadline is over"))

    def placed(self) -> None:
        """A place has its answer."""
        while self._places and (answer := self._places[0].content) is not None:
            self._places.popleft()
            self.send(answer)
        self._count()
        self._advance()

    def _advance(self) -> None:
        if self._advancing or not self.open:
            return
        self._advancing = True  # what fails at once calls this again
        while self._waiting and len(self._places) < _IN_FLIGHT and self.stream.waiting < UNREAD:
            message = self._waiting.popleft()
            self.waiting_bytes -= len(message)
            place = _Place(self)
            self._places.append(place)
            self._infer(self._head, message, place, self._now())
        self._advancing = False
        self.stream.hold(bool(self._waiting))
        if self._ended and not self._waiting and not self._places:
            self.finish()


class _Place:
    """A Reply: one request's place in the order of a stream."""

    __slots__ = ("_call", "_work", "content", "open")

    def __init__(self, call: InferStream) -> None:
        self._call = call
        self._work: Cancel | None = None
        self.open = True
        self.content: bytes | None = None
        """The answer, when it is there and may not be sent yet."""

    def begun(self, work: Cancel) -> None:
        self._work = work

    def answer(self, message: bytes, head: bytes = HEAD) -> None:
        self._fill(streamed(message))

    def fail(self, error: ServingError, request_id: str = "") -> None:
        self._fill(stream_error(str(error), request_id))

    def cancel(self) -> None:
        if self.open:
            self.open = False
            work, self._work = self._work, None
            if work is not None:
                work.cancel()

    def _fill(self, content: bytes) -> None:
        if self.open:
            self.open = False
            self._work = None  # it holds the request and knows this: only the garbage collector would free the two
            self.content = content
            self._call.placed()
