"""What is made of a deployment's days is made once for all who look, until something of it changes."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import aiohttp
import msgspec
import pytest
from fastapi import FastAPI
from markupsafe import Markup

from dashboard_fixtures import Rights, StillWorld, Story, evaluation, evidence, sources, watched
from podium_evaluation.documents import DeploymentEvaluation, Period, with_outlines
from podium_monitor.dashboard.routes import dashboard
from podium_monitor.dashboard.sections import KeptSections, Key, Sections, key_of
from podium_monitor.sign_in.opening import reception
from podium_monitor.sign_in.settings import Open
from podium_pages.charts.frame import Table, escaped, rows
from web_fixtures import served

STORY = Story(days=3, columns=("age",))


def key(found: DeploymentEvaluation | None = None, period: Period = "Day", told: Story = STORY) -> Key:
    return key_of(watched(told), found or with_outlines(evaluation(told)), evidence(told), period)


def test_only_when_it_was_looked_at_last_and_what_happened_makes_no_difference() -> None:
    document = with_outlines(evaluation(STORY))
    later = msgspec.structs.replace(document, evaluated_at=document.evaluated_at + timedelta(hours=1), timeline=[])
    assert key(document) == key(later)
    others = [
        msgspec.structs.replace(document, parts={"2026-W47": "2026-W47-other.json"}),
        msgspec.structs.replace(document, label_coverage=0.1),
        msgspec.structs.replace(document, arms=document.arms[:1]),
    ]
    found = [key(document), *(key(one) for one in others), key(document, "Hour"), key(told=Story(days=3, seed=8))]
    found.append(key_of(watched(STORY), document, None, "Day"))
    moved = replace(watched(STORY), status=None)
    found.append(key_of(moved, document, evidence(STORY), "Day"))
    assert len(set(found)) == len(found)


def test_the_whole_days_and_their_outlines_have_one_key() -> None:
    head = with_outlines(evaluation(STORY))
    assert key(head) == key(with_outlines(head))


def test_what_nobody_asked_for_longest_goes_when_there_is_no_room() -> None:
    kept, made = KeptSections(most_bytes=60), Counter[str]()

    def asked(name: str, version: bytes = b"1", size: int = 10) -> None:
        wanted: Key = ("shop", name, "Day", version)

        def make() -> tuple[Key, Sections]:
            made[name] += 1
            return wanted, Sections([], Markup("x" * size))

        assert len(kept.of(wanted, make).markup) == size

    for name in "abcacd":
        asked(name)
    assert made == {"a": 1, "b": 1, "c": 1, "d": 1}
    asked("a")
    assert made["a"] == 1
    asked("b")
    assert made["b"] == 2, "it had gone for d"
    asked("a", b"2")
    assert made["a"] == 2, "it is another now"
    asked("large", size=1000)
    asked("large", size=1000)
    assert made["large"] == 2, "what does not fit is not kept"
    asked("d")
    asked("d")
    assert made["d"] <= 3


@pytest.mark.process
async def test_days_are_read_once_for_all_who_look_at_them() -> None:
    read, app, known = Counter[str](), FastAPI(), sources([STORY])

    def evaluation_of(namespace: str, name: str) -> DeploymentEvaluation | None:
        read[name] += 1
        return known.evaluation(namespace, name)

    counted = replace(known, evaluation=evaluation_of)
    app.include_router(dashboard(reception(Open()), StillWorld([watched(STORY)]), counted, Rights()))
    bodies = []
    async with served(app) as url, aiohttp.ClientSession(url) as session:
        for path in ("", "", "?period=Hour", ""):
            async with session.get(f"/deployments/retention/churn{path}") as response:
                bodies.append(await response.text())
    assert read == {"churn": 2}
    assert bodies[0] == bodies[1] == bodies[3] != bodies[2]
    assert 'id="quality"' in bodies[0]


@pytest.mark.parametrize("texts", [["<a>", "b & c"], ["with \ue000 in it", "'\""], [], [""]])
def test_texts_are_escaped_together_as_they_are_alone(texts: list[str]) -> None:
    assert list(escaped(texts)) == [str(Markup.escape(text)) for text in texts]


def test_rows_of_a_table_name_themselves_and_hold_text_alone() -> None:
    drawn = rows(Table(["a", "b"], [["<x>", "1"], ["\ue000", "2", "3"]]))
    assert drawn == (
        '<tr><th scope="row">&lt;x&gt;</th><td>1</td></tr>\n<tr><th scope="row">\ue000</th><td>2</td><td>3</td></tr>\n'
    )
