"""The dashboard in a real Chromium: what it shows, that nothing captured runs, keys, themes, narrow screens, updates."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from chromium import PROGRAM, Tab, chromium
from dashboard_fixtures import HOSTILE, StillWorld, Story, fleet, sources, watched
from podium_monitor.access import NoReviews
from podium_monitor.dashboard.routes import dashboard
from podium_monitor.sign_in.opening import reception
from podium_monitor.sign_in.settings import Open
from web_fixtures import served

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium on this machine")

_WHOLE = "!document.querySelector('[data-soon]')"
_UNNAMED = """[...document.querySelectorAll('a,button,input,select,svg.chart')]
    .filter(e => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length || e.type === 'hidden'))
    .map(e => e.outerHTML)"""
_DOUBLE_IDS = """(() => {
    const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
    return ids.length - new Set(ids).size;
})()"""
_CONTRAST = (Path(__file__).parent / "contrast.js").read_text()


@asynccontextmanager
async def shown(stories: list[Story], evaluated: bool = True) -> AsyncIterator[tuple[Tab, str, StillWorld]]:
    world = StillWorld([watched(story) for story in stories])
    app = FastAPI()
    app.include_router(dashboard(reception(Open()), world, sources(stories, evaluated), NoReviews()))
    async with served(app) as url, chromium() as tab:
        yield tab, url, world


async def test_the_overview_shows_each_deployment_and_sorts_and_filters() -> None:
    async with shown(fleet(12)) as (tab, url, _):
        await tab.open(url)
        await tab.until("document.querySelectorAll('.fleet tbody tr').length == 12")
        first = await tab.value("document.querySelector('.fleet tbody tr').innerText")
        for wanted in ("churn", "Performance degraded", "gradient-boosting", "Better", "0.8", "EUR", "91.3 %"):
            assert wanted in first
        await tab.open(f"{url}/?sort=name&order=desc&namespace=payments")
        names = await tab.value("[...document.querySelectorAll('.fleet tbody th a')].map(a => a.textContent)")
        assert names == sorted(names, reverse=True)
        assert len(names) == 3
        assert await tab.value("document.querySelector('[aria-sort]').textContent") == "Deployment▾"
        assert tab.problems == []


async def test_every_section_of_a_deployment_has_its_charts_and_their_numbers() -> None:
    async with shown([Story()]) as (tab, url, _):
        await tab.open(f"{url}/deployments/retention/churn")
        charts = json.loads(
            await tab.value(
                "JSON.stringify(Object.fromEntries([...document.querySelectorAll('main section[id]')]"
                ".map(s => [s.id, s.querySelectorAll('svg.chart').length])))"
            )
        )
        assert charts["traffic"] >= 4
        assert charts["evidence"] == 2
        assert charts["performance"] >= 6
        assert charts["drift"] >= 8
        assert all(charts[one] > 0 for one in ("segments", "fairness", "value", "quality"))
        tables = await tab.value(
            "[...document.querySelectorAll('figure')].every(f => f.querySelector('details table tbody tr'))"
        )
        assert tables, "each chart has a table of its numbers"
        assert "valid only if calibrated and without concept drift" in await tab.value("document.body.innerText")
        assert tab.problems == []


@pytest.mark.parametrize("path", ["/", "/deployments/retention/churn", "/versions/retention/churn-3"])
@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_a_page_can_be_read_without_a_pointer_and_without_sharp_eyes(path: str, theme: Any) -> None:
    async with shown(fleet(9)) as (tab, url, _):
        await tab.size(1400, 1000, theme)
        await tab.open(url + path)
        await tab.until(_WHOLE)
        assert await tab.value("document.documentElement.lang") == "en"
        assert await tab.value("document.querySelectorAll('h1').length") == 1
        assert await tab.value("document.querySelectorAll('main, header, footer').length") == 3
        levels = await tab.value("[...document.querySelectorAll('h1,h2,h3,h4')].map(h => +h.tagName[1])")
        assert all(after <= before + (2 if after == 4 else 1) for before, after in pairwise(levels))
        assert await tab.value(_UNNAMED) == []
        assert await tab.value("[...document.querySelectorAll('th')].filter(t => !t.scope).length") == 0
        assert await tab.value(_DOUBLE_IDS) == 0
        assert await tab.value(_CONTRAST) == [], "text has a contrast of 4.5 (WCAG 2.2, 1.4.3)"


async def test_the_tab_key_comes_by_the_skip_link_first_and_arrows_walk_through_a_chart() -> None:
    async with shown([Story()]) as (tab, url, _):
        await tab.open(f"{url}/deployments/retention/churn")
        await tab.press("Tab", 9)
        assert await tab.value("document.activeElement.className") == "skip"
        await tab.value("document.querySelector('#performance svg.chart').focus()")
        for _ in range(3):
            await tab.press("ArrowRight", 39)
        said = await tab.value("document.getElementById('said').textContent")
        assert "champion" in said
        assert await tab.value("document.getElementById('tip').textContent") == said
        await tab.press("Escape", 27)
        assert await tab.value("document.getElementById('tip').hidden") is True


@pytest.mark.parametrize("path", ["/", "/deployments/retention/churn", "/versions/retention/churn-3"])
async def test_a_narrow_screen_needs_no_scrolling_sideways(path: str) -> None:
    async with shown(fleet(4)) as (tab, url, _):
        await tab.size(390, 844)
        await tab.open(url + path)
        await tab.until(_WHOLE)
        assert await tab.value("document.documentElement.scrollWidth") <= 390


async def test_the_theme_follows_the_system_until_somebody_chooses() -> None:
    async with shown([Story(days=3)]) as (tab, url, _):
        ground = "getComputedStyle(document.body).backgroundColor"
        await tab.size(1200, 800, "dark")
        await tab.open(url)
        dark = await tab.value(ground)
        await tab.value("document.getElementById('theme').click()")
        light = await tab.value(ground)
        assert light != dark
        await tab.open(url)
        assert await tab.value(ground) == light, "the choice is remembered"


async def test_nothing_that_was_captured_runs_or_becomes_an_element() -> None:
    async with shown([Story(hostile=True)]) as (tab, url, _):
        await tab.open(f"{url}/deployments/retention/churn")
        text = await tab.value("document.body.textContent")
        assert HOSTILE in text
        assert await tab.value("document.querySelectorAll('img[src=x], [onload], [onerror]').length") == 0
        assert await tab.value("[...document.scripts].every(s => s.src.includes('/static/') && !s.textContent)")
        tips = await tab.value("[...document.querySelectorAll('[data-tip]')].map(e => e.dataset.tip)")
        assert any(HOSTILE in tip for tip in tips)
        await tab.open(f"{url}/?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E")
        assert await tab.value("document.querySelector('input[name=q]').value") == '"><script>alert(1)</script>'
        assert tab.problems == []


async def test_a_page_follows_what_happens_and_keeps_what_somebody_has_opened() -> None:
    stories = [Story()]
    async with shown(stories) as (tab, url, world):
        await tab.open(f"{url}/deployments/retention/churn")
        await tab.value("document.querySelector('#drift details').open = true")
        await tab.value("document.documentElement.dataset.same = 'page'")
        champion = "document.querySelector('#traffic').textContent.includes('40 % churn-5')"
        assert await tab.value(champion) is False
        before = world.watched[0]
        assert before.status is not None
        shares = [
            one.model_copy(update={"percent": percent}) for one, percent in zip(before.status.traffic, (60, 40), strict=True)
        ]
        world.watched = [type(before)(**{**vars(before), "status": before.status.model_copy(update={"traffic": shares})})]
        await tab.until(champion)
        assert await tab.value("document.querySelector('#drift details').open") is True
        assert await tab.value("document.documentElement.dataset.same") == "page"


async def test_a_deployment_without_data_says_what_to_do_next() -> None:
    async with shown([Story()], evaluated=False) as (tab, url, _):
        await tab.open(f"{url}/deployments/retention/churn")
        text = await tab.value("document.body.innerText")
        for wanted in (
            "No data yet",
            "churn.retention.svc/docs",
            "podium feedback --deployment retention/churn",
            "No label has come",
        ):
            assert wanted in text
        assert tab.problems == []


async def test_a_page_works_without_its_script() -> None:
    async with shown([Story()]) as (tab, url, _):
        await tab.ask("Emulation.setScriptExecutionDisabled", value=True)
        await tab.open(f"{url}/deployments/retention/churn")
        found = await tab.ask("DOM.getDocument", depth=0)
        charts = await tab.ask("DOM.querySelectorAll", nodeId=found["root"]["nodeId"], selector="svg.chart")
        assert len(charts["nodeIds"]) > 20
