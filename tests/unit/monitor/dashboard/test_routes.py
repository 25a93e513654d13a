"""The dashboard over HTTP: what is there for whom, what browsers may keep, and what is read how often."""

import asyncio
import gzip
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest
from fastapi import FastAPI

from dashboard_fixtures import Rights, StillWorld, Story, sources, watched
from monitor_fixtures import until
from podium_monitor.access import AccessUnknown, Identity
from podium_monitor.dashboard.routes import dashboard
from podium_monitor.dashboard.shelf import Shelf
from podium_monitor.dashboard.views.glance import Glance
from podium_monitor.sign_in.opening import reception
from podium_monitor.sign_in.settings import Closed, Open, SignInSettings
from podium_monitor.sign_in.visitors import Visitor, visible
from podium_monitor.world import Watched
from web_fixtures import served

pytestmark = pytest.mark.process

STORIES = [Story(days=2, columns=("age",)), Story(name="fraud", namespace="payments", days=2, columns=("age",))]


@asynccontextmanager
async def asking(settings: SignInSettings, rights: Rights | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    app = FastAPI()
    world = StillWorld([watched(story) for story in STORIES])
    app.include_router(dashboard(reception(settings), world, sources(STORIES), rights or Rights()))
    async with served(app) as url, aiohttp.ClientSession(url, auto_decompress=False) as session:
        yield session


async def test_a_dashboard_that_nobody_configured_is_closed() -> None:
    async with asking(Closed(), Rights({("anybody", "retention")})) as session:
        for path in ("/", "/deployments/retention/churn", "/versions/retention/churn-3"):
            async with session.get(path) as response:
                body = await response.text()
            assert response.status == 401
            assert "PODIUM_SIGN_IN" in body
            assert "churn" not in body


async def test_the_open_mode_shows_everything_and_says_so() -> None:
    async with asking(Open()) as session, session.get("/", headers={"Accept-Encoding": "identity"}) as response:
        body = await response.text()
        assert "Open mode." in body
        assert "churn" in body
        assert "fraud" in body


async def test_a_page_that_has_not_changed_is_not_sent_again_and_never_stored() -> None:
    async with asking(Open()) as session:
        async with session.get("/deployments/retention/churn") as first:
            etag = first.headers["ETag"]
            assert first.headers["Cache-Control"] == "no-store"
        async with session.get("/deployments/retention/churn", headers={"If-None-Match": etag}) as second:
            assert (second.status, await second.read()) == (304, b"")
        async with session.get("/deployments/payments/fraud", headers={"If-None-Match": etag}) as other:
            assert other.status == 200


async def test_pages_are_packed_for_who_can_unpack_them() -> None:
    async with asking(Open()) as session:
        page = "/deployments/retention/churn"  # the overview says which minute it is
        async with session.get(page, headers={"Accept-Encoding": "gzip"}) as packed:
            assert packed.headers["Content-Encoding"] == "gzip"
            content = await packed.read()
        async with session.get(page, headers={"Accept-Encoding": "identity"}) as plain:
            assert gzip.decompress(content) == await plain.read()


async def test_static_files_are_kept_for_ever_under_their_own_address_only() -> None:
    async with asking(Closed()) as session:
        async with session.get("/static/podium.css") as response:
            assert response.headers["Cache-Control"] == "no-cache"
            assert response.headers["Content-Type"] == "text/css; charset=utf-8"
        for path in ("/static/routes.py", "/static/..%2froutes.py", "/static/%2e%2e/routes.py"):
            async with session.get(path) as response:
                assert response.status == 404


async def test_what_does_not_exist_is_404_with_a_way_back() -> None:
    async with asking(Open()) as session:
        for path in ("/deployments/retention/nothing", "/deployments/nowhere/churn", "/versions/retention/nothing"):
            async with session.get(path) as response:
                assert response.status == 404
                assert "All deployments" in await response.text()


class Shut(Rights):
    async def may(self, *_: object) -> bool:
        raise AccessUnknown("the API server does not answer")


async def test_nobody_is_let_in_on_a_guess_when_the_api_server_is_silent() -> None:
    with pytest.raises(AccessUnknown):
        await visible(Visitor(Identity("ada")), ["retention"], Shut())


class Counting:
    """Sources that count how often a glance is read."""

    def __init__(self) -> None:
        self.read: list[str] = []
        real = sources(STORIES)

        def glance(one: Watched) -> Glance | None:
            self.read.append(one.name)
            return real.glance(one)

        self.sources = replace(real, glance=glance)

    @property
    def counts(self) -> dict[str, int]:
        return dict(Counter(self.read))


async def test_rows_are_read_once_while_they_are_fresh_and_behind_the_readers_back_later() -> None:
    clock = [0.0]
    counting = Counting()
    shelf = Shelf(counting.sources, lambda: clock[0])
    world = [watched(story) for story in STORIES]
    assert [one.name for one in await shelf.rows(world, world)] == ["churn", "fraud"]
    await shelf.rows(world, world)
    assert counting.counts == {"churn": 1, "fraud": 1}
    clock[0] = 90.0
    assert len(await shelf.rows(world, world)) == 2
    await until(lambda: counting.counts == {"churn": 2, "fraud": 2})
    clock[0] = 500.0
    await shelf.rows(world, world)
    assert counting.counts == {"churn": 3, "fraud": 3}, "what is minutes old is waited for"
    assert await shelf.rows(world[:1], world[:1])
    assert len(await shelf.rows(world, world)) == 2
    assert counting.read[6:] == ["fraud"], "who is gone is forgotten, and read again when they come back"


async def test_a_changed_manifest_makes_a_row_anew() -> None:
    counting = Counting()
    shelf = Shelf(counting.sources)
    world = [watched(story) for story in STORIES]
    await shelf.rows(world, world)
    changed = [replace(world[0], annotations={"a": "b"}), world[1]]
    await shelf.rows(changed, changed)
    assert counting.counts == {"churn": 2, "fraud": 1}


async def test_a_page_does_not_wait_for_ever_and_one_broken_file_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium_monitor.dashboard.shelf._PATIENCE_SECONDS", 0.05)
    held = threading.Event()
    real = sources(STORIES)

    def glance(one: Watched) -> Glance | None:
        held.wait(60)
        if one.name == "churn":
            raise ValueError("the disk is tired")
        return real.glance(one)

    shelf = Shelf(replace(real, glance=glance))
    world = [watched(story) for story in STORIES]
    assert await shelf.rows(world, world) == []
    held.set()
    async with asyncio.timeout(60):
        while [one.name for one in await shelf.rows(world, world)] != ["fraud"]:  # noqa: ASYNC110  the shelf has no event
            await asyncio.sleep(0.01)
