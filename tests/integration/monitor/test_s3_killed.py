"""Two collectors on one bucket are killed, and so is the bucket: nothing acknowledged is lost, nothing erased stays."""

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from kill_story import Story, told
from monitor_fixtures import CollectorProcess
from podium_monitor.lake.opening import open_store
from podium_monitor.lake.store import Store
from ports import free_ports
from s3_server import S3Server

KILLS = 6


@pytest.fixture
def collectors(s3: S3Server, tmp_path: Path) -> Iterator[list[CollectorProcess]]:
    made = []
    for number, port in enumerate(free_ports(2)):
        folder = tmp_path / f"collector-{number}"
        folder.mkdir()
        made.append(CollectorProcess(folder, folder, port, "monitor_in_a_hurry", s3.environment))
    for collector in made:
        collector.start()
    yield made
    for collector in made:
        collector.kill()


async def test_collectors_and_bucket_are_killed(
    s3: S3Server, store: Store, collectors: list[CollectorProcess], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    story = Story(collectors, store)

    async def trouble() -> None:
        for turn in range(KILLS):
            for collector in collectors:
                await collector.ready()
            await story.goes_on()
            await asyncio.sleep(random.uniform(0, 1.5))
            if turn % 3 == 2:
                await asyncio.to_thread(s3.kill)
                await asyncio.sleep(1.5)
                await asyncio.to_thread(s3.start)
            else:
                await asyncio.to_thread(collectors[turn % 2].kill)
                assert await asyncio.to_thread(story.lost) == []
                collectors[turn % 2].start()
        for collector in collectors:
            await collector.ready()
        await story.goes_on()

    await told(story, 4, trouble)
    await story.compacted()
    erased = await story.erasures_done(240)
    fresh = Story(collectors, open_store(s3.settings(tmp_path / "fresh-cache")))
    found = await asyncio.to_thread(fresh.found)
    left = story.left()
    with capsys.disabled():
        print(
            f"\n  {KILLS} kills of collectors and bucket: {story.sent} rows sent, {len(story.acknowledged)} acknowledged,"
            f" {erased} erased in {len(story.erasures)} erasures, {len(left)} to be found, {len(found)} found,"
            f" {found.total()} with duplicates"
        )
    assert set(found) == left
    assert erased >= len(story.acknowledged) - len(left) > 0
    assert found.total() <= 1.5 * len(found)
