"""One deployment, or whoever has its credential, cannot keep the collector from the others."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from monitor_fixtures import KEY, CollectorProcess, batch, event, headers, running, until
from podium_crds.capture import label_token
from podium_crds.shares import Taken
from podium_monitor.committer import Committer, Full
from podium_monitor.credentials import Source
from podium_monitor.doors import Lookups
from podium_monitor.known import KnownEvents
from podium_monitor.lake.store import FolderStore
from podium_monitor.lake.tables import Place, Rows
from podium_monitor.lake.writer import Lake
from podium_monitor.metrics import Metrics
from podium_monitor.settings import Limits

pytestmark = pytest.mark.process

OTHER = "shop/fraud/uid-2"
GREEDY = Source("shop", "churn", "uid-1")
MODEST = Source("shop", "fraud", "uid-2")


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    yield from running(tmp_path)


@pytest.fixture
async def session(collector: CollectorProcess) -> AsyncIterator[aiohttp.ClientSession]:
    await collector.ready()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=300)) as opened:
        yield opened


class Slow:
    """Bodies that begin, and end when they are let."""

    def __init__(self, first: bytes, last: bytes) -> None:
        self.first, self.last = first, last
        self.begun = 0
        self.gate = asyncio.Event()

    async def body(self) -> AsyncIterator[bytes]:
        yield self.first
        self.begun += 1
        await self.gate.wait()
        yield self.last


async def unannounced() -> AsyncIterator[bytes]:
    """An empty batch without a Content-Length: it counts as the largest that there may be."""
    yield b"[]"


async def metric(session: aiohttp.ClientSession, collector: CollectorProcess, name: str) -> float:
    async with session.get(f"{collector.url}/metrics") as response:
        text = await response.text()
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))


async def test_slow_batches_of_one_deployment_leave_room_for_the_batches_of_another(
    session: aiohttp.ClientSession, collector: CollectorProcess
) -> None:
    slow = Slow(b"[", b"]")

    async def post(body: Any, source: str, **changes: str) -> tuple[int, str | None]:
        async with session.post(f"{collector.url}/v1/events", data=body, headers=headers(source, **changes)) as response:
            await response.read()
            return response.status, response.headers.get("Retry-After")

    greedy = [asyncio.ensure_future(post(slow.body(), "shop/churn/uid-1")) for _ in range(3)]
    await until(lambda: slow.begun == 3)
    refused = (429, "1")
    async with asyncio.timeout(60):
        while await post(unannounced(), "shop/churn/uid-1") != refused:  # noqa: ASYNC110  the three come
            await asyncio.sleep(0.01)
    assert await post(unannounced(), "shop/churn/uid-made-anew") == refused
    said = batch([event("e-1", source="/namespaces/shop/modeldeployments/fraud")])
    assert await post(said, OTHER) == (200, None)
    assert 0.4 < await metric(session, collector, 'podium_monitor_under_way_ratio{kind="Batches"}') <= 0.5
    turned_away = 'podium_monitor_turned_away_total{deployment="churn",kind="Batches",namespace="shop"}'
    assert await metric(session, collector, turned_away) >= 2
    slow.gate.set()
    assert await asyncio.gather(*greedy) == [(200, None)] * 3
    assert await metric(session, collector, 'podium_monitor_under_way_ratio{kind="Batches"}') == 0


async def test_a_slow_reference_of_one_deployment_leaves_room_for_the_reference_of_another(
    session: aiohttp.ClientSession, collector: CollectorProcess
) -> None:
    url = f"{collector.url}/v1/references/sha256:{'0' * 64}/profile.json"
    slow = Slow(b"{", b"}")

    async def put(body: Any, source: str) -> int:
        async with session.put(url, data=body, headers=headers(source)) as response:
            await response.read()
            return response.status

    greedy = asyncio.ensure_future(put(slow.body(), "shop/churn/uid-1"))
    await until(lambda: slow.begun == 1)
    async with asyncio.timeout(60):
        while await put(b" " * 1000, "shop/churn/uid-1") != 429:  # noqa: ASYNC110  the first one comes
            await asyncio.sleep(0.01)
    assert await put(b"{", OTHER) == 400  # it was read
    slow.gate.set()
    assert await greedy == 400


@pytest.mark.parametrize(
    ("path", "most"),
    [("/v1/events", 8 * 2**20), ("/v1/labels", 32 * 2**20), (f"/v1/references/sha256:{'0' * 64}/podium.yaml", 8 * 2**20)],
)
async def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(
    collector: CollectorProcess, path: str, most: int
) -> None:
    await collector.ready()
    said = headers()
    if path == "/v1/labels":
        said |= {"Authorization": f"Bearer {label_token(KEY, 'shop/churn/uid-1')}", "Content-Type": "application/json"}
    method = "PUT" if "references" in path else "POST"
    head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
    reader, writer = await asyncio.open_connection("127.0.0.1", collector.port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: c\r\n{head}Content-Length: {most + 1}\r\n\r\n".encode())
    async with asyncio.timeout(60):
        assert (await reader.readline()).split()[1] == b"413"
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/v1/events"), ("PUT", f"/v1/references/sha256:{'0' * 64}/podium.yaml")]
)
async def test_a_body_that_turns_out_too_large_is_refused_when_it_does(
    session: aiohttp.ClientSession, collector: CollectorProcess, method: str, path: str
) -> None:
    async def large() -> AsyncIterator[bytes]:
        yield b" " * (8 * 2**20)
        yield b" "

    async with session.request(method, collector.url + path, data=large(), headers=headers()) as response:
        assert (response.status, "more than 8388608 bytes" in await response.text()) == (413, True)


async def test_what_waits_to_become_durable_is_of_one_deployment_by_half_at_most(tmp_path: Path) -> None:
    committer = Committer(Lake(FolderStore(tmp_path)), KnownEvents(10, 10), Limits(max_pending_bytes=100), Metrics())
    at = datetime(2026, 11, 21, 13, tzinfo=UTC)

    def commit(deployment: str, size: int) -> asyncio.Task[Any]:
        rows = Rows(Place("predictions", "shop", deployment, at), {"event_id": ["e"]})
        return asyncio.create_task(committer.commit([rows], size))

    waiting = [commit("churn", 10) for _ in range(5)]
    with pytest.raises(Full):
        await commit("churn", 10)
    waiting += [commit("fraud", 10)]
    await asyncio.sleep(0)
    assert not any(one.done() for one in waiting)
    assert not committer.has_room(("shop", "churn"), 1)
    assert committer.has_room(("shop", "sales"), 40)
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_questions_to_a_lake_that_does_not_answer_take_no_thread_of_the_commits() -> None:
    lookups, gate = Lookups(Metrics()), threading.Event()
    greedy = [asyncio.ensure_future(lookups.ask(GREEDY, gate.wait)) for _ in range(32)]
    await asyncio.sleep(0)
    with pytest.raises(Taken):
        await lookups.ask(GREEDY, gate.wait)
    modest = asyncio.ensure_future(lookups.ask(MODEST, lambda: "answer"))
    async with asyncio.timeout(60):
        await asyncio.gather(*(asyncio.to_thread(int) for _ in range(32)))
    gate.set()
    assert await modest == "answer"
    assert await asyncio.gather(*greedy) == [True] * 32
    lookups.close()
