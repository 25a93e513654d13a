"""The bound on the error of sampled contributions holds as often as it says, and what is asked ends when it should."""

from typing import Any

import numpy as np
import pytest

from podium_serving.explain.estimate import FIRST_ROUNDS, Contributions, OutOfTime, Stopped, contributions
from podium_serving.explain.student import quantile_9875

CELLS = 8
_RANDOM = np.random.default_rng(7)
_WEIGHTS = _RANDOM.normal(size=(CELLS, 6))
ROW, BACKGROUND = _RANDOM.normal(size=CELLS), _RANDOM.normal(size=(50, CELLS))


def smooth(rows: Any) -> Any:
    """A probability with interactions of up to six cells."""
    return 1 / (1 + np.exp(-(3 * np.tanh(rows @ _WEIGHTS).prod(axis=1) + rows[:, 0] * rows[:, 1] * rows[:, 2] + rows[:, 3])))


def trees(rows: Any) -> Any:
    """Rules that need four cells at once, so that most walks see nothing of them."""
    rare = (rows[:, 0] > 0.5) & (rows[:, 1] < 0) & (rows[:, 2] > 0) & (rows[:, 3] < 0.5)
    return 0.1 + 0.6 * rare + 0.2 * ((rows[:, 4] > 0) ^ (rows[:, 5] > 0) ^ (rows[:, 6] > 0))


def explained(model: Any, *, answers_given: int | None = None, **settings: Any) -> tuple[Contributions, int]:
    """The result, and how many rows the model was asked about; after `answers_given` blocks time ends."""
    arguments = {"precision": 0.01, "budget": 10**9, "seed": 0, **settings}
    asking = contributions(BACKGROUND != ROW, model(BACKGROUND), float(model(ROW[None])[0]), **arguments)
    count, blocks = 0, 0
    answers = None
    while True:
        try:
            composites = asking.send(answers)
        except StopIteration as done:
            return done.value, count
        if answers_given is not None and blocks == answers_given:
            answers = None
            continue
        blocks += 1
        count += len(composites)
        answers = model(np.where(composites.taken, ROW, BACKGROUND[composites.index]))


@pytest.mark.parametrize("model", [smooth, trees])
@pytest.mark.parametrize(("precision", "budget"), [(0.02, 9_000), (0.004, 6_000), (0.001, 3_000)])
def test_sampled_values_lie_within_their_bounds_in_95_of_100_cases(model: Any, precision: float, budget: int) -> None:
    exact, _ = explained(model)
    held = []
    for seed in range(150):
        sampled, _ = explained(model, precision=precision, budget=budget, seed=seed)
        assert sampled.stopped in (Stopped.BOUND_MET, Stopped.BUDGET_SPENT)
        held.append(np.abs(sampled.values - exact.values) <= sampled.half_widths + 1e-12)
    assert np.mean(held) >= 0.95


@pytest.mark.parametrize("budget", [10**9, 3_000])
def test_contributions_sum_to_the_prediction_less_the_mean_of_the_background(budget: int) -> None:
    found, _ = explained(smooth, budget=budget)
    assert found.baseline == pytest.approx(smooth(BACKGROUND).mean(), abs=1e-15)
    assert found.values.sum() == pytest.approx(smooth(ROW[None])[0] - found.baseline, abs=1e-12)


def test_what_fits_the_budget_is_exact() -> None:
    found, asked = explained(smooth, budget=50 * 2**CELLS)
    assert found.stopped is Stopped.EXACT
    assert found.asked == asked == 50 * (2**CELLS - 2)
    assert not found.half_widths.any()


def test_sampling_stops_when_the_bound_is_met() -> None:
    found, asked = explained(smooth, precision=0.05, budget=50 * 2**CELLS - 1)
    assert found.stopped is Stopped.BOUND_MET
    assert 0 < found.half_widths.max() <= 0.05
    assert found.asked == asked < 5_000


def test_sampling_stops_when_the_budget_is_spent_and_says_how_good_it_is() -> None:
    found, asked = explained(smooth, precision=1e-6, budget=3_000)
    assert found.stopped is Stopped.BUDGET_SPENT
    assert found.asked == asked <= 3_000
    assert found.half_widths.max() > 1e-6


def test_two_rounds_are_made_whatever_the_budget() -> None:
    found, asked = explained(smooth, budget=1)
    assert asked == FIRST_ROUNDS * 50 * 2 * (CELLS - 1)
    assert found.half_widths.max() > 0


def test_equal_seeds_give_equal_results() -> None:
    one, _ = explained(smooth, budget=3_000, seed=5)
    same, _ = explained(smooth, budget=3_000, seed=5)
    other, _ = explained(smooth, budget=3_000, seed=6)
    assert one.values.tolist() == same.values.tolist() != other.values.tolist()


def test_when_time_ends_after_two_rounds_what_is_known_is_told() -> None:
    found, asked = explained(smooth, precision=1e-6, budget=10_000, answers_given=3)
    assert found.stopped is Stopped.DEADLINE
    assert asked == 3 * 50 * 2 * (CELLS - 1)
    assert found.values.sum() == pytest.approx(smooth(ROW[None])[0] - found.baseline, abs=1e-12)


@pytest.mark.parametrize(("budget", "answers_given"), [(10**9, 0), (10_000, 0), (10_000, 1)])
def test_when_time_ends_before_the_error_can_be_known_nothing_is_told(budget: int, answers_given: int) -> None:
    with pytest.raises(OutOfTime):
        explained(smooth, budget=budget, precision=1e-6, answers_given=answers_given)


def test_a_background_row_that_equals_the_explained_one_adds_nothing_even_if_its_answer_was_rounded_otherwise() -> None:
    asking = contributions(np.zeros((1, 3), dtype=bool), np.array([0.3 + 1e-8]), 0.3, precision=0.01, budget=10, seed=0)
    with pytest.raises(StopIteration) as done:
        next(asking)
    found = done.value.value
    assert found.values.tolist() == [0, 0, 0]
    assert found.baseline == 0.3


def test_blocks_of_composites_stay_small_where_rows_have_many_cells() -> None:
    asking = contributions(np.ones((40, 400), dtype=bool), np.zeros(40), 1.0, precision=0.01, budget=10, seed=0)
    composites = next(asking)
    sizes = [composites.taken.size]
    for _ in range(FIRST_ROUNDS * 40 - 1):
        composites = asking.send(np.zeros(len(composites)))
        sizes.append(composites.taken.size)
    assert max(sizes) <= 2 * 400 * 400
    with pytest.raises(StopIteration):
        asking.send(np.zeros(len(composites)))


def test_quantiles_are_those_of_students_distribution() -> None:
    degrees = np.array([1, 2, 3, 4, 7, 20, 100, 1e6])
    exact = [25.451700, 6.205347, 4.176535, 3.495406, 2.841244, 2.423117, 2.276003, 2.241405]
    np.testing.assert_allclose(quantile_9875(degrees), exact, rtol=0.004)
    assert quantile_9875(np.array([0.0, 1.5, 2.5])).tolist() == quantile_9875(np.array([1.0, 1.0, 2.0])).tolist()
