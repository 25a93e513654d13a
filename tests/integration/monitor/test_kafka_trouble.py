"""Kafka in trouble, or its records, or the collector: nothing is lost, nothing blocks, and HTTP goes on."""

import asyncio
import json
import random
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kafka_fixtures import environment, metric, structured, topic
from kafka_server import KafkaServer, value_of
from monitor_fixtures import CollectorProcess, batch, event, headers, prediction, rows, until
from ports import free_port

KILLS = 4


def collector_on(folder: Path, told: dict[str, str]) -> CollectorProcess:
    return CollectorProcess(folder / "lake", folder, free_port(), environment=told)


async def post(collector: CollectorProcess, ids: list[str], **changes: Any) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{collector.url}/v1/events", data=batch([event(one, **changes) for one in ids]), headers=headers()
        ) as response,
    ):
        return response.status


def published(kafka: KafkaServer, name: str) -> Counter[str]:
    return Counter(value_of(one)["id"] for one in kafka.messages(name))


async def until_waiting(collector: CollectorProcess, commits: dict[str, int]) -> None:
    """Until so many commits wait to be published to each topic."""
    async with asyncio.timeout(180):
        while {  # noqa: ASYNC110  the metrics have no event
            one: await metric(collector, "podium_monitor_kafka_waiting_commits", topic=one) for one in commits
        } != commits:
            await asyncio.sleep(0.05)


