"""The collector as a process: what it acknowledges is there, whenever it is killed."""

import asyncio
import gzip
import io
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from monitor_fixtures import KEY, CollectorProcess, batch, event, headers, rows, running, until
from podium_crds.capture import erasure_token
from ports import free_port

pytestmark = pytest.mark.process


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    yield from running(tmp_path)


async def post(session: aiohttp.ClientSession, collector: CollectorProcess, body: bytes, **changes: Any) -> tuple[int, Any]:
    url = f"{collector.url}/v1/events"
    async with session.post(url, data=io.BytesIO(body), headers={**headers(), **changes}) as response:
        return response.status, await response.json()


async def test_a_batch_is_durable_counted_and_known_when_it_comes_again(collector: CollectorProcess) -> None:
    await collector.ready()
    events = [event(f"e-{index}") for index in range(100)]
    async with aiohttp.ClientSession() as session:
        zipped = gzip.compress(batch(events))
        assert await post(session, collector, zipped, **{"Content-Encoding": "gzip"}) == (
            200,
            {"accepted": 100, "duplicates": 0},
        )
        assert await post(session, collector, batch([*events, event("new"), event("new")])) == (
            200,
            {"accepted": 1, "duplicates": 101},
        )
        assert await post(session, collector, b"[]") == (200, {"accepted": 0, "duplicates": 0})
        query = f"{collector.url}/v1/count?namespace=shop&deployment=churn"
        async with session.get(query, headers=headers()) as response:
            assert await response.json() == {"predictions": 101, "shadows": 0}
        async with session.get(query, headers=headers("shop/fraud/uid")) as response:
            assert response.status == 401
        async with session.get(f"{collector.url}/metrics") as response:
            text = await response.text()
    assert 'podium_monitor_events_total{outcome="accepted"} 101.0' in text
    assert 'podium_monitor_batches_total{code="200"} 3.0' in text
    assert len(rows(collector.lake)) == 101


async def test_refusals_say_why(collector: CollectorProcess) -> None:
    await collector.ready()
    async with aiohttp.ClientSession() as session:
        cases: list[tuple[bytes, dict[str, str], int, str]] = [
            (b"[]", {"Authorization": "Bearer x"}, 401, "capture token"),
            (b"[]", {"Content-Type": "application/json"}, 415, "cloudevents-batch"),
            (b"{", {}, 400, "not a batch"),
            (batch([event("a", source="/other")]), {}, 400, "the credential is of"),
            (b"[]", {"Content-Encoding": "br"}, 400, "must be gzip"),
            (b"[]", {"Content-Type": "application/cloudevents-batch+json; charset=utf-16"}, 400, "'utf-16', must be utf-8"),
        ]
        for body, changes, status, says in cases:
            got, answer = await post(session, collector, body, **changes)
            assert (got, says in answer["error"]) == (status, True), answer
        for method, path, status, says in (
            ("POST", "/v1/event", 404, "there is no POST /v1/event here; there are GET /healthz"),
            ("POST", "/v1/events/", 404, "POST /v1/events"),
            ("GET", "/v1/labels", 405, "POST /v1/labels"),
            ("GET", "/v1/count?namespace=shop", 400, "query deployment: Field required"),
        ):
            async with session.request(method, collector.url + path, headers=headers(), allow_redirects=False) as response:
                answer = await response.json()
            assert (response.status, says in answer["error"]) == (status, True), answer
    assert rows(collector.lake) == []


async def test_rows_are_erased_for_whoever_has_the_erasure_token_only(collector: CollectorProcess) -> None:
    await collector.ready()
    url = f"{collector.url}/v1/erasures"
    admin = {"Authorization": f"Bearer {erasure_token(KEY)}"}
    body = b'{"join_keys": ["customer-7"], "requested_by": "privacy office"}'
    async with aiohttp.ClientSession() as session:
        await post(session, collector, batch([event("e-0")]))
        for sent, content, status in [(headers(), body, 401), ({}, body, 401), (admin, b"{}", 400)]:
            async with session.post(url, data=content, headers=sent) as response:
                assert response.status == status, await response.text()
        async with session.post(url, data=body, headers=admin) as response:
            assert response.status == 202
            wanted = await response.json()
        async with asyncio.timeout(60):
            while (answer := await _get(session, f"{url}/{wanted['id']}", admin))["state"] == "Pending":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert (answer["rows"], answer["ids"], answer["requested_by"]) == ({"predictions": 1}, 1, "privacy office")
        assert "customer-7" not in str(answer)
        async with session.get(f"{url}/{'0' * 32}", headers=admin) as response:
            assert response.status == 404
    assert rows(collector.lake) == []


