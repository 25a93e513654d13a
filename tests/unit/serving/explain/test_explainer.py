"""Explanations by a real session: the numbers that the formula has, whatever the model, and never at the cost of others."""

import asyncio
import gc
import time
import weakref
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from podium_serving.exchange import Columns, DeadlineExceeded, InvalidRequest, Overloaded
from podium_serving.explain.cells import NotExplainable
from podium_serving.explain.estimate import Stopped
from podium_serving.explain.explainer import MAX_OPEN, MAX_ROWS, Explainer, Explanation
from podium_serving.explain.quantity import Options
from podium_serving.model.loaded import LoadedModel
from podium_serving.score.answers import reasons
from podium_serving.settings import ModelSettings
from score_fixtures import golden_rows, make_classifier, probability

pytestmark = pytest.mark.process

LATER = float("inf")
ROW = {"tenure": 30.0, "contract": "Two year", "usage": [2.0, 0.0, -1.0]}
NAMES = ["tenure", "contract", "usage[0]", "usage[1]", "usage[2]"]


def columns(*rows: dict[str, Any]) -> Columns:
    return {
        "tenure": np.array([[row["tenure"]] for row in rows], np.float32),
        "contract": np.array([[row["contract"]] for row in rows], object),
        "usage": np.array([row["usage"] for row in rows], np.float32),
    }


async def loaded(folder: Path, **package: Any) -> LoadedModel:
    make_classifier(folder, **package)
    return await LoadedModel.load(folder, ModelSettings())


async def explained(
    model: LoadedModel, *rows: dict[str, Any], options: Options | None = None, deadline: float = LATER
) -> list[Explanation]:
    asked = columns(*rows)
    answers = await model.run_aside(asked, len(rows), LATER)
    return await Explainer().explain(model, asked, len(rows), answers, options or Options(), deadline)


def by_definition(row: dict[str, Any]) -> Any:
    """The mean over background rows and over all orders of the cells."""
    found = np.zeros(5)
    background = [golden["inputs"] for golden in golden_rows() if golden["inputs"]["contract"] != "weekly"]
    own = [row["tenure"], row["contract"], *row["usage"]]
    for other in background:
        for order in permutations(range(5)):
            state = [other["tenure"], other["contract"], *other["usage"]]
            for cell in order:
                before = probability(state[0], state[1], state[2:])
                state[cell] = own[cell]
                found[cell] += probability(state[0], state[1], state[2:]) - before
    return found / (120 * len(background))


async def test_contributions_are_those_of_the_definition(tmp_path: Path) -> None:
    model = await loaded(tmp_path)
    (found,) = await explained(model, ROW)
    assert found.names == NAMES
    assert found.values == [30.0, "Two year", 2.0, 0.0, -1.0]
    assert found.quantity.name == "yes"
    assert found.found.stopped is Stopped.EXACT
    np.testing.assert_allclose(found.found.values, by_definition(ROW), atol=1e-6)
    assert found.prediction == pytest.approx(probability(30, "Two year", [2, 0, -1]), abs=1e-6)
    assert found.prediction - found.found.baseline == pytest.approx(found.found.values.sum(), abs=1e-12)
    await model.close()


async def test_a_golden_row_that_training_never_saw_is_no_background(tmp_path: Path) -> None:
    model = await loaded(tmp_path)
    (found,) = await explained(model, ROW)
    known = [row for row in golden_rows() if row["inputs"]["contract"] != "weekly"]
    assert found.background_rows == len(known) == 19
    assert found.found.baseline == pytest.approx(np.mean([row["outputs"]["probabilities"][1] for row in known]), abs=1e-6)
    await model.close()


async def test_missing_values_are_cells_like_others(tmp_path: Path) -> None:
    model = await loaded(tmp_path)
    (found,) = await explained(model, {**ROW, "contract": ""})
    assert found.values[1] is None
    assert found.found.values[1] != 0
    await model.close()


async def test_log_odds_of_independent_cells_are_their_weights(tmp_path: Path) -> None:
    model = await loaded(tmp_path)
    (found,) = await explained(
        model, {"tenure": 0.0, "contract": "Month-to-month", "usage": [2.0, 1.0, 0.0]}, options=Options(scale="LogOdds")
    )
    background = [row["inputs"]["usage"] for row in golden_rows() if row["inputs"]["contract"] != "weekly"]
    means = np.mean(background, axis=0)
    wanted = [0.5 * (2 - means[0]), -1 * (1 - means[1]), 2 * (0 - means[2])]
    np.testing.assert_allclose(found.found.values[2:], wanted, atol=2e-4)
    assert found.quantity.scale == "LogOdds"
    await model.close()