async def test_a_collector_killed_while_it_reads_and_publishes_loses_nothing(
    kafka: KafkaServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read, written = kafka.topic("read", 3), kafka.topic("written", 3)
    told = environment(kafka, [topic(read)], [topic(written)], PODIUM_KAFKA_GROUP=f"group-of-{read}")
    collector = collector_on(tmp_path, told)
    sent = [f"e-{number}" for number in range(6000)]
    kafka.produce(read, [{**structured(one), "key": one} for one in sent[:3000]])
    acknowledged: list[str] = []

    async def sending() -> None:
        while True:
            ids = [f"http-{len(acknowledged) + index}" for index in range(10)]
            try:
                if await post(collector, ids) == 200:
                    acknowledged.extend(ids)
            except aiohttp.ClientError:
                await asyncio.sleep(0.02)

    collector.start()
    sender = asyncio.create_task(sending())
    try:
        for turn in range(KILLS):
            before = len(acknowledged)
            await until(lambda before=before: len(acknowledged) > before + 20, 180)  # type: ignore[misc]
            some = sent[3000 + 750 * turn : 3750 + 750 * turn]
            await asyncio.to_thread(kafka.produce, read, [{**structured(one), "key": one} for one in some])
            await asyncio.sleep(random.uniform(0, 0.6))  # at any instant of reading, writing and publishing
            await asyncio.to_thread(collector.kill)
            collector.start()
        before = len(acknowledged)
        await until(lambda: len(acknowledged) > before + 20, 180)
    finally:
        sender.cancel()
    due = {*sent, *acknowledged}
    await until(lambda: due <= {row["event_id"] for row in rows(collector.lake)}, 180)
    await asyncio.to_thread(lambda: kafka.messages(written, 180, enough=len(due)))
    await until(lambda: due <= set(published(kafka, written)), 180)
    found, told_of = Counter(row["event_id"] for row in rows(collector.lake)), published(kafka, written)
    with capsys.disabled():
        print(
            f"\n  {KILLS} kills: {len(sent)} records and {len(acknowledged)} rows by HTTP; in the lake {len(found)},"
            f" {found.total()} with duplicates; in the topic {len(told_of)}, {told_of.total()} with duplicates"
        )
    assert due <= set(found)
    assert set(found) == set(told_of)  # rows that were durable and not yet acknowledged are in both
    assert found.total() == len(found)  # ids are known over a restart
    collector.kill()


async def test_bad_records_go_to_their_topic_with_the_reason_and_hold_nothing_up(kafka: KafkaServer, tmp_path: Path) -> None:
    read, dead = kafka.topic("mixed"), kafka.topic("dead")
    collector = collector_on(
        tmp_path,
        environment(
            kafka,
            [topic(read, holds=["Predictions"])],
            PODIUM_KAFKA_GROUP=f"group-of-{read}",
            PODIUM_KAFKA_DEAD_LETTER_TOPIC=dead,
        ),
    )
    stranger = event("x", source="/namespaces/shop/modeldeployments/fraud")
    broken = event("y", data={**prediction(), "row": -1})
    kafka.produce(
        read,
        [
            structured("e-0"),
            {"value": b"{", "key": b"k", "headers": [("content-type", b"application/cloudevents+json"), ("h", b"1")]},
            {"value": json.dumps(stranger), "headers": [("content-type", b"application/cloudevents+json")]},
            {"value": json.dumps(broken), "headers": [("content-type", b"application/cloudevents+json")]},
            {"value": None},
            {"value": b"no event"},
            structured("e-1"),
        ],
    )
    collector.start()
    try:
        letters = await asyncio.to_thread(kafka.messages, dead, 180, 5)
        await until(lambda: {row["event_id"] for row in rows(collector.lake)} == {"e-0", "e-1"}, 180)
        found: list[dict[str, Any]] = [dict(one.headers() or []) for one in letters]
        assert [one["podium-offset"] for one in found] == [b"1", b"2", b"4", b"5", b"3"]
        says = ["no CloudEvent", "is of shop/fraud", "has no value", "it is no CloudEvent", "does not fit"]
        for headers_, word in zip(found, says, strict=True):
            assert word in headers_["podium-error"].decode()
        assert (letters[0].key(), letters[0].value(), found[0]["h"]) == (b"k", b"{", b"1")
        await until(lambda: kafka.committed(f"group-of-{read}", read) == 7, 180)
        assert await metric(collector, "podium_monitor_kafka_records_total", outcome="DeadLettered") == 5
    finally:
        collector.kill()


async def test_what_is_too_large_for_a_topic_is_counted_and_holds_nothing_up(kafka: KafkaServer, tmp_path: Path) -> None:
    read, dead = kafka.topic("any-size"), kafka.topic("small-dead", max_message_bytes="3000")
    written = kafka.topic("small-written", max_message_bytes="3000")
    told = environment(
        kafka,
        [topic(read, holds=["Predictions"])],
        [topic(written)],
        PODIUM_KAFKA_GROUP=f"group-of-{read}",
        PODIUM_KAFKA_DEAD_LETTER_TOPIC=dead,
    )
    collector = collector_on(tmp_path, told)
    kafka.produce(read, [{"value": b"x" * 5000, "key": b"k"}])
    collector.start()
    try:
        await collector.ready()
        wide = prediction(inputs={"note": "".join(random.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=20_000))})
        async with aiohttp.ClientSession() as session:
            content = batch([event("small-0"), event("large", data=wide), *(event(f"small-{n}") for n in range(1, 30))])
            async with session.post(f"{collector.url}/v1/events", data=content, headers=headers()) as response:
                assert response.status == 200
        found = await asyncio.to_thread(kafka.messages, written, 180, 30)
        assert {value_of(one)["id"] for one in found} == {f"small-{n}" for n in range(30)}
        await until(lambda: "bytes: large" in (tmp_path / "log").read_text(), 180)
        assert await metric(collector, "podium_monitor_kafka_unpublishable_rows_total", topic=written) == 1
        [letter] = await asyncio.to_thread(kafka.messages, dead, 180, 1)
        assert (letter.key(), letter.value()) == (b"k", None)
    finally:
        collector.kill()


async def test_without_a_topic_for_them_bad_records_are_logged_and_passed_over(kafka: KafkaServer, tmp_path: Path) -> None:
    read = kafka.topic("mixed")
    told = environment(kafka, [topic(read, holds=["Predictions"])], PODIUM_KAFKA_GROUP=f"group-of-{read}")
    collector = collector_on(tmp_path, told)
    kafka.produce(read, [{"value": b"x"}, structured("e-0")])
    collector.start()
    try:
        await until(lambda: len(rows(collector.lake)) == 1, 180)
        said = f"{read}/0 at offset 0 is not taken: it is no CloudEvent"
        await until(lambda: said in (tmp_path / "log").read_text())
        await until(lambda: kafka.committed(told["PODIUM_KAFKA_GROUP"], read) == 2, 180)
        assert await metric(collector, "podium_monitor_kafka_records_total", outcome="Skipped") == 1
    finally:
        collector.kill()


