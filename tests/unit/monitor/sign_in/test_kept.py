"""A document of an issuer: one fetch for all, old ones while it is silent, none that is too old."""

import asyncio

import pytest

from podium_monitor.sign_in.kept import FRESH_SECONDS, PAUSE_SECONDS, STALE_SECONDS, IssuerSilent, Kept


class Scripted:
    """Answers 1, 2, 3, ... or fails, when it is let."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.fetches = 0
        self.fails = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.kept = Kept(self._fetch, lambda: self.now)

    async def _fetch(self) -> int:
        self.fetches += 1
        number = self.fetches
        await self.gate.wait()
        if self.fails:
            raise IssuerSilent("as the test says")
        return number


async def test_all_who_want_it_are_told_by_one_fetch_and_nobody_who_leaves_takes_it_from_the_others() -> None:
    scripted = Scripted()
    scripted.gate.clear()
    waiting = [asyncio.ensure_future(scripted.kept.get()) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    scripted.gate.set()
    assert await asyncio.gather(*waiting[1:]) == [1] * 4
    assert scripted.fetches == 1


async def test_an_old_one_is_used_while_a_new_one_is_fetched() -> None:
    scripted = Scripted()
    assert await scripted.kept.get() == 1
    scripted.now += FRESH_SECONDS + 1
    scripted.gate.clear()
    assert [await scripted.kept.get() for _ in range(3)] == [1, 1, 1]
    scripted.gate.set()
    async with asyncio.timeout(60):
        while await scripted.kept.get() == 1:  # noqa: ASYNC110  it is fetched in the next turns
            await asyncio.sleep(0)
    assert scripted.fetches == 2


async def test_a_silent_issuer_is_asked_again_after_a_pause_and_one_that_is_too_old_counts_no_more() -> None:
    scripted = Scripted()
    assert await scripted.kept.get() == 1
    scripted.fails = True
    scripted.now += STALE_SECONDS - 1
    assert await scripted.kept.get() == 1
    await asyncio.sleep(0)
    scripted.now += 2
    for _ in range(3):
        with pytest.raises(IssuerSilent):
            await scripted.kept.get()
    assert scripted.fetches == 2
    scripted.fails = False
    scripted.now += PAUSE_SECONDS
    assert await scripted.kept.get() == 3


async def test_a_newer_one_is_fetched_so_often_and_no_more() -> None:
    scripted = Scripted()
    assert await scripted.kept.get() == 1
    assert [await scripted.kept.newer() for _ in range(3)] == [1, 1, 1]
    scripted.now += PAUSE_SECONDS
    assert [await scripted.kept.newer() for _ in range(3)] == [2, 2, 2]
    assert await scripted.kept.get() == 2
