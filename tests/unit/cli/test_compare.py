"""`podium compare-scores`, run as a user runs it."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cli_fixtures import podium
from podium_evaluation.auc import auc_difference

pytestmark = pytest.mark.process

run = partial(podium, "compare-scores")


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6,000 rows; `new` knows more of the truth than `old`, and both are calibrated."""
    chance = np.random.default_rng(11)
    known, hidden = chance.normal(size=(2, 6000))
    left = (chance.uniform(size=6000) < 1 / (1 + np.exp(-known - 1.5 * hidden))).astype(int)
    frame = pd.DataFrame({"customer": np.arange(6000), "left": left})
    frame["old"] = 1 / (1 + np.exp(-0.8 * known))
    frame["new"] = 1 / (1 + np.exp(-known - 1.5 * hidden))
    frame["margin"] = known + hidden
    path = tmp_path_factory.mktemp("scores") / "scores.csv"
    frame.to_csv(path, index=False)
    return path


def test_a_better_challenger_is_found_and_both_aucs_are_said(scored: Path) -> None:
    done = run(str(scored), "--target", "left", "--score", "old", "--score", "new", "--id", "customer", "--json", "-")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    frame = pd.read_csv(scored)
    areas = auc_difference(frame["left"], frame["old"], frame["new"])
    assert found["rows"] == 6000
    assert found["delong"]["z"] == pytest.approx(areas.z)
    assert found["b"]["auc"] == pytest.approx(areas.second.value)
    assert found["sequential"]["decision"] == "Better"
    assert found["sequential"]["units"] >= 1000
    assert found["sequential"]["lower"] > 0


def test_the_table_says_the_verdict_in_words(scored: Path) -> None:
    done = run(str(scored), "--target", "left", "--score", "new", "--score", "old")
    assert done.returncode == 0, done.stderr
    assert "B is worse: after 1000 units LogLoss" in done.stdout
    assert "DeLong    z = " in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param(["--score", "old", "--score", "margin"], "LogLoss needs probabilities: the score of row", id="margins"),
        pytest.param(["--score", "old"], "--score is given 1 times; give it twice", id="one-score"),
        pytest.param(["--score", "old", "--score", "newer"], "--score is 'newer', but", id="no-such-column"),
        pytest.param(["--score", "old", "--score", "new", "--loss", "Auc"], "must be one of ZeroOne, Brier", id="loss"),
        pytest.param(["--score", "old", "--score", "new", "--id", "left"], "have an --id that another has", id="twice"),
    ],
)
def test_what_cannot_be_compared_is_said(scored: Path, arguments: list[str], says: str) -> None:
    done = run(str(scored), "--target", "left", *arguments)
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())


def test_rank_takes_any_score(scored: Path) -> None:
    done = run(str(scored), "--target", "left", "--score", "old", "--score", "margin", "--loss", "Rank", "--json", "-")
    assert json.loads(done.stdout)["sequential"]["decision"] == "Better", done.stderr


def test_truths_may_be_words(scored: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(scored)
    for words in (["No", "Yes"], [False, True]):
        frame.assign(left=np.array(words)[frame["left"]]).to_csv(tmp_path / "words.csv", index=False)
        given = ["--target", "left", "--score", "old", "--score", "new", "--json", "-"]
        done, of_words = (run(str(path), *given) for path in (scored, tmp_path / "words.csv"))
        assert of_words.stdout == done.stdout
        assert of_words.returncode == 0, of_words.stderr


def test_what_one_positive_row_cannot_tell_is_null(tmp_path: Path) -> None:
    frame = pd.DataFrame({"left": [1, 0, 0, 0], "old": [0.4, 0.2, 0.5, 0.1], "new": [0.9, 0.1, 0.3, 0.2]})
    frame.to_csv(tmp_path / "few.csv", index=False)
    done = run(str(tmp_path / "few.csv"), "--target", "left", "--score", "old", "--score", "new", "--json", "-")
    assert "NaN" not in done.stdout
    assert json.loads(done.stdout)["a"]["standard_error"] is None
    assert json.loads(done.stdout)["sequential"]["decision"] == "NotEnoughData"


def test_rows_without_a_target_are_left_out_and_counted(scored: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(scored)
    late = frame.assign(left=frame["left"].where(frame.index % 3 > 0))
    late.to_csv(tmp_path / "late.csv", index=False)
    late.dropna().to_csv(tmp_path / "known.csv", index=False)
    asked = ["--target", "left", "--score", "old", "--score", "new", "--json", "-"]
    found, known = (json.loads(run(str(tmp_path / name), *asked).stdout) for name in ("late.csv", "known.csv"))
    assert (found.pop("unlabelled"), known.pop("unlabelled")) == (2000, 0)
    assert found == known