async def test_while_the_broker_is_away_http_goes_on_and_afterwards_all_is_caught_up(
    kafka: KafkaServer, tmp_path: Path
) -> None:
    read, written = kafka.topic("away-read"), kafka.topic("away-written")
    told = environment(kafka, [topic(read)], [topic(written)], PODIUM_KAFKA_GROUP=f"group-of-{read}")
    collector = collector_on(tmp_path, told)
    kafka.produce(read, [structured("before")])
    await asyncio.to_thread(kafka.stop, signal.SIGTERM)
    collector.start()  # at the start, too, nothing needs a broker
    try:
        await collector.ready()
        assert await post(collector, ["during-0"]) == 200
        async with aiohttp.ClientSession() as session, session.get(f"{collector.url}/readyz") as response:
            assert (await response.json())["kafka"] == {"source": "Disconnected", "sink": "Disconnected"}
        assert await metric(collector, "podium_monitor_kafka_waiting_commits") == 1
        await asyncio.to_thread(kafka.start)
        await until(lambda: {row["event_id"] for row in rows(collector.lake)} == {"before", "during-0"}, 180)
        await asyncio.to_thread(kafka.messages, written, 180, 2)
        await asyncio.to_thread(kafka.stop)
        assert await post(collector, ["during-1"]) == 200
        await asyncio.to_thread(kafka.start)
        await asyncio.to_thread(kafka.messages, written, 180, 3)
        assert set(published(kafka, written)) == {"before", "during-0", "during-1"}
    finally:
        assert collector.kill(signal.SIGTERM) in (0, -signal.SIGTERM)
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log


async def test_a_sink_whose_topic_is_not_there_holds_up_itself_alone(kafka: KafkaServer, tmp_path: Path) -> None:
    works, missing = kafka.topic("works"), f"missing-{random.getrandbits(40):x}"
    told = environment(kafka, sinks=[topic(missing), topic(works)])
    collector = collector_on(tmp_path, told)
    collector.start()
    try:
        await collector.ready()
        assert await post(collector, ["e-0", "e-1"]) == 200
        await asyncio.to_thread(kafka.messages, works, 180, 2)
        await until_waiting(collector, {missing: 1, works: 0})
        await asyncio.to_thread(collector.kill)  # what the one has published it is not told again
        collector.start()
        await collector.ready()
        assert await post(collector, ["e-2"]) == 200
        await asyncio.to_thread(kafka.messages, works, 180, 3)
        await until_waiting(collector, {missing: 2, works: 0})
        assert await metric(collector, "podium_monitor_kafka_published_rows_total", topic=missing) == 0
        connected = "podium_monitor_kafka_connected"
        assert await metric(collector, connected, direction="Sink", topic=works) == 1
        await asyncio.to_thread(kafka.make_topic, missing)
        await asyncio.to_thread(kafka.messages, missing, 180, 3)
        assert set(published(kafka, missing)) == {"e-0", "e-1", "e-2"}
        assert published(kafka, works) == {"e-0": 1, "e-1": 1, "e-2": 1}
    finally:
        collector.kill()


async def test_two_collectors_share_the_partitions_and_one_takes_over(kafka: KafkaServer, tmp_path: Path) -> None:
    read = kafka.topic("shared", 4)
    told = environment(kafka, [topic(read)], PODIUM_KAFKA_GROUP=f"group-of-{read}")
    collectors = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        collectors.append(collector_on(tmp_path / str(number), told))
        collectors[-1].start()
    first, second = collectors
    try:
        sent = 0
        async with asyncio.timeout(300):
            while not (rows(first.lake) and rows(second.lake)):  # both have joined
                await asyncio.to_thread(kafka.produce, read, [structured(f"e-{sent + index}") for index in range(20)])
                sent += 20
                await asyncio.sleep(0.2)
        assert first.kill(signal.SIGTERM) in (0, -signal.SIGTERM)  # it leaves the group, and the other has all
        await asyncio.to_thread(kafka.produce, read, [structured(f"e-{sent + index}") for index in range(20)])
        sent += 20
        due = {f"e-{index}" for index in range(sent)}
        await until(lambda: {row["event_id"] for one in collectors for row in rows(one.lake)} == due, 180)
    finally:
        for one in collectors:
            assert one.process is not None
            if one.process.poll() is None:
                one.kill()
