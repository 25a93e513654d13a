"""Events on their way into a batch: written in slices between requests, and compressed at once. No I/O.

A slice is short enough to go unnoticed, and the next is written a turn of the loop later. Compressing them here, bit by
bit, costs 1 µs per row; a thread for it would take the interpreter or the core away from requests for milliseconds at a
time. What waits to be sent is a tenth of what it was before.
"""

from collections import deque
from collections.abc import Callable

from isal import isal_zlib

from podium_serving.capture.events import Captured
from podium_serving.capture.limits import CaptureLimits

SLICE_BYTES = 16 * 1024
"""Estimated, of what a slice writes at least: fifteen rows of 30 values, 0.1 ms."""
SLICE_ROWS = 64
"""Of one request."""
_SHARE = 4
"""A slice is at least this part of what waits, so that slices keep up with what comes."""
_GZIP = 31
"""zlib's window bits for a gzip header."""
_LEVEL = 1


class Batch:
    """A JSON array of events for one URL, compressed as it grows."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rows = 0
        self.text_bytes = 0
        """Before compression."""
        self.held_bytes = 0
        self._compressor = isal_zlib.compressobj(_LEVEL, wbits=_GZIP)
        self._parts: list[bytes] = []

    def add(self, events: list[bytes]) -> None:
        text = (b"," if self.rows else b"[") + b",".join(events)
        self.rows += len(events)
        self.text_bytes += len(text)
        self._take(self._compressor.compress(text))

    def body(self) -> bytes:
        """The whole batch. Nothing can be added any more."""
        self._take(self._compressor.compress(b"]") + self._compressor.flush())
        return b"".join(self._parts)

    def _take(self, part: bytes) -> None:
        if part:
            self._parts.append(part)
            self.held_bytes += len(part)


class Batches:
    """What was captured and is not yet sent: first as it is, then as batches."""

    def __init__(self, limits: CaptureLimits, on_lost: Callable[[Captured, int], None]) -> None:
        """`on_lost` is told, while the exception is handled, of rows that cannot be written, and how many they are."""
        self._limits = limits
        self._on_lost = on_lost
        self._waiting: deque[Captured] = deque()
        self._written_rows = 0
        """Of the first that waits."""
        self._open: Batch | None = None
        self.full: deque[Batch] = deque()
        self.waiting_bytes = 0
        """Estimated, of what is not written yet."""

    @property
    def written_bytes(self) -> int:
        """Of batches that are not taken away yet, compressed."""
        return sum([batch.held_bytes for batch in self.full], self._open.held_bytes if self._open is not None else 0)

    @property
    def waits(self) -> bool:
        return bool(self._waiting)

    def add(self, captured: Captured) -> None:
        """Its size is known."""
        self._waiting.append(captured)
        self.waiting_bytes += captured.size

    def write_slice(self) -> None:
        """Writes the oldest: many small ones, or a part of a large one."""
        left = max(SLICE_BYTES, self.waiting_bytes // _SHARE)
        events: list[bytes] = []
        while self._waiting and left > 0:
            captured = self._waiting[0]
            if self._open is None or self._open.url != captured.text.url:
                self._add(events)
                events = []
                self.close_open()
                self._open = Batch(captured.text.url)
            rows, start, end = captured.rows, self._written_rows, 1
            if rows > 1:
                row_bytes = max(1, captured.size // rows)
                end = min(rows, start + max(1, min(SLICE_ROWS, left // row_bytes)))
                left = 0 if end - start == SLICE_ROWS else left - (end - start) * row_bytes
            else:
                left -= captured.size
            events += self._events(captured, start, end)
            self._written_rows = end
            if end == rows:
                self._waiting.popleft()
                self.waiting_bytes -= captured.size
                self._written_rows = 0
            if self._open.rows + len(events) >= self._limits.batch_events:
                self._add(events)
                events = []
        self._add(events)

    def close_open(self) -> None:
        """What is written so far is a batch."""
        if self._open is not None and self._open.rows:
            self.full.append(self._open)
        self._open = None

    def forget(self) -> None:
        self._waiting.clear()
        self.full.clear()
        self._open = None

    def _add(self, events: list[bytes]) -> None:
        batch = self._open
        if batch is None or not events:
            return
        batch.add(events)
        if batch.rows >= self._limits.batch_events or batch.text_bytes >= self._limits.batch_bytes:
            url = batch.url
            self.close_open()
            self._open = Batch(url)

    def _events(self, captured: Captured, start: int, end: int) -> list[bytes]:
        try:
            return captured.events(start, end)
        except Exception:  # one request's values that JSON cannot hold must not end capture for all others
            self._on_lost(captured, end - start)
            return []
