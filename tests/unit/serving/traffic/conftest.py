"""The bench that every test of answering starts from."""

from collections.abc import AsyncIterator

import pytest

from traffic_fixtures import Bench


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    yield made
    await made.factory.close()
