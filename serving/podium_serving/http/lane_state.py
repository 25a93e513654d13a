"""What the connections of one port share (Lane)."""

import asyncio
from dataclasses import dataclass, field

from podium_serving.http.known_heads import KnownHeads
from podium_serving.http.outbox import Outbox
from podium_serving.http.ports import Port
from podium_serving.http.requests import Head
from podium_serving.http.responses import BodyTooLarge, JsonTooLarge
from podium_serving.reading import Reading
from podium_serving.settings import HttpSettings

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
    outbox: Outbox = field(default_factory=Outbox)
    known: KnownHeads = field(init=False)
    reading: Reading = field(init=False)
    max_json_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.max_json_bytes = min(self.settings.max_json_bytes, self.settings.max_body_bytes)
        self.known = KnownHeads(forwarded=self.port.forwarded, max_body_bytes=self.max_json_bytes)
        self.reading = Reading(self)

    def most_bytes(self, head: Head) -> int:
        """Of a body. One without the header that says where its JSON ends is JSON."""
        return self.max_json_bytes if head.inference_header_length is None else self.settings.max_body_bytes

    def too_large(self, head: Head, size: int) -> BodyTooLarge:
        limit = self.most_bytes(head)
        return (JsonTooLarge if limit < self.settings.max_body_bytes else BodyTooLarge)(size, limit)

    @property
    def closing(self) -> bool:
        return self.port.calls.draining

    @property
    def body_seconds(self) -> float:
        limit = self.settings.body_timeout_seconds
        return min(limit, LINGER_SECONDS) if self.hurried else limit
