"""The bench that every test of answering starts from."""

from collections.abc import AsyncIterator

import pytest

from traffic_fixtures import Bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.factory.close()


@pytest.fixture
def _breakers_stay_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Usually for a second: a busy machine may stand still for as long between two requests."""
    monkeypatch.setattr("podium_serving.traffic.breaker.FIRST_PAUSE_SECONDS", 600.0)


@pytest.fixture(autouse=True)
def _connections_have_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody takes is given up by a test of its own."""
    monkeypatch.setattr("podium_serving.traffic.wire._CONNECT_SECONDS", 5.0)
