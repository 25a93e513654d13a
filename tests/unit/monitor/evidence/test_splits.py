"""What a row's split says of the chance of a challenger."""

import json
from typing import Any

import numpy as np
import pytest

from evidence_lake_fixtures import CANARY, CHALLENGER, CHAMPION, watched
from podium_monitor.evidence.ledger import questions
from podium_monitor.evidence.splits import share, shares

[QUESTION] = questions(watched(CANARY))


def split(champion: int = 40, boosted: int = 20, **changes: Any) -> dict[str, Any]:
    arms = {"champion": {"percent": champion, "digest": CHAMPION}, "boosted": {"percent": boosted, "digest": CHALLENGER}}
    return {**arms, **changes}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param(split(), 20 / 60, id="among-the-two"),
        pytest.param(split(other={"percent": 40, "digest": "sha256:5"}), 20 / 60, id="others-do-not-count"),
        pytest.param(split(champion=0), None, id="no-champion"),
        pytest.param(split(boosted=0), None, id="no-chance"),
        pytest.param(split() | {"boosted": {"percent": 20, "digest": "sha256:9"}}, None, id="another-version"),
        pytest.param(split() | {"champion": {"percent": 80, "digest": "sha256:9"}}, None, id="another-champion"),
        pytest.param({"champion": {"percent": 100, "digest": CHAMPION}}, None, id="not-there"),
        pytest.param({"champion": 80, "boosted": 20}, None, id="what-no-pod-says"),
    ],
)
def test_the_share_is_that_of_the_challenger_among_the_two(said: Any, expected: float | None) -> None:
    assert share(json.dumps(said), QUESTION) == pytest.approx(expected)


def test_a_row_that_was_not_split_has_no_share() -> None:
    found = shares([None, json.dumps(split()), None, "no json"], QUESTION)
    assert np.isnan(found).tolist() == [True, False, True, True]
