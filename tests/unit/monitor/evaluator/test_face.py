"""What the evaluator's port says to whoever asks, before anybody is known."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import nullcontext

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from dashboard_fixtures import StillWorld
from podium_monitor.evaluator.app import application
from podium_monitor.evaluator.metrics import EvaluatorMetrics
from podium_monitor.evaluator.rounds import Rounds
from web_fixtures import served

pytestmark = pytest.mark.process


async def test_why_it_is_not_ready_names_namespaces_to_the_cluster_alone() -> None:
    world = StillWorld([], "modeldeployments of secret are not known yet: 403 forbidden")
    rounds = Rounds(world, lambda _: None, EvaluatorMetrics(), 1.0)
    app = application(world, rounds, CollectorRegistry(), [], nullcontext())
    async with served(app) as url, aiohttp.ClientSession() as session:
        for headers, named in (({}, True), ({"X-Forwarded-For": "10.0.0.1"}, False)):
            async with session.get(f"{url}/readyz", headers=headers) as response:
                assert response.status == 503
                assert ("secret" in await response.text()) is named


class Slow(Collector):
    """Counts how often it is asked, and takes its time."""

    def __init__(self) -> None:
        self.asked = 0
        self.gate = threading.Event()

    def collect(self) -> Iterator[Metric]:
        self.asked += 1
        self.gate.wait(60)
        yield GaugeMetricFamily("slow", "Is there.", value=1)


async def test_metrics_are_written_once_for_all_who_ask_at_a_time() -> None:
    registry, slow = CollectorRegistry(auto_describe=False), Slow()
    registry.register(slow)
    slow.asked = 0
    world = StillWorld([], "")
    app = application(world, Rounds(world, lambda _: None, EvaluatorMetrics(), 1.0), registry, [], nullcontext())
    async with served(app) as url, aiohttp.ClientSession() as session:

        async def page() -> str:
            async with session.get(f"{url}/metrics") as response:
                return await response.text()

        asking = [asyncio.ensure_future(page()) for _ in range(50)]
        async with session.get(f"{url}/healthz") as response:
            await response.read()  # the others are before it, or about to be
        slow.gate.set()
        assert all("slow 1.0" in text for text in await asyncio.gather(*asking))
        assert slow.asked < 10
        assert "slow 1.0" in await page()
