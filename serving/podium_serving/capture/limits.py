"""The bounds of capture. Defaults that nobody has needed to change."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CaptureLimits:
    max_events: int = 20_000
    """Rows that wait to be sent. More are dropped."""

    max_bytes: int = 32 * 1024 * 1024
    """Their estimated size."""

    batch_events: int = 5000
    """Rows of one batch, at most."""

    batch_bytes: int = 2 * 1024 * 1024
    """Bytes of one batch, about. As events they may be eight times as many, and the collector takes 32 MB."""

    linger_seconds: float = 1.0
    """The first event of a batch waits so long for company: the lake gets a file per batch, and wants few."""

    request_seconds: float = 10.0
    """One POST to the collector."""

    first_pause_seconds: float = 0.2
    longest_pause_seconds: float = 15.0
    """Between tries; it doubles. A Retry-After of the collector is obeyed up to the longest."""

    close_seconds: float = 3.5
    """What is left when the pod goes is sent for so long."""
