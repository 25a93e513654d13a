"""Sends buffered events in batches until the collector has them, one batch at a time and oldest first.

A batch is posted again, byte for byte, until it is accepted or refused for good; the collector knows events by id, so an
answer that was lost costs nothing.
"""

import asyncio
import logging
import secrets
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from podium_crds.rows import CONTENT_TYPE
from podium_serving.capture.batches import SLICE_BYTES, Batch, Batches
from podium_serving.capture.events import Captured
from podium_serving.capture.limits import CaptureLimits
from podium_serving.metrics import Values
from podium_serving.settings import Settings
from podium_serving.web.client import Client

logger = logging.getLogger(__name__)

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


def source_headers(settings: Settings) -> dict[str, str]:
    """By which the collector knows whose pod is speaking."""
    return {
        "Authorization": f"Bearer {settings.secrets.capture_token}",
        "Podium-Source": f"{settings.namespace}/{settings.deployment}/{settings.deployment_uid}",
    }


class Sender:
    def __init__(self, settings: Settings, limits: CaptureLimits, outcomes: Values) -> None:
        self._limits = limits
        self._outcomes = outcomes
        self._headers = source_headers(settings) | {"Content-Type": CONTENT_TYPE}
        self._batches = Batches(limits, self._lost)
        self._held_rows = 0
        self._sent_bytes = 0
        """Of the batch that is being sent."""
        self._batched_bytes = 0
        """Of what is written, and not yet taken by the collector."""
        self._slice_is_due = False
        self._arrived = asyncio.Event()
        self._hurry = asyncio.Event()
        """A batch is full, or the pod goes."""
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._troubled = False

    def take(self, captured: Captured) -> bool:
        """Buffers it, or drops and counts it. False: dropped."""
        rows, size = captured.rows, captured.weigh()
        batches = self._batches
        full = self._held_rows + rows > self._limits.max_events
        full = full or batches.waiting_bytes + self._batched_bytes + size > self._limits.max_bytes
        if full or self._closing.is_set():
            self._count("Dropped", rows)
            return False
        self._held_rows += rows
        batches.add(captured)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())
        if not self._arrived.is_set():
            self._arrived.set()
        if not self._slice_is_due and batches.waiting_bytes >= SLICE_BYTES:
            self._slice_is_due = True
            asyncio.get_running_loop().call_soon(self._write_slice)
        return True

    def _write_slice(self) -> None:
        self._batches.write_slice()
        self._weigh()
        if self._batches.full:
            self._hurry.set()
        self._slice_is_due = self._batches.waiting_bytes >= SLICE_BYTES
        if self._slice_is_due:
            asyncio.get_running_loop().call_soon(self._write_slice)

    def _weigh(self) -> None:
        self._batched_bytes = self._batches.written_bytes + self._sent_bytes

    def _lost(self, captured: Captured, rows: int) -> None:
        logger.exception("%d rows of event %s cannot be written as JSON", rows, captured.event.decode())
        self._count("Dropped", rows)
        self._held_rows -= rows

    async def close(self) -> None:
        """Sends what is buffered, within `close_seconds`; counts the rest as Abandoned."""
        self._closing.set()
        self._arrived.set()
        self._hurry.set()
        if self._task is None:
            return
        await asyncio.wait([self._task], timeout=self._limits.close_seconds)
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        self._count("Abandoned", self._held_rows)
        self._held_rows = 0
        self._batches.forget()

    async def _run(self) -> None:
        async with Client(connect_seconds=self._limits.request_seconds) as client:
            while self._held_rows or not self._closing.is_set():
                if not self._held_rows:
                    self._arrived.clear()
                    await self._arrived.wait()
                await self._linger()
                await self._write_all()
                while self._batches.full:
                    await self._deliver(client, self._batches.full.popleft())

    async def _linger(self) -> None:
        if not self._batches.full and not self._closing.is_set():
            self._hurry.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limits.linger_seconds):
                    await self._hurry.wait()

    async def _write_all(self) -> None:
        """What waits, up to a full batch; what has company enough already is left to the next one."""
        while self._batches.waits and not self._batches.full:
            self._batches.write_slice()
            await asyncio.sleep(0)
        if not self._batches.full:
            self._batches.close_open()

    async def _deliver(self, client: Client, batch: Batch) -> None:
        """They count as held until their fate is known."""
        url, rows, body = batch.url, batch.rows, batch.body()
        self._sent_bytes = len(body)
        self._weigh()
        pause = self._limits.first_pause_seconds
        while (reply := await self._post(client, url, body)).verdict is Verdict.LATER:
            self._say(f"captured predictions wait: {url} does not take them now ({reply.text})", troubled=True)
            asked = pause if reply.pause_seconds is None else max(pause, reply.pause_seconds)
            await self._pause(min(asked, self._limits.longest_pause_seconds) * _chance.uniform(0.7, 1.0))
            pause = min(pause * 2, self._limits.longest_pause_seconds)
        if reply.verdict is Verdict.REFUSED:
            self._say(f"{rows} captured predictions were refused by {url}: {reply.text}", troubled=True)
        else:
            self._say(f"{url} takes captured predictions again", troubled=False)
        self._count(reply.verdict.value, rows)
        self._held_rows -= rows
        self._sent_bytes = 0
        self._weigh()

    async def _post(self, client: Client, url: str, body: bytes) -> Reply:
        try:
            async with (
                asyncio.timeout(self._limits.request_seconds),
                client.ask("POST", url, self._headers, body, silent_seconds=self._limits.request_seconds) as answered,
            ):
                text = (await answered.read(500)).decode(errors="replace")
                return reply_to(answered.status, answered.header("Retry-After"), text)
        except (OSError, ValueError) as error:  # TimeoutError is an OSError, what is no address a ValueError
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
