"""Sends buffered events in batches until the collector has them, one batch at a time and oldest first.

A batch is posted again, byte for byte, until it is accepted or refused for good; the collector knows events by id, so an
answer that was lost costs nothing. Encoding happens on the event loop in slices short enough to go unnoticed (64 rows of 20
columns take 0.2 ms); compression happens in a thread, which zlib lets run beside the loop.
"""

import asyncio
import gzip
import io
import logging
import secrets
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

import aiohttp

from podium_crds.capture import CONTENT_TYPE
from podium_serving.capture.events import Captured, batch
from podium_serving.capture.limits import CaptureLimits
from podium_serving.metrics import Values
from podium_serving.settings import Settings

logger = logging.getLogger(__name__)

_SLICE_ROWS = 64
_GZIP_LEVEL = 1
_REFUSED_FOR_GOOD = {400, 405, 411, 413, 414, 415, 422}
"""The same bytes will be refused again. Anything else may pass: credentials are replaced, services come back."""
_chance = secrets.SystemRandom()


class Verdict(Enum):
    ACCEPTED = "Accepted"
    REFUSED = "Refused"
    LATER = "Later"


@dataclass(frozen=True, slots=True)
class Reply:
    verdict: Verdict
    text: str = ""
    pause_seconds: float | None = None
    """What the collector asks for, if it does."""


def reply_to(status: int, retry_after: str, text: str) -> Reply:
    """What an HTTP answer of the collector means."""
    if status == 200:
        return Reply(Verdict.ACCEPTED)
    if status in _REFUSED_FOR_GOOD:
        return Reply(Verdict.REFUSED, f"HTTP {status}: {text}")
    pause = float(retry_after) if retry_after.isascii() and retry_after.isdigit() else None
    return Reply(Verdict.LATER, f"HTTP {status}: {text}", pause)


class Sender:
    def __init__(self, settings: Settings, limits: CaptureLimits, outcomes: Values) -> None:
        self._limits = limits
        self._outcomes = outcomes
        self._headers = {
            "Authorization": f"Bearer {settings.secrets.capture_token}",
            "Podium-Source": f"{settings.namespace}/{settings.deployment}/{settings.deployment_uid}",
            "Content-Type": CONTENT_TYPE,
            "Content-Encoding": "gzip",
        }
        self._buffer: deque[Captured] = deque()
        self._held_rows = 0
        self._held_bytes = 0
        self._arrived = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._troubled = False

    def take(self, captured: Captured) -> bool:
        """Buffers it, or drops and counts it. False: dropped."""
        size = captured.estimated_bytes()
        full = self._held_rows + captured.rows > self._limits.max_events or self._held_bytes + size > self._limits.max_bytes
        if full or self._closing.is_set():
            self._count("Dropped", captured.rows)
            return False
        self._held_rows += captured.rows
        self._held_bytes += size
        self._buffer.append(captured)
        self._arrived.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        return True

    async def close(self) -> None:
        """Sends what is buffered, within `close_seconds`; counts the rest as Abandoned."""
        self._closing.set()
        self._arrived.set()
        if self._task is None:
            return
        await asyncio.wait([self._task], timeout=self._limits.close_seconds)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._count("Abandoned", self._held_rows)
        self._held_rows = 0
        self._buffer.clear()

    async def _run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._limits.request_seconds)) as session:
            while self._buffer or not self._closing.is_set():
                await self._arrived.wait()
                if self._held_rows < self._limits.batch_events:
                    await self._pause(self._limits.linger_seconds)
                self._arrived.clear()
                while self._buffer:
                    await self._send_first(session)

    async def _send_first(self, session: aiohttp.ClientSession) -> None:
        """Sends the oldest captured requests of one URL. They count as held until their fate is known."""
        url = self._buffer[0].url
        events: list[bytes] = []
        size = taken = 0
        while self._buffer and self._buffer[0].url == url and not self._is_full(events, size):
            captured = self._buffer.popleft()
            taken += captured.estimated_bytes()
            for start in range(0, captured.rows, _SLICE_ROWS):
                if self._is_full(events, size):
                    await self._deliver(session, url, events)
                    events, size = [], 0
                part = self._encoded(captured, start, min(start + _SLICE_ROWS, captured.rows))
                events += part
                size += sum(map(len, part))
                await asyncio.sleep(0)
        if events:
            await self._deliver(session, url, events)
        self._held_bytes -= taken

    def _encoded(self, captured: Captured, start: int, end: int) -> list[bytes]:
        try:
            return captured.events(start, end)
        except Exception:  # one request's values that JSON cannot hold must not end capture for all others
            logger.exception("rows %d to %d of event %s cannot be written as JSON", start, end, captured.event)
            self._count("Dropped", end - start)
            self._held_rows -= end - start
            return []

    def _is_full(self, events: list[bytes], size: int) -> bool:
        return len(events) >= self._limits.batch_events or size >= self._limits.batch_bytes

    async def _deliver(self, session: aiohttp.ClientSession, url: str, events: list[bytes]) -> None:
        body = await asyncio.to_thread(gzip.compress, batch(events), _GZIP_LEVEL)
        pause = self._limits.first_pause_seconds
        while (reply := await self._post(session, url, body)).verdict is Verdict.LATER:
            self._say(f"captured predictions wait: {url} does not take them now ({reply.text})", troubled=True)
            asked = pause if reply.pause_seconds is None else max(pause, reply.pause_seconds)
            await self._pause(min(asked, self._limits.longest_pause_seconds) * _chance.uniform(0.7, 1.0))
            pause = min(pause * 2, self._limits.longest_pause_seconds)
        if reply.verdict is Verdict.REFUSED:
            self._say(f"{len(events)} captured predictions were refused by {url}: {reply.text}", troubled=True)
        else:
            self._say(f"{url} takes captured predictions again", troubled=False)
        self._count(reply.verdict.value, len(events))
        self._held_rows -= len(events)

    async def _post(self, session: aiohttp.ClientSession, url: str, body: bytes) -> Reply:
        try:
            content = io.BytesIO(body)  # aiohttp writes a stream in pieces, and warns of more than 1 MiB in one
            async with session.post(url, data=content, headers=self._headers, allow_redirects=False) as response:
                text = (await response.content.read(500)).decode(errors="replace")
                return reply_to(response.status, response.headers.get("Retry-After", ""), text)
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            return Reply(Verdict.LATER, repr(error))

    async def _pause(self, seconds: float) -> None:
        """Shorter when the pod goes: then only a little time is left to try again."""
        if self._closing.is_set():
            await asyncio.sleep(min(seconds, self._limits.first_pause_seconds))
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closing.wait()

    def _say(self, text: str, *, troubled: bool) -> None:
        """Logs changes only: a collector that is away for an hour is one line."""
        if troubled != self._troubled:
            self._troubled = troubled
            logger.log(logging.WARNING if troubled else logging.INFO, text)

    def _count(self, outcome: str, rows: int) -> None:
        if rows:
            self._outcomes.labels(outcome).inc(rows)
