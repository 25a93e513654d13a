"""Blocks on their way into a batch: written in slices between requests. No I/O.

A slice is short enough to go unnoticed, and the next is written a turn of the loop later. Nothing is compressed: arrays of
numbers shrink by a third only (docs/decisions/20261121-hot-path.md).
"""

from collections import deque
from collections.abc import Callable

from podium_crds.rows import body_of
from podium_serving.capture.events import Captured
from podium_serving.capture.limits import CaptureLimits

SLICE_BYTES = 64 * 1024
"""Estimated, of what a slice writes at least: two hundred rows of 30 values in a dozen runs, 0.1 ms."""
_SHARE = 4
"""A slice is at least this part of what waits, so that slices keep up with what comes."""


class Batch:
    """Blocks for one URL."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.rows = 0
        self.held_bytes = 0
        self._blocks: list[bytes] = []

    def add(self, block: bytes, rows: int) -> None:
        self._blocks.append(block)
        self.rows += rows
        self.held_bytes += len(block)

    def body(self) -> bytes:
        """The whole batch."""
        return body_of(self._blocks)


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
        """Of batches that are not taken away yet."""
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
        while self._waiting and left > 0:
            captured = self._waiting[0]
            batch = self._batch_for(captured)
            start, rows = self._written_rows, captured.rows
            row_bytes = max(1, captured.size // max(1, rows))
            most = min(left, SLICE_BYTES) // row_bytes
            end = min(rows, start + max(1, min(most, self._limits.batch_events - batch.rows)))
            left = left - (end - start) * row_bytes if end == rows else 0
            self._write(batch, captured, start, end)
            self._written_rows = end
            if end == rows:
                self._waiting.popleft()
                self.waiting_bytes -= captured.size
                self._written_rows = 0
            if batch.rows >= self._limits.batch_events or batch.held_bytes >= self._limits.batch_bytes:
                self.close_open()

    def close_open(self) -> None:
        """What is written so far is a batch."""
        if self._open is not None and self._open.rows:
            self.full.append(self._open)
        self._open = None

    def forget(self) -> None:
        self._waiting.clear()
        self.full.clear()
        self._open = None

    def _batch_for(self, captured: Captured) -> Batch:
        url = captured.planned.url
        if self._open is None or self._open.url != url:
            self.close_open()
            self._open = Batch(url)
        return self._open

    def _write(self, batch: Batch, captured: Captured, start: int, end: int) -> None:
        try:
            batch.add(captured.block(start, end), end - start)
        except Exception:  # one request's values that JSON cannot hold must not end capture for all others
            self._on_lost(captured, end - start)