async def _get(session: aiohttp.ClientSession, url: str, sent: dict[str, str]) -> Any:
    async with session.get(url, headers=sent) as response:
        return await response.json()


async def test_of_many_senders_each_is_told_of_its_own_batch(collector: CollectorProcess) -> None:
    await collector.ready()
    async with aiohttp.ClientSession() as session:
        answers = await asyncio.gather(
            *(post(session, collector, batch([event(f"{sender}-{index}") for index in range(10)])) for sender in range(40))
        )
    assert answers == [(200, {"accepted": 10, "duplicates": 0})] * 40
    assert len(rows(collector.lake)) == 400


async def test_a_terminated_collector_finishes_what_it_was_sent(collector: CollectorProcess) -> None:
    await collector.ready()
    body, rest = batch([event("last")]), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield body[:10]
        await rest.wait()
        yield body[10:]

    async def send(session: aiohttp.ClientSession) -> Any:
        async with session.post(f"{collector.url}/v1/events", data=slowly(), headers=headers()) as response:
            return response.status, await response.json()

    async with aiohttp.ClientSession() as session:
        sending = asyncio.ensure_future(send(session))
        async with asyncio.timeout(60):
            while not await _under_way(session, collector):  # noqa: ASYNC110  another process's
                await asyncio.sleep(0.01)
        rest.set()
        code = await asyncio.to_thread(collector.kill, signal.SIGTERM)
        assert await sending == (200, {"accepted": 1, "duplicates": 0})
    assert code in (0, -signal.SIGTERM)
    assert [row["event_id"] for row in rows(collector.lake)] == ["last"]


async def _under_way(session: aiohttp.ClientSession, collector: CollectorProcess) -> bool:
    async with session.get(f"{collector.url}/metrics") as response:
        text = await response.text()
    [line] = [line for line in text.splitlines() if line.startswith('podium_monitor_under_way_ratio{kind="Batches"}')]
    return float(line.rpartition(" ")[2]) > 0


async def test_a_second_collector_on_the_same_lake_waits_alive_and_says_why_in_its_log(collector: CollectorProcess) -> None:
    await collector.ready()
    second = CollectorProcess(collector.lake, collector.folder, free_port())
    second.start()
    try:
        async with aiohttp.ClientSession() as session, asyncio.timeout(60):
            while True:
                try:
                    async with session.get(f"{second.url}/readyz") as response:
                        answer = await response.json()
                        if response.status == 503 and "another process" in (second.folder / "log").read_text():
                            assert answer == {"error": "the lake is not open yet, the collector's log says why"}
                            break
                except aiohttp.ClientConnectionError:
                    pass
                await asyncio.sleep(0.05)
            async with session.get(f"{second.url}/healthz") as response:
                assert response.status == 200
            status, answer = await post(session, second, b"[]")
            assert status == 503
            collector.kill(signal.SIGTERM)
            await second.ready()
    finally:
        second.kill()


async def test_killed_at_any_instant_it_loses_nothing_acknowledged_and_shows_no_half_file(
    collector: CollectorProcess,
) -> None:
    acknowledged: set[str] = set()
    stop = False

    async def send(sender: int) -> None:
        """Sends batch after batch, each again until it is acknowledged, as a pod does."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session:
            number = 0
            while not stop:
                ids = [f"{sender}-{number}-{index}" for index in range(20)]
                body = batch([event(identity) for identity in ids])
                while True:
                    try:
                        status, _ = await post(session, collector, body)
                    except (aiohttp.ClientError, TimeoutError):
                        status = 0
                    if status == 200:
                        break
                    await asyncio.sleep(0.02)
                acknowledged.update(ids)
                number += 1

    senders = [asyncio.ensure_future(send(sender)) for sender in range(6)]
    for turn in range(5):
        await collector.ready()
        before = len(acknowledged)
        await until(lambda: len(acknowledged) > before)  # noqa: B023  awaited before the next turn
        await asyncio.sleep(0.11 * turn)  # another instant of the commit each time
        await asyncio.to_thread(collector.kill)
        found = {row["event_id"] for row in rows(collector.lake)}
        assert acknowledged <= found, f"lost: {sorted(acknowledged - found)[:5]}"
        collector.start()
    stop = True
    await asyncio.gather(*senders)
    counts = Counter(row["event_id"] for row in rows(collector.lake))
    assert acknowledged == set(counts)
    assert set(counts.values()) == {1}
    assert len(acknowledged) >= 100
