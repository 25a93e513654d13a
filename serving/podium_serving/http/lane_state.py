"""What the lane keeps: per port (Lane) and per request (Exchange)."""

import asyncio
import time
from dataclasses import dataclass, field

from podium_serving.exchange import InferRequest, ServingError
from podium_serving.http.dialects.dialect import Arrived
from podium_serving.http.known_heads import KnownHeads
from podium_serving.http.ports import Port
from podium_serving.http.requests import Head, RawHeaders
from podium_serving.http.routes import Target
from podium_serving.inference import Cancel
from podium_serving.settings import HttpSettings
from podium_serving.state import Serving

LINGER_SECONDS = 2.0
"""How long what a refused client still sends is thrown away, so that it reads the refusal and no connection reset."""


@dataclass
class Lane:
    """What all connections of one port share."""

    port: Port
    settings: HttpSettings
    buffered_bytes: int = 0
    """Of bodies that are being received."""
    open_requests: int = 0
    """Inference requests between their head and their response."""
    hurried: bool = False
    """Half-sent requests get LINGER_SECONDS more: the server is stopping."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    """Of requests whose dialect has more to do than to read and write."""
    known: KnownHeads = field(init=False)

    def __post_init__(self) -> None:
        self.known = KnownHeads(forwarded=self.port.forwarded, max_body_bytes=self.settings.max_body_bytes)

    @property
    def closing(self) -> bool:
        return self.port.calls.draining

    @property
    def body_seconds(self) -> float:
        limit = self.settings.body_timeout_seconds
        return min(limit, LINGER_SECONDS) if self.hurried else limit


class _NoEvent:
    """Nobody waits for the body's parts of an Exchange; uvicorn tells all the same."""

    def set(self) -> None: ...


class Exchange(Arrived):
    """One inference request and its response; stands where uvicorn's protocol keeps its request cycle.

    What has arrived and what the lane keeps of it are one object, for one is made per request. `entered` is the plan that
    it holds open; `model`, `deadline`, `request_id` and `body` are there once it is whole.
    """

    __slots__ = (
        "begun", "body_at", "chunks", "complete", "disconnected", "entered", "front", "keep_alive", "refusal", "released",
        "request", "response_complete", "size", "target", "wants_continue",
    )  # fmt: skip

    message_event = _NoEvent()

    def __init__(self, target: Target, headers: RawHeaders, head: Head, entered: Serving | None) -> None:
        # Not by the parent's own: it takes a second over a million requests longer.
        self.head = head
        self.headers = headers
        self.version = target.version
        self.admitted_at = time.monotonic()
        self.id_in_body = ""
        self.target = target
        self.entered = entered
        self.body_at = 0.0
        self.chunks: list[bytes] = []
        self.size = 0
        self.complete = False
        self.front = False
        self.keep_alive = True
        self.wants_continue = False
        self.refusal: ServingError | None = None
        self.response_complete = False
        self.disconnected = False
        self.released = False
        self.begun: Cancel | None = None
        self.request: InferRequest | None = None
