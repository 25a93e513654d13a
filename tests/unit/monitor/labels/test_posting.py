"""Labels posted to a real collector, and what a reader of the lake finds."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from label_fixtures import LINES, PARQUET, asked, label, lines, parquet, post_labels
from monitor_fixtures import KEY, SOURCE, CollectorProcess, batch, event, headers, prediction, running, until
from podium_crds.capture import capture_token, hash_key, hashed, label_token

pytestmark = pytest.mark.process

NEWEST = """
    select join_key, label, outcomes from (
        select *, row_number() over (partition by join_key order by time desc, received_at desc, event_id) as place
        from (select distinct on (event_id) * from labels)
    ) where place = 1 order by join_key
"""


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    yield from running(tmp_path)


@pytest.fixture
async def session(collector: CollectorProcess) -> AsyncIterator[aiohttp.ClientSession]:
    await collector.ready()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=600)) as opened:
        yield opened


async def test_one_label_is_durable_when_it_is_acknowledged(
    session: aiohttp.ClientSession, collector: CollectorProcess
) -> None:
    said = label("c-1", "yes", outcomes={"value": 12.5}, namespace="shop", deployment="churn")
    answer = await post_labels(session, collector, said, **{"Podium-Labelled-By": "Zoë of billing"})
    assert answer == (200, {"accepted": 1, "duplicates": 0})
    [row] = asked(
        collector, "select join_key, label, outcomes, labelled_by, namespace, deployment, deployment_uid from labels"
    )
    claimed = "token shop/churn/uid-1, claimed Zoë of billing"
    assert row == ("c-1", '"yes"', '{"value":12.5}', claimed, "shop", "churn", "uid-1")


async def test_labels_come_months_late_are_corrected_and_withdrawn_and_the_history_stays(
    session: aiohttp.ClientSession, collector: CollectorProcess
) -> None:
    events = [
        event(f"e-{key}", time="2026-03-01T12:00:00Z", data=prediction(join_key=key)) for key in ("c-1", "c-2", "c-3", "c-4")
    ]
    async with session.post(f"{collector.url}/v1/events", data=batch(events), headers=headers()) as response:
        assert response.status == 200
    posts = [
        [label("c-1", "no", time="2026-09-01T00:00:00Z"), label("c-2", "no", time="2026-09-01T00:00:00Z")],
        label("c-1", "yes", time="2026-10-01T00:00:00Z", outcomes={"value": -30}),
        label("c-2", None, time="2026-10-01T00:00:00Z"),
        label("c-1", "maybe", time="2026-09-15T00:00:00Z"),  # older than what is known: history, not the truth
        [label("c-3", "no"), label("c-3", "yes")],  # of one moment: the later row is the newer
    ]
    for body in posts:
        status, _ = await post_labels(session, collector, body)
        assert status == 200
    newest = [("c-1", '"yes"', '{"value":-30}'), ("c-2", "null", "{}"), ("c-3", '"yes"', "{}")]
    assert asked(collector, NEWEST) == newest
    history = "select label from labels where join_key = 'c-1' order by time"
    assert asked(collector, history) == [('"no"',), ('"maybe"',), ('"yes"',)]
    joined = f"select p.join_key, l.label from predictions p left join ({NEWEST}) l using (join_key) order by 1"
    assert asked(collector, joined) == [("c-1", '"yes"'), ("c-2", "null"), ("c-3", '"yes"'), ("c-4", None)]


async def test_the_same_label_posted_again_is_one_and_a_changed_mind_is_three(
    session: aiohttp.ClientSession, collector: CollectorProcess
) -> None:
    timed = label("c-1", "yes", time="2026-09-01T00:00:00Z")
    named = label("c-2", "yes", id="order-7")
    body = [timed, named, timed]
    assert await post_labels(session, collector, body) == (200, {"accepted": 2, "duplicates": 1})
    assert await post_labels(session, collector, body) == (200, {"accepted": 0, "duplicates": 3})
    corrected = [label("c-2", "no", id="order-7")]
    assert await post_labels(session, collector, corrected) == (200, {"accepted": 1, "duplicates": 0})
    for value in ("yes", "no", "yes"):
        assert await post_labels(session, collector, label("c-3", value)) == (200, {"accepted": 1, "duplicates": 0})
    assert asked(collector, NEWEST) == [("c-1", '"yes"', "{}"), ("c-2", '"no"', "{}"), ("c-3", '"yes"', "{}")]


async def test_a_hundred_thousand_labels_come_as_one_parquet_file(
    session: aiohttp.ClientSession, collector: CollectorProcess
) -> None:
    rows = 100_000
    columns: dict[str, Any] = {
        "join_key": [f"c-{index}" for index in range(rows)],
        "label": [index % 2 for index in range(rows)],
        "value": [index / 7 for index in range(rows)],
    }
    assert await post_labels(session, collector, parquet(columns), PARQUET) == (200, {"accepted": rows, "duplicates": 0})
    assert asked(collector, "select count(*), count(distinct join_key), sum(label::int) from labels") == [
        (rows, rows, rows // 2)
    ]
    assert len(list(collector.lake.glob("labels/**/*.parquet"))) == 1


async def test_json_lines_may_be_packed(session: aiohttp.ClientSession, collector: CollectorProcess) -> None:
    body = gzip.compress(lines([label(f"c-{index}", index) for index in range(5000)]))
    answer = await post_labels(session, collector, body, LINES, **{"Content-Encoding": "gzip"})
    assert answer == (200, {"accepted": 5000, "duplicates": 0})
    two = b"".join(gzip.compress(lines([label(f"d-{index}")])) for index in range(2))  # as `cat a.gz b.gz` makes them
    answer = await post_labels(session, collector, two, LINES, **{"Content-Encoding": "gzip"})
    assert answer == (200, {"accepted": 2, "duplicates": 0})
    status, told = await post_labels(session, collector, two[:-9], LINES, **{"Content-Encoding": "gzip"})
    assert (status, "ends too early" in told["error"]) == (400, True)


async def test_a_body_that_ends_early_leaves_nothing(session: aiohttp.ClientSession, collector: CollectorProcess) -> None:
    whole = lines([label("a"), label("b")])
    for sent in (whole[:10], lines([label("a")])):  # the latter ends where a line ends
        _, writer = await asyncio.open_connection("127.0.0.1", collector.port)
        head = (
            f"POST /v1/labels HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {label_token(KEY, SOURCE)}\r\n"
            f"Content-Type: {LINES}\r\nContent-Length: {len(whole)}\r\n\r\n"
        )
        writer.write(head.encode() + sent)
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(60):
        while True:
            async with session.get(f"{collector.url}/metrics") as response:
                if 'podium_monitor_label_requests_total{code="400"} 2.0' in await response.text():
                    break
            await asyncio.sleep(0.05)
    assert not list(collector.lake.glob("labels/**/*.parquet"))
    assert await post_labels(session, collector, whole, LINES) == (200, {"accepted": 2, "duplicates": 0})


async def test_one_wrong_row_and_nothing_of_the_request_is_taken(
    session: aiohttp.ClientSession, collector: CollectorProcess
) -> None:
    good = [label(f"c-{index}") for index in range(50)]
    for body, media in (
        ([*good, label("")], "application/json"),
        (lines([*good, label("")]), LINES),
        (parquet({"join_key": ["c"] * 50 + [""], "label": ["yes"] * 51}), PARQUET),
    ):
        status, answer = await post_labels(session, collector, body, media)
        assert (status, answer["row"]) == (400, 51)
        assert "row 51: join_key has 0 characters" in answer["error"]
    assert not list(collector.lake.glob("labels/**/*.parquet"))
    async with session.get(f"{collector.url}/metrics") as response:
        text = await response.text()
    assert 'podium_monitor_labels_total{outcome="Refused"} 153.0' in text
    assert 'podium_monitor_label_requests_total{code="400"} 3.0' in text


async def test_who_may_not_post_is_told_why(session: aiohttp.ClientSession, collector: CollectorProcess) -> None:
    token = f"Bearer {capture_token(KEY, SOURCE)}"
    jwt = "Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW06c2VydmljZWFjY291bnQifQ.c2ln"
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({"Authorization": ""}, 401, "label token"),
        ({"Authorization": token}, 401, "label token"),
        ({"Authorization": jwt}, 401, "tokens of Kubernetes are not taken here"),
        ({"Authorization": f"Bearer {SOURCE}/{capture_token(KEY, SOURCE)}"}, 401, "label token"),
        ({"media": "text/csv"}, 415, "Content-Type is 'text/csv', must be one of application/json, application/x-ndjson"),
        ({"media": "application/json; charset=iso-8859-1"}, 400, "has the charset 'iso-8859-1', must be utf-8"),
        ({"query": "?hash=apply"}, 400, "may be join_key_hashing=apply"),
        ({"query": "?join_key_hashing=yes"}, 400, "may be join_key_hashing=apply"),
        ({"Podium-Labelled-By": "x" * 129}, 400, "at most 128 printable"),
        ({"source": "bank/churn/uid-1", "body": label("a", namespace="shop")}, 400, "the token is of bank/churn"),
    ]
    for changes, expected, says in cases:
        status, answer = await post_labels(session, collector, **{"body": label("a"), **changes})
        assert (status, says in answer["error"]) == (expected, True), answer
    assert not list(collector.lake.glob("labels/**/*.parquet"))


async def test_plain_keys_find_hashed_predictions_where_the_request_says_so(
    session: aiohttp.ClientSession, collector: CollectorProcess
) -> None:
    kept = hashed(hash_key(capture_token(KEY, SOURCE)), b"customer-7")
    predicted = batch([event("e-1", data=prediction(join_key=kept))])
    async with session.post(f"{collector.url}/v1/events", data=predicted, headers=headers()) as response:
        assert response.status == 200
    status, _ = await post_labels(session, collector, label("customer-7"), query="?join_key_hashing=apply")
    assert status == 200
    assert asked(collector, "select label from predictions join labels using (join_key)") == [('"yes"',)]
    assert "customer-7" not in str(asked(collector, "select labels::varchar from labels"))


async def test_while_two_large_requests_of_a_deployment_come_slowly_only_its_third_is_told_to_come_later(
    session: aiohttp.ClientSession, collector: CollectorProcess
) -> None:
    gate, begun = asyncio.Event(), [0]

    async def slowly(number: int) -> AsyncIterator[bytes]:
        yield json.dumps([label(f"slow-{number}")])[:-1].encode()
        begun[0] += 1
        await gate.wait()
        yield b"]"

    async def post(body: Any, source: str = SOURCE) -> tuple[int, str | None]:
        said = {"Authorization": f"Bearer {label_token(KEY, source)}", "Content-Type": "application/json"}
        async with session.post(f"{collector.url}/v1/labels", data=body, headers=said) as response:
            await response.read()
            return response.status, response.headers.get("Retry-After")

    slow = [asyncio.ensure_future(post(slowly(number))) for number in range(2)]
    await until(lambda: begun[0] == 2)
    large = json.dumps([label("b" * 1000) for _ in range(100)]).encode()
    status, later = await post(large)
    async with asyncio.timeout(60):
        while status != 429:  # the two are on their way
            status, later = await post(large)
    assert later == "1"
    assert await post(large, "shop/fraud/uid-2") == (200, None)
    assert await post(json.dumps(label("c")).encode()) == (200, None)
    gate.set()
    assert [status for status, _ in await asyncio.gather(*slow)] == [200] * 2
    assert (await post(large))[0] == 200


async def test_killed_while_labels_are_posted_it_loses_none_that_it_acknowledged(collector: CollectorProcess) -> None:
    acknowledged: set[str] = set()
    stop = False

    async def send(sender: int) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as session:
            number = 0
            while not stop:
                ids = [f"{sender}-{number}-{index}" for index in range(20)]
                body = [label(key, time="2026-09-01T00:00:00Z") for key in ids]
                while True:
                    try:
                        status, _ = await post_labels(session, collector, body)
                    except (aiohttp.ClientError, TimeoutError):
                        status = 0
                    if status == 200:
                        break
                    await asyncio.sleep(0.02)
                acknowledged.update(ids)
                number += 1

    senders = [asyncio.ensure_future(send(sender)) for sender in range(4)]
    for turn in range(4):
        await collector.ready()
        before = len(acknowledged)
        await until(lambda: len(acknowledged) > before)  # noqa: B023  awaited before the next turn
        await asyncio.sleep(0.11 * turn)  # another instant of the commit each time
        await asyncio.to_thread(collector.kill)
        found = {key for (key,) in asked(collector, "select join_key from labels")}
        assert acknowledged <= found, f"lost: {sorted(acknowledged - found)[:5]}"
        collector.start()
    stop = True
    await asyncio.gather(*senders)
    sent = len(acknowledged)
    counted = "select count(*), count(distinct event_id), count(distinct join_key) from labels"
    assert asked(collector, counted) == [(sent, sent, sent)]
    assert sent >= 100
