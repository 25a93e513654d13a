"""Killed at any instant of ingest, compaction and erasure: what was acknowledged is there, what was erased is not."""

import asyncio
import random
from pathlib import Path

import pytest

from kill_story import Story, told
from monitor_fixtures import CollectorProcess
from podium_monitor.lake.store import FolderStore
from ports import free_port

pytestmark = pytest.mark.process

KILLS = 6


async def test_rows_acknowledged_and_rows_found_are_equal_and_erased_rows_are_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    collector = CollectorProcess(tmp_path / "lake", tmp_path, free_port(), "monitor_in_a_hurry")
    collector.start()
    story = Story([collector], FolderStore(tmp_path / "lake"))

    async def trouble() -> None:
        for _ in range(KILLS):
            await collector.ready()
            await story.goes_on()
            await asyncio.sleep(random.uniform(0, 1.5))
            await asyncio.to_thread(collector.kill)
            assert story.lost() == []
            collector.start()
        await collector.ready()

    try:
        await told(story, 4, trouble)
        await story.compacted()
        erased = await story.erasures_done(180)
    finally:
        collector.kill()
    found, left = story.found(), story.left()  # it takes away within seconds what it replaced: a slow reader would miss it
    with capsys.disabled():
        print(
            f"\n  {KILLS} kills: {story.sent} rows sent, {len(story.acknowledged)} acknowledged, {erased} erased in"
            f" {len(story.erasures)} erasures, {len(left)} to be found, {len(found)} found, {found.total()} with duplicates"
        )
    assert set(found) == left
    assert found.total() == len(left)
    assert erased == len(story.acknowledged) - len(left) > 0
