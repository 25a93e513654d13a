"""docs/guide/score.md says what is true: its commands are sent, and its answers are the real ones but for digits."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from score_lane_fixtures import ask, classifier, told

pytestmark = pytest.mark.process

GUIDE = Path(__file__).parents[4] / "docs" / "guide" / "score.md"


def examples() -> list[tuple[str, Any, Any]]:
    """Path, body and answer of each command."""
    found = []
    for command, answer in re.findall(r"```bash\n(.*?)```\n\n```json\n(.*?)```", GUIDE.read_text(), re.DOTALL):
        path, body = re.fullmatch(r"curl -s \$URL(\S+) -d '(.*)'\n", command, re.DOTALL).groups()  # type: ignore[union-attr]  # it matches
        found.append((path, json.loads(body), json.loads(answer)))
    return found


def shape(value: Any) -> Any:
    """Numbers lose their size, ids their digits; texts, names and lengths stay."""
    if isinstance(value, dict):
        return {name: "id" if name == "request_id" and "-" in inner else shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return "number" if isinstance(value, (int, float)) else value


@pytest.mark.parametrize(("path", "body", "answer"), examples())
async def test_the_guides_commands_are_answered_as_it_says(path: str, body: Any, answer: Any, tmp_path: Path) -> None:
    async with classifier(tmp_path) as here:
        reply = told(await ask(here, path, body))
    assert shape(reply) == shape({**answer, "version": "churn-1"} if "version" in answer else answer)


async def test_the_guides_explanation_has_the_models_numbers(tmp_path: Path) -> None:
    path, body, answer = examples()[-1]
    async with classifier(tmp_path) as here:
        reply = told(await ask(here, path, body))
    own, said = reply["predictions"][0]["explanation"], answer["predictions"][0]["explanation"]
    for name in ("prediction", "baseline", "others", "rows_asked"):
        assert said[name] == pytest.approx(own[name], abs=0.006)
    for reason, stated in zip(own["contributions"], said["contributions"], strict=True):
        assert stated["contribution"] == pytest.approx(reason["contribution"], abs=0.006)


def test_all_blocks_of_the_guide_are_run() -> None:
    assert len(examples()) == GUIDE.read_text().count("```bash") == 4
