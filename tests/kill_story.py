"""Pods that send, administrators who erase, and collectors that die meanwhile: what was acknowledged must be true."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pyarrow.parquet as pq

from monitor_fixtures import KEY, CollectorProcess, batch, event, headers, prediction
from podium_crds.capture import erasure_token
from podium_monitor.lake.reading import local_files
from podium_monitor.lake.store import Store

_ROWS = 20
_TIMEOUT = aiohttp.ClientTimeout(total=120)
"""A batch is sent again after it. Whoever has it then must not write it later: its rows may be erased meanwhile."""


@dataclass
class Story:
    collectors: list[CollectorProcess]
    store: Store
    sent: int = 0
    """Rows, each once however often it was tried."""
    acknowledged: dict[str, str] = field(default_factory=dict)
    """Event id -> join key."""
    erased: set[str] = field(default_factory=set)
    """Join keys whose erasure was accepted, or may have been."""
    erasures: list[str] = field(default_factory=list)
    stopping: bool = False

    async def send(self, sender: int) -> None:
        """Batch after batch, each again until one of the collectors acknowledges it. Half are of an hour that is over."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            number = 0
            while not self.stopping:
                key = f"customer-{sender}-{number}"
                at = (datetime.now(UTC) - timedelta(hours=3 * (number % 2))).isoformat()
                ids = [f"{sender}-{number}-{index}" for index in range(_ROWS)]
                body = batch([event(one, time=at, data=prediction(join_key=key)) for one in ids])
                self.sent += _ROWS
                await self._until_accepted(session, "/v1/events", body, headers(), 200)
                self.acknowledged.update(dict.fromkeys(ids, key))
                number += 1

    async def erase(self) -> None:
        """One acknowledged customer after another."""
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            while not self.stopping:
                keys = sorted(set(self.acknowledged.values()) - self.erased)
                if keys:
                    key = random.choice(keys)
                    self.erased.add(key)
                    body = b'{"join_keys": ["%s"], "requested_by": "test"}' % key.encode()
                    answer = await self._until_accepted(session, "/v1/erasures", body, _admin(), 202)
                    self.erasures.append(answer["id"])
                await asyncio.sleep(0.7)

    async def _until_accepted(
        self, session: aiohttp.ClientSession, path: str, body: bytes, sent: dict[str, str], status: int
    ) -> Any:
        while True:
            collector = random.choice(self.collectors)
            with suppress(aiohttp.ClientError, TimeoutError):
                async with session.post(f"{collector.url}{path}", data=body, headers=sent) as response:
                    if response.status == status:
                        return await response.json()
                    if response.status not in (429, 503):
                        raise AssertionError(await response.text())
            await asyncio.sleep(0.02)

    def found(self) -> Counter[str]:
        """Rows that a reader finds, by event id."""
        now = datetime.now(UTC)
        files = local_files(self.store, "predictions", "shop", "churn", now - timedelta(days=1), now + timedelta(hours=1))
        return Counter(one for file in files for one in pq.ParquetFile(file).read(["event_id"])[0].to_pylist())

    def lost(self) -> list[str]:
        """What was acknowledged before the look, of nobody who is being erased, and is not found."""
        promised = {one for one, key in self.acknowledged.items() if key not in self.erased}
        return sorted(promised - set(self.found()))

    async def erasures_done(self, seconds: float) -> int:
        """Waits until all are done. Returns the rows that they erased."""
        rows = 0
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, asyncio.timeout(seconds):
            for identity in self.erasures:
                while True:
                    with suppress(aiohttp.ClientError, TimeoutError):
                        url = f"{random.choice(self.collectors).url}/v1/erasures/{identity}"
                        async with session.get(url, headers=_admin()) as response:
                            answer = await response.json()
                            if response.status == 200 and answer["state"] == "Done":
                                rows += sum(answer["rows"].values())
                                break
                    await asyncio.sleep(0.1)
        return rows

    async def goes_on(self, rows: int = 100, seconds: float = 180) -> None:
        """Waits until so many more rows are acknowledged: on a busy machine a collector needs a while to do anything."""
        wanted = len(self.acknowledged) + rows
        async with asyncio.timeout(seconds):
            while len(self.acknowledged) < wanted:  # noqa: ASYNC110  senders have no event for it
                await asyncio.sleep(0.02)

    async def compacted(self, seconds: float = 180) -> None:
        """Waits until small files became one. Raises TimeoutError when nothing does."""
        async with asyncio.timeout(seconds):
            while not await asyncio.to_thread(self._has_merged):  # noqa: ASYNC110  it is another process's
                await asyncio.sleep(0.1)

    def _has_merged(self) -> bool:
        return any(entry.path.endswith("-merged.parquet") for entry in self.store.list("predictions"))

    def left(self) -> set[str]:
        """What must be there in the end."""
        return {one for one, key in self.acknowledged.items() if key not in self.erased}


async def told(story: Story, senders: int, trouble: Callable[[], Any]) -> None:
    """Runs the story while `trouble` (a coroutine function) goes on, and stops it."""
    work = [asyncio.ensure_future(story.send(sender)) for sender in range(senders)]
    work.append(asyncio.ensure_future(story.erase()))
    try:
        await trouble()
    finally:
        story.stopping = True
    await asyncio.gather(*work)


def _admin() -> dict[str, str]:
    return {"Authorization": f"Bearer {erasure_token(KEY)}"}
