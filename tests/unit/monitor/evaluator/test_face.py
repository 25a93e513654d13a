"""What the evaluator's port says to whoever asks, before anybody is known."""

from contextlib import nullcontext

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

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