async def test_the_other_class_is_explained_by_the_opposite(tmp_path: Path) -> None:
    model = await loaded(tmp_path)
    (yes,) = await explained(model, ROW)
    (no,) = await explained(model, ROW, options=Options(target="no"))
    np.testing.assert_allclose(no.found.values, -yes.found.values, atol=1e-6)
    await model.close()


async def test_equal_rows_get_equal_explanations_in_any_company(tmp_path: Path) -> None:
    model = await loaded(tmp_path)
    other = {"tenure": 3.0, "contract": "Month-to-month", "usage": [0.0, 1.0, 1.0]}
    alone, both = await explained(model, ROW), await explained(model, other, ROW)
    assert alone[0].found.values.tolist() == both[1].found.values.tolist()
    await model.close()


async def test_a_model_is_explained_through_its_hooks(tmp_path: Path) -> None:
    model = await loaded(
        tmp_path, transform="def before(columns):\n    return {**columns, 'tenure': columns['tenure'] * 0}\n"
    )
    (found,) = await explained(model, ROW)
    assert found.found.values[0] == pytest.approx(0, abs=1e-7)  # the hook takes away what tenure says
    assert abs(found.found.values[2]) > 0.01
    await model.close()


async def test_without_golden_rows_there_is_nothing_to_explain_against(tmp_path: Path) -> None:
    model = await loaded(tmp_path, golden=0)
    with pytest.raises(NotExplainable, match="explained against golden rows, and the package has none"):
        await explained(model, ROW)
    await model.close()


async def test_more_than_a_hundred_rows_are_refused(tmp_path: Path) -> None:
    model = await loaded(tmp_path)
    with pytest.raises(InvalidRequest, match="101 rows are to be explained, at most 100 are at a time"):
        await explained(model, *[ROW] * (MAX_ROWS + 1))
    await model.close()


@pytest.mark.parametrize("options", [Options(top=10**30), Options(precision=1e-320), Options(precision=1e300)])
async def test_options_of_absurd_size_are_taken_at_their_word(options: Options, tmp_path: Path) -> None:
    model = await loaded(tmp_path)
    (found,) = await explained(model, ROW, options=options)
    listed = reasons(found, options)["contributions"]
    assert len(listed) == 5
    await model.close()


async def test_a_deadline_that_has_passed_is_told_as_such(tmp_path: Path) -> None:
    model = await loaded(tmp_path)
    with pytest.raises(DeadlineExceeded, match="the explanation did not come before"):
        await explained(model, ROW, deadline=time.monotonic() - 1)
    await model.close()


async def test_one_explanation_too_many_is_refused_and_the_others_go_on(tmp_path: Path) -> None:
    model = await loaded(tmp_path)
    explainer, asked = Explainer(), columns(*[ROW] * 20)
    answers = await model.run_aside(asked, 20, LATER)
    running = [asyncio.create_task(explainer.explain(model, asked, 20, answers, Options(), LATER)) for _ in range(MAX_OPEN)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="explanations are at work, at most 4 may be"):
        await explainer.explain(model, asked, 20, answers, Options(), LATER)
    assert [len(found) for found in await asyncio.gather(*running)] == [20] * MAX_OPEN
    assert len(await explainer.explain(model, asked, 20, answers, Options(), LATER)) == 20
    await model.close()


async def test_normal_requests_are_answered_while_an_explanation_runs(tmp_path: Path) -> None:
    model = await loaded(tmp_path)
    explainer, asked = Explainer(), columns(*[ROW] * MAX_ROWS)
    answers = await model.run_aside(asked, MAX_ROWS, LATER)
    running = asyncio.create_task(explainer.explain(model, asked, MAX_ROWS, answers, Options(), LATER))
    answered = 0
    while not running.done():
        await model.infer(columns(ROW), 1, LATER)
        answered += 1
        await asyncio.sleep(0)
    assert answered > 50
    assert len(await running) == MAX_ROWS
    await model.close()


async def test_what_is_known_of_a_version_goes_with_it(tmp_path: Path) -> None:
    model = await loaded(tmp_path)
    explainer, asked = Explainer(), columns(ROW)
    answers = await model.run_aside(asked, 1, LATER)
    await explainer.explain(model, asked, 1, answers, Options(), LATER)
    await model.close()
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
