"""Shapley values of single background rows: against the definition, and the axioms."""

from itertools import permutations
from math import factorial
from typing import Any

import numpy as np
import pytest

from podium_serving.explain.coalitions import Enumeration, Rows, Walks, shapley_weights, subsets


def answers_of(rows: Any) -> Any:
    """A model with interactions of three cells, a threshold and a cell that does nothing (the last)."""
    return rows[:, 0] * rows[:, 1] * rows[:, 2] + 2 * (rows[:, 2] > rows[:, 3]) + np.exp(rows[:, 1])


def by_definition(row: Any, background: Any) -> Any:
    """The mean, over all orders, of what each cell adds when it is taken."""
    found = np.zeros(len(row))
    for order in permutations(range(len(row))):
        state = background.copy()
        for cell in order:
            before = answers_of(state[None])[0]
            state[cell] = row[cell]
            found[cell] += answers_of(state[None])[0] - before
    return found / factorial(len(row))


ROW = np.array([1.0, -0.5, 2.0, 0.3, 9.0])
BACKGROUND = np.array([[0.0, 1.0, -1.0, 0.5, 1.0], [1.0, -0.5, 1.0, 3.0, 9.0], ROW, [1.0, -0.5, 2.0, 0.3, 1.0]])
ROWS = Rows(np.arange(4), BACKGROUND != ROW, answers_of(BACKGROUND), float(answers_of(ROW[None])[0]))


def asked(composites: Any) -> Any:
    return answers_of(np.where(composites.taken, ROW, BACKGROUND[composites.index]))


def test_an_enumeration_gives_the_shapley_values_of_the_definition() -> None:
    enumeration = Enumeration(ROWS)
    found = enumeration.contributions(asked(enumeration.composites))
    for position, background in enumerate(BACKGROUND):
        np.testing.assert_allclose(found[position], by_definition(ROW, background), atol=1e-12)


def test_an_enumeration_asks_nothing_for_cells_that_are_equal() -> None:
    enumeration = Enumeration(ROWS)
    counts = np.bincount(enumeration.composites.index, minlength=4)
    assert counts.tolist() == [2**5 - 2, 2**2 - 2, 0, 0]


@pytest.mark.parametrize("seed", range(5))
def test_every_pair_of_walks_sums_to_what_the_prediction_moved_by(seed: int) -> None:
    walks = Walks(ROWS, np.random.default_rng(seed))
    found = walks.contributions(asked(walks.composites))
    np.testing.assert_allclose(found.sum(axis=1), ROWS.full - ROWS.empty, atol=1e-12)
    assert (found[~ROWS.differs] == 0).all()


def test_pairs_of_walks_ask_twice_the_cells_that_differ_but_one() -> None:
    walks = Walks(ROWS, np.random.default_rng(0))
    assert np.bincount(walks.composites.index, minlength=4).tolist() == [8, 2, 0, 0]


def test_walks_estimate_the_shapley_values_without_bias() -> None:
    random = np.random.default_rng(0)
    exact = Enumeration(ROWS)
    wanted = exact.contributions(asked(exact.composites))
    rounds = []
    for _ in range(2000):
        walks = Walks(ROWS, random)
        rounds.append(walks.contributions(asked(walks.composites)))
    errors = np.std(rounds, axis=0) / np.sqrt(len(rounds))
    assert (np.abs(np.mean(rounds, axis=0) - wanted) <= 4 * errors + 1e-12).all()


def test_a_pair_of_walks_is_exact_where_cells_act_by_twos() -> None:
    rows = Rows(np.arange(1), np.ones((1, 3), dtype=bool), np.array([0.0]), 3.0)

    def pairs(taken: Any) -> Any:
        return (taken[:, 0] & taken[:, 1]) * 1.0 + (taken[:, 1] & taken[:, 2]) * 2.0

    for seed in range(5):
        walks = Walks(rows, np.random.default_rng(seed))
        found = walks.contributions(pairs(walks.composites.taken))
        np.testing.assert_allclose(found, [[0.5, 1.5, 1.0]], atol=1e-12)


@pytest.mark.parametrize("players", [1, 2, 3, 6])
def test_shapley_weights_share_out_all_that_the_full_coalition_has(players: int) -> None:
    weights = shapley_weights(players)
    members = subsets(players)
    assert members.shape == (2**players, players)
    total = weights.sum(axis=0)
    assert total[-1] == pytest.approx(1)
    assert total[0] == pytest.approx(-1)
    np.testing.assert_allclose(total[1:-1], 0, atol=1e-12)
    np.testing.assert_allclose(weights @ members, np.eye(players), atol=1e-12)  # additive games give each its own
