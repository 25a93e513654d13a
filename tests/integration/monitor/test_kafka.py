"""The collector between real topics: what it reads becomes durable, what became durable is published."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from kafka_fixtures import STRUCTURED, binary, environment, metric, structured, topic
from kafka_server import KafkaServer, value_of
from monitor_fixtures import KEY, SOURCE, CollectorProcess, batch, event, headers, prediction, rows, shadow, until
from podium_crds.capture import capture_token, hash_key, hashed, label_token
from podium_monitor.kafka.outbox import FOLDER
from podium_monitor.lake.opening import open_store
from ports import free_port
from s3_server import S3Server

Start = Callable[[dict[str, str]], CollectorProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts collectors, each on a lake of its own unless the environment says otherwise."""
    made: list[CollectorProcess] = []

    def started(told: dict[str, str]) -> CollectorProcess:
        folder = tmp_path / f"collector-{len(made)}"
        folder.mkdir()
        made.append(CollectorProcess(folder / "lake", folder, free_port(), environment=told))
        made[-1].start()
        return made[-1]

    yield started
    for collector in made:
        assert collector.process is not None
        if collector.process.poll() is None:
            collector.kill()


async def post(collector: CollectorProcess, events: list[dict[str, Any]]) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{collector.url}/v1/events", data=batch(events), headers=headers()) as response,
    ):
        assert response.status == 200, await response.text()


async def test_events_of_both_modes_and_labels_become_rows(kafka: KafkaServer, start: Start) -> None:
    predictions = kafka.topic("predictions", 3)
    labels = kafka.topic("labels")
    told = environment(
        kafka,
        [topic(predictions, holds=["Predictions"]), topic(labels, "shop/*", holds=["Labels"])],
        PODIUM_KAFKA_GROUP=f"group-of-{predictions}",
    )
    collector = start(told)
    seen = event("s-0", type="dev.podium.shadow.v1", data=shadow(prediction_id="e-0"), deploymentuid="uid-1")
    kafka.produce(predictions, [structured("e-0"), binary("e-1"), structured("e-1"), {**binary("e-2"), "key": b"k"}])
    kafka.produce(predictions, [{"value": json.dumps(seen), "headers": STRUCTURED}])
    plain = {"join_key": "customer-7", "label": "yes", "namespace": "shop", "deployment": "churn"}
    label = event("l-1", type="dev.podium.label.v1", data={"join_key": 8, "label": 1}, labelledby="nightly job")
    kafka.produce(labels, [{"value": json.dumps(plain)}, {"value": json.dumps(label), "headers": STRUCTURED}])
    await until(lambda: len(rows(collector.lake, "labels")) == 2 and len(rows(collector.lake)) == 3, 180)
    await until(lambda: len(rows(collector.lake, "shadows")) == 1)
    found = {row["event_id"]: row for row in rows(collector.lake)}
    assert {(row["namespace"], row["deployment"], row["version"]) for row in found.values()} == {
        ("shop", "churn", "churn-3")
    }
    assert (found["e-1"]["input.number.tenure"], found["e-1"]["output.text.label"]) == (3.5, "yes")
    assert rows(collector.lake, "shadows")[0]["deployment_uid"] == "uid-1"
    by_key = {row["join_key"]: row for row in rows(collector.lake, "labels")}
    assert (by_key["customer-7"]["label"], by_key["customer-7"]["labelled_by"]) == ('"yes"', f"topic {labels}")
    assert by_key["8"]["labelled_by"] == f"topic {labels}, claimed nightly job"
    await until(lambda: kafka.committed(told["PODIUM_KAFKA_GROUP"], predictions) == 5, 180)
    assert await metric(collector, "podium_monitor_kafka_records_total", topic=predictions, outcome="Durable") == 5
    assert await metric(collector, "podium_monitor_kafka_connected", direction="Source") == 1


async def test_what_became_durable_is_published_and_another_collector_reads_it(kafka: KafkaServer, start: Start) -> None:
    shared = kafka.topic("published", 2)
    first = start(environment(kafka, sinks=[topic(shared, "shop/*")]))
    await first.ready()
    seen = event("s-0", type="dev.podium.shadow.v1", data=shadow(prediction_id="e-0"))
    await post(first, [event("e-0"), event("e-1", data=prediction(join_key=None)), seen])
    authorized = {"Authorization": f"Bearer {label_token(KEY, SOURCE)}", "Content-Type": "application/json"}
    label = json.dumps({"join_key": "customer-7", "label": "no", "outcomes": {"value": 2.5}})
    async with aiohttp.ClientSession() as session:
        async with session.post(f"{first.url}/v1/labels", data=label, headers=authorized) as response:
            assert response.status == 200
        messages = await asyncio.to_thread(kafka.messages, shared, 180, 4)
        async with session.get(f"{first.url}/readyz") as response:
            assert await response.json() == {"ready": True, "kafka": {"sink": "Connected"}}
    by_type = {value_of(one)["type"].split(".")[2]: one for one in messages}
    assert {one.key() for one in messages} == {b"customer-7", b"e-1", b"s-0"}
    told = value_of(by_type["label"])
    assert (told["data"]["label"], told["labelledby"]) == ("no", f"token {SOURCE}")
    second = start(environment(kafka, [topic(shared, "*/*")], PODIUM_KAFKA_GROUP=f"mirror-of-{shared}"))
    await until(lambda: len(rows(second.lake)) == 2 and len(rows(second.lake, "labels")) == 1, 180)

    def content(collector: CollectorProcess) -> dict[str, Any]:
        return {row["event_id"]: {**row, "received_at": None} for row in rows(collector.lake)}

    assert content(second) == content(first)


async def test_a_collector_on_a_bucket_publishes(kafka: KafkaServer, s3: S3Server, start: Start) -> None:
    written = kafka.topic("of-a-bucket")
    collector = start({**s3.environment, **environment(kafka, sinks=[topic(written)])})
    await collector.ready()
    await post(collector, [event("e-0"), event("e-1")])
    assert {value_of(one)["id"] for one in kafka.messages(written, 180, enough=2)} == {"e-0", "e-1"}
    left = open_store(s3.settings(collector.folder))
    await until(lambda: [one.path for one in left.list(FOLDER)] == [f"{FOLDER}/topic={written}/stays"], 180)


async def test_keys_of_labels_are_hashed_where_the_topic_says_so(kafka: KafkaServer, start: Start) -> None:
    labels = kafka.topic("hashed")
    collector = start(
        environment(kafka, [topic(labels, holds=["Labels"], joinKeyHashing="Apply")], PODIUM_KAFKA_GROUP=f"g-{labels}")
    )
    label = event("l-1", type="dev.podium.label.v1", data={"join_key": "c-1", "label": 1}, deploymentuid="uid-1")
    kafka.produce(labels, [{"value": json.dumps(label), "headers": STRUCTURED}])
    await until(lambda: len(rows(collector.lake, "labels")) == 1, 180)
    assert rows(collector.lake, "labels")[0]["join_key"] == hashed(hash_key(capture_token(KEY, SOURCE)), b"c-1")
