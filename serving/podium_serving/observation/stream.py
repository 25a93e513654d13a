"""Writes lines to a file descriptor that may block, be slow, or be gone."""

import os
import select
import threading

from podium_serving.observation.lines import chunks

_LOOK_SECONDS = 0.2


class Stream:
    """An Outlet's write: whole lines, in writes that are not mixed with those of other processes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __call__(self, lines: list[bytes], closing: threading.Event) -> int:
        """The number of lines written. Raises OSError never: who has no reader has no log."""
        written = 0
        for chunk in chunks(lines):
            try:
                self._write(chunk)
            except OSError:
                break
            written += chunk.count(b"\n")
        return written

    def _write(self, chunk: bytes) -> None:
        """Also where the descriptor was made non-blocking by whoever shares it."""
        rest = memoryview(chunk)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [], _LOOK_SECONDS)
