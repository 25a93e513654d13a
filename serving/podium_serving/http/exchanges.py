"""What a connection keeps of one inference request, from its head to its response."""

from typing import ClassVar

from podium_serving.exchange import InferRequest, ServingError
from podium_serving.http.dialects.dialect import Arrived
from podium_serving.http.requests import Head, RawHeaders
from podium_serving.http.routes import Target
from podium_serving.inference import Cancel
from podium_serving.served import Serving
from podium_serving.settings import OutsideTraining


class _NoEvent:
    """Nobody waits for the body's parts of an Exchange; uvicorn tells all the same."""

    def set(self) -> None: ...


class Exchange(Arrived):
    """One inference request and its response; stands where uvicorn's protocol keeps its request cycle.

    What has arrived and what the lane keeps of it are one object, for one is made per request.
    """

    message_event: ClassVar[_NoEvent] = _NoEvent()

    def __init__(
        self,
        target: Target,
        head: Head,
        headers: RawHeaders,
        entered: Serving | None,
        model: str,
        admitted_at: float,
        outside_training: OutsideTraining,
        refusal: ServingError | None,
    ) -> None:
        """`entered` is the plan that it holds open."""
        super().__init__(head, headers, entered, model, target.version, admitted_at, outside_training)
        self.target = target
        self.entered = entered
        self.refusal = refusal
        """What its head says already."""
        self.body_at = 0.0
        """Monotonic seconds of the end of its body."""
        self.chunks: list[bytes] = []
        self.size = 0
        self.unpacked_size = 0
        """Bytes of what a packed body became."""
        self.complete = False
        self.front = False
        self.keep_alive = True
        self.wants_continue = False
        self.response_complete = False
        self.disconnected = False
        self.released = False
        self.begun: Cancel | None = None
        self.request: InferRequest | None = None
