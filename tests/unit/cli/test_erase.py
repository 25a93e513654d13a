"""`podium erase`, run as a user runs it, against a real collector."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from cli_fixtures import podium
from monitor_fixtures import KEY, CollectorProcess, batch, event, headers, prediction, rows, running
from podium_crds.capture import erasure_token
from ports import free_port

pytestmark = pytest.mark.process


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    yield from running(tmp_path)


def erase(url: str, *words: str, token: str = erasure_token(KEY)) -> "subprocess.CompletedProcess[str]":
    environment = {"PODIUM_COLLECTOR_URL": url, "PODIUM_ERASURE_TOKEN": token}
    return podium("erase", "--requested-by", "privacy office", *words, environment=environment)


async def recorded(collector: CollectorProcess) -> None:
    """Customers 1 and 2."""
    await collector.ready()
    events = [event(f"e-{number}", data=prediction(join_key=f"customer-{number}")) for number in (1, 2)]
    url = f"{collector.url}/v1/events"
    async with aiohttp.ClientSession() as session, session.post(url, data=batch(events), headers=headers()) as answer:
        assert answer.status == 200


def test_a_customer_is_forgotten(collector: CollectorProcess) -> None:
    asyncio.run(recorded(collector))
    done = erase(collector.url, "--join-key", "customer-1", "--deployment", "shop/churn")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("is Erased: 1 predictions")
    assert [row["join_key"] for row in rows(collector.lake)] == ["customer-2"]


def test_what_cannot_be_done_is_said(collector: CollectorProcess) -> None:
    asyncio.run(recorded(collector))
    cases = [
        (erase(collector.url), 2, "one of --join-key, --request-id and --event-id"),
        (erase(collector.url, "--join-key", "a", "--event-id", "b"), 2, "one of --join-key"),
        (erase(collector.url, "--join-key", "a", token=""), 2, "there is no erasure token"),
        (erase(collector.url, "--join-key", "a", token="x"), 2, "answers 401: the header Authorization"),
        (erase(f"http://127.0.0.1:{free_port()}", "--join-key", "a"), 3, "does not answer"),
    ]
    for done, code, said in cases:
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert len(rows(collector.lake)) == 2
