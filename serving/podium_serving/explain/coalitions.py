"""Which composite rows to ask a model about, and the Shapley values that follow from its answers. Pure.

A composite row is a background row in which some cells are those of the explained row. The value of a coalition S of cells
is the model's answer with S taken from the explained row and all others from the background row: the interventional
value function of Lundberg and Lee (2017), A Unified Approach to Interpreting Model Predictions, NeurIPS 30, for one
background row. The Shapley value over several background rows is the mean of those per row: it is linear in the value
function.

A cell that both rows share can move nothing (the dummy axiom), so no answer is asked for it: a row of churn data with 19
columns differs from a background row in about ten.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import factorial

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Rows:
    """What is known of some background rows before anything is asked; one entry per row."""

    index: Indices
    """Shape (n,): which background row."""
    differs: Bools
    """Shape (n, cells): where the explained row has another value."""
    empty: Floats
    """Shape (n,): the model's answer to the background row itself, no cell taken."""
    full: float
    """Its answer to the explained row, all cells taken."""

    def part(self, which: slice) -> "Rows":
        return Rows(self.index[which], self.differs[which], self.empty[which], self.full)


@dataclass(frozen=True, slots=True)
class Composites:
    """Rows to ask about."""

    index: Indices
    """Shape (m,): the background row each is made of."""
    taken: Bools
    """Shape (m, cells): the cells that are the explained row's."""

    def __len__(self) -> int:
        return len(self.index)

    def part(self, which: slice) -> "Composites":
        return Composites(self.index[which], self.taken[which])


class Enumeration:
    """Every coalition of the differing cells: exact. Asks 2^d - 2 rows where d cells differ."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._cells = [np.flatnonzero(differs) for differs in rows.differs]
        self._counts = [max(0, 2 ** len(cells) - 2) for cells in self._cells]
        taken = np.zeros((sum(self._counts), rows.differs.shape[1]), dtype=bool)
        start = 0
        for cells, count in zip(self._cells, self._counts, strict=True):
            taken[start : start + count, cells] = subsets(len(cells))[1:-1]
            start += count
        self.composites = Composites(np.repeat(rows.index, self._counts), taken)

    def contributions(self, answers: Floats) -> Floats:
        """Shape (n, cells): Shapley values per background row. Each row sums to full - empty."""
        rows = self._rows
        found = np.zeros(rows.differs.shape)
        start = 0
        for position, (cells, count) in enumerate(zip(self._cells, self._counts, strict=True)):
            if len(cells):
                values = np.concatenate(([rows.empty[position]], answers[start : start + count], [rows.full]))
                found[position, cells] = shapley_weights(len(cells)) @ values
            start += count
        return found


class Walks:
    """One antithetic pair of walks per background row: cells are taken one by one in a random order, and in its reverse.

    What the answer moves by when a cell is taken is an unbiased estimate of its Shapley value (Castro, Gómez, Tejada, 2009,
    Polynomial calculation of the Shapley value based on sampling, Computers & Operations Research 36; Štrumbelj and
    Kononenko, 2014, Explaining prediction models and individual predictions with feature contributions, Knowledge and
    Information Systems 41). A walk ends at the explained row, so its steps sum to full - empty exactly. The reverse order
    cancels what pairs of cells do together (Mitchell, Cooper, Frank, Holmes, 2022, Sampling Permutations for Shapley Value
    Estimation, JMLR 23). Asks 2 * (d - 1) rows where d cells differ.
    """

    def __init__(self, rows: Rows, random: "np.random.Generator") -> None:  # quoted: numpy.random is 3 MB, loaded when used
        self._rows = rows
        count, cells = rows.differs.shape
        forth = random.permuted(np.tile(np.arange(cells), (count, 1)), axis=1)
        self._order = np.concatenate([forth, forth[:, ::-1]])
        self._steps = np.take_along_axis(np.concatenate([rows.differs, rows.differs]), self._order, axis=1)
        reached = np.cumsum(self._steps, axis=1)
        self._last = self._steps & (reached == reached[:, -1:])
        self._asked = self._steps & ~self._last
        walks, positions = np.nonzero(self._asked)
        ranks = np.argsort(self._order, axis=1)
        self.composites = Composites(np.tile(rows.index, 2)[walks], ranks[walks] <= positions[:, None])

    def contributions(self, answers: Floats) -> Floats:
        """Shape (n, cells): the mean of each pair. Each row sums to full - empty."""
        count, cells = self._rows.differs.shape
        empty = np.tile(self._rows.empty, 2)[:, None]
        after = np.zeros(self._order.shape)
        after[self._asked] = answers
        after[self._last] = self._rows.full
        after = _carried(after, self._steps, empty)
        found = np.zeros(self._order.shape)
        np.put_along_axis(found, self._order, np.diff(after, axis=1, prepend=empty), axis=1)
        pairs: Floats = found.reshape(2, count, cells).mean(axis=0)
        return pairs


def _carried(values: Floats, known: Bools, first: Floats) -> Floats:
    """`values` where known, else the last known one to the left, else `first`."""
    positions = np.where(known, np.arange(values.shape[1]), -1)
    newest = np.maximum.accumulate(positions, axis=1)
    return np.where(newest < 0, first, np.take_along_axis(values, np.maximum(newest, 0), axis=1))


@lru_cache(maxsize=32)
def subsets(players: int) -> Bools:
    """Shape (2^players, players): all coalitions; that of row r are the bits of r."""
    bits: Bools = (np.arange(2**players)[:, None] >> np.arange(players)) & 1 == 1
    return bits


@lru_cache(maxsize=32)
def shapley_weights(players: int) -> Floats:
    """Shape (players, 2^players): times the values of `subsets`, the Shapley values (Shapley, 1953).

    The weight of a coalition of size s that a player joins is s! (players - s - 1)! / players!.
    """
    members = subsets(players)
    sizes = members.sum(axis=1)
    joined = np.array([factorial(s) * factorial(players - s - 1) / factorial(players) for s in range(players)])
    with_player = joined[np.maximum(sizes - 1, 0)]
    without = joined[np.minimum(sizes, players - 1)]
    weights: Floats = np.where(members, with_player[:, None], -without[:, None]).T.copy()
    return weights
