"""Group commit: batches that arrive together become durable together."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq

from monitor_fixtures import batch, event
from podium_monitor.committer import Committed, Committer
from podium_monitor.credentials import Source
from podium_monitor.events import Clock, rows_of
from podium_monitor.known import KnownEvents
from podium_monitor.lake.store import FolderStore
from podium_monitor.lake.writer import Lake
from podium_monitor.metrics import Metrics
from podium_monitor.settings import Limits

CLOCK = Clock(datetime(2026, 11, 21, 13, 30, tzinfo=UTC), timedelta(days=2), timedelta(hours=1))
CHURN = Source("shop", "churn", "uid-1")


async def test_batches_that_arrive_together_become_one_file_and_each_is_told_its_own_numbers(tmp_path: Path) -> None:
    committer = Committer(Lake(FolderStore(tmp_path)), KnownEvents(1000, 3600), Limits(), Metrics())
    batches = [[event(f"{sender}-{index}") for index in range(10)] for sender in range(40)]
    told = [asyncio.ensure_future(committer.commit(rows_of(batch(one), CHURN, CLOCK, 10), 1000)) for one in batches]
    told.append(asyncio.ensure_future(committer.commit(rows_of(batch(batches[0]), CHURN, CLOCK, 10), 1000)))
    await asyncio.sleep(0)  # all have arrived
    running = asyncio.create_task(committer.run())
    assert await asyncio.gather(*told) == [*[Committed(10, 0)] * 40, Committed(0, 10)]
    [file] = tmp_path.glob("predictions/**/*.parquet")  # noqa: ASYNC240  nothing else goes on
    assert pq.ParquetFile(file).metadata.num_rows == 400
    committer.stop()
    await running
