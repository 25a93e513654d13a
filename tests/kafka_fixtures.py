"""What tests of Kafka say to a collector, and records for it to read."""

import json
from collections.abc import Sequence
from typing import Any

import aiohttp

from kafka_server import KafkaServer
from monitor_fixtures import CollectorProcess, event

STRUCTURED = [("content-type", b"application/cloudevents+json; charset=utf-8")]


def environment(
    kafka: KafkaServer,
    sources: Sequence[dict[str, Any]] = (),
    sinks: Sequence[dict[str, Any]] = (),
    **more: str,
) -> dict[str, str]:
    return {
        "PODIUM_KAFKA_BROKERS": kafka.brokers,
        "PODIUM_KAFKA_SOURCES": json.dumps(list(sources)),
        "PODIUM_KAFKA_SINKS": json.dumps(list(sinks)),
        **more,
    }


def topic(name: str, *deployments: str, **more: Any) -> dict[str, Any]:
    return {"topic": name, "deployments": list(deployments or ("shop/churn",)), **more}


def structured(identity: str, **changes: Any) -> dict[str, Any]:
    """A record with a prediction."""
    return {"value": json.dumps(event(identity, **changes)).encode(), "headers": STRUCTURED}


def binary(identity: str, **changes: Any) -> dict[str, Any]:
    """The same in binary mode."""
    attributes = {**event(identity, **changes)}
    data = attributes.pop("data")
    content_type = attributes.pop("datacontenttype")
    headers = [(f"ce_{name}", str(value).encode()) for name, value in attributes.items()]
    return {"value": json.dumps(data).encode(), "headers": [*headers, ("content-type", content_type.encode())]}


async def metric(collector: CollectorProcess, name: str, **labels: str) -> float:
    """Its value now; 0 if it is not there."""
    async with aiohttp.ClientSession() as session, session.get(f"{collector.url}/metrics") as response:
        text = await response.text()
    wanted = [f'{key}="{one}"' for key, one in labels.items()]
    for line in text.splitlines():
        if line.startswith((f"{name} ", f"{name}{{")) and all(one in line for one in wanted):
            return float(line.rpartition(" ")[2])
    return 0.0
