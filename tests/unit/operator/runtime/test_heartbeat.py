import asyncio
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from operator_fixtures import FakeClock
from podium_operator.kinds import Key
from podium_operator.runtime.health import HealthServer
from podium_operator.runtime.heartbeat import Heartbeat
from podium_operator.runtime.metrics import Metrics

pytestmark = pytest.mark.process

KEY = Key("ModelVersion", "retention", "churn-3")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def heartbeat(clock: FakeClock) -> Heartbeat:
    return Heartbeat(clock, stuck_seconds=60, reconcile_timeout_seconds=300)


def test_a_loop_that_turns_is_well_and_one_that_does_not_is_not(heartbeat: Heartbeat, clock: FakeClock) -> None:
    clock.pass_by(59)
    assert heartbeat.fault() is None
    clock.pass_by(2)
    assert heartbeat.fault() == "the work loop has not turned for 61 s"
    heartbeat.beat()
    assert heartbeat.fault() is None


def test_a_worker_that_outlives_its_reconciles_deadline_is_a_fault(heartbeat: Heartbeat, clock: FakeClock) -> None:
    heartbeat.began(KEY)
    clock.pass_by(361)
    heartbeat.beat()
    assert heartbeat.fault() == "ModelVersion retention/churn-3 has been in work for 361 s"
    heartbeat.ended(KEY)
    assert heartbeat.fault() is None


async def test_the_port_tells_health_readiness_and_metrics(heartbeat: Heartbeat, clock: FakeClock) -> None:
    ready = False
    server = HealthServer(heartbeat, Metrics(), is_ready=lambda: ready)
    port = await server.start("127.0.0.1", 0)
    try:
        assert await fetch(port, "/healthz") == (200, "ok")
        assert (await fetch(port, "/readyz"))[0] == 503
        ready = True
        assert await fetch(port, "/readyz") == (200, "ok")
        assert "podium_operator_leader 0.0" in (await fetch(port, "/metrics"))[1]
        clock.pass_by(100)
        assert (await fetch(port, "/healthz"))[0] == 503
    finally:
        await server.stop()


async def fetch(port: int, path: str) -> tuple[int, str]:
    def get() -> tuple[int, str]:
        try:
            with urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return await asyncio.to_thread(get)
