"""Kilobytes that become gigabytes, sent to a real collector: it refuses them, and its memory stays as it was."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiohttp
import pyarrow as pa
import pytest

import parquet_bombs
from label_fixtures import PARQUET, asked, label, post_labels
from monitor_fixtures import CollectorProcess, headers, running
from podium_monitor.labels.parquet import labels_in

pytestmark = pytest.mark.process

MOST_GROWTH_BYTES = 250 << 20
"""Of the collector's own peak: a body and its answer. The reading process has 256 MiB beside its libraries."""


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    yield from running(tmp_path)


@pytest.fixture
async def session(collector: CollectorProcess) -> AsyncIterator[aiohttp.ClientSession]:
    await collector.ready()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=600)) as opened:
        yield opened


def peak_bytes(collector: CollectorProcess) -> int:
    assert collector.process is not None
    status = Path(f"/proc/{collector.process.pid}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize(
    ("bomb", "says"),
    [
        (parquet_bombs.text_bomb, "takes more than 256 MiB"),
        (parquet_bombs.page_bomb, "takes more than 256 MiB"),
        (parquet_bombs.dictionary_bomb, "send"),
    ],
)
async def test_a_table_of_labels_that_becomes_gigabytes_is_refused_while_others_are_taken(
    session: aiohttp.ClientSession, collector: CollectorProcess, bomb: Callable[[], bytes], says: str
) -> None:
    content = bomb()
    assert len(content) < 1_000_000
    before = peak_bytes(collector)
    sent = asyncio.ensure_future(post_labels(session, collector, content, PARQUET))
    assert await post_labels(session, collector, label("c-1")) == (200, {"accepted": 1, "duplicates": 0})
    status, answer = await sent
    assert (status, says in answer["error"]) == (413, True), answer
    assert peak_bytes(collector) - before < MOST_GROWTH_BYTES
    assert asked(collector, "select count(*) from labels") == [(1,)]


def test_more_rows_than_a_footer_says_are_not_looked_at() -> None:
    [only] = labels_in(parquet_bombs.rows_bomb(5_000_000))
    assert only.join_key == "k"


async def test_files_of_a_reference_that_become_gigabytes_are_refused(
    session: aiohttp.ClientSession, collector: CollectorProcess
) -> None:
    before = peak_bytes(collector)
    rows = 5_000
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int8()), pa.array(["x" * 100_000]))
    files = {
        "reference.parquet": (parquet_bombs.text_bomb(), parquet_bombs.written({"text": texts.cast(pa.string())})),
        "profile.json": (b"[" + b"[]," * 5_000_000 + b"[]]",),
    }
    for name, contents in files.items():
        for content in contents:
            url = f"{collector.url}/v1/references/sha256:{'0' * 64}/{name}"
            async with session.put(url, data=io.BytesIO(content), headers=headers()) as response:
                answer = await response.json()
            assert (response.status, "takes more than 256 MiB" in answer["error"]) == (400, True), (name, answer)
    assert peak_bytes(collector) - before < MOST_GROWTH_BYTES
    assert not list((collector.lake / "references").rglob("*.*"))
