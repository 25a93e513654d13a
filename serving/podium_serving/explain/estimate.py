"""Shapley values of one explained row over all background rows, with a bound on their error. Pure: asks and is told.

Background rows are not sampled: each takes part in every round, so the mean prediction over them is exact and so is the
sum of the contributions. Only the orders of walks are random. Rows that differ in few cells are enumerated and have no
error at all; when all of them can be, the whole result is exact.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from podium_serving.explain.coalitions import Bools, Composites, Enumeration, Floats, Rows, Walks
from podium_serving.explain.student import quantile_9875

ENUMERATED_CELLS = 5
"""A row that differs in so few cells is always enumerated: at most 30 answers, fewer than four pairs of walks ask."""

BLOCK_CELLS = 65_536
"""Cells of the composites that exist at a time, about. One background row is never split."""

FIRST_ROUNDS = 2
"""Of walks, at least: fewer say nothing about the error."""

_RULE_OF_THREE = 3.0


class Stopped(StrEnum):
    """Why no more was asked."""

    EXACT = "Exact"
    BOUND_MET = "BoundMet"
    BUDGET_SPENT = "BudgetSpent"
    DEADLINE = "Deadline"


@dataclass(frozen=True, slots=True)
class Contributions:
    """What moved one prediction. `values` sum to the prediction less `baseline`, but for rounding of doubles."""

    values: Floats
    half_widths: Floats
    """Half of each value's 95 % confidence interval; 0 where nothing was sampled."""
    baseline: float
    """The mean prediction over the background rows."""
    asked: int
    """Rows that the model answered for this."""
    stopped: Stopped


class OutOfTime(Exception):
    """Time ended before the error could be known."""


Asking = Generator[Composites, Floats | None, Contributions]
"""Yields composites, takes the model's answers to them, or None when there is no time for more; returns the result."""


def contributions(
    differs: Bools, background: Floats, prediction: float, *, precision: float, budget: int, seed: int
) -> Asking:
    """Explains `prediction`. `differs` has shape (background rows, cells), `background` their predictions.

    Walks until all half-widths are at most `precision`, or the next round would exceed `budget` rows in all, though
    FIRST_ROUNDS are always made. The same arguments give the same result, unless time ends. Raises OutOfTime when it ends
    before that.
    """
    counts = differs.sum(axis=1)
    # An equal row has an equal prediction: what differs by rounding in another batch must not break the sum.
    empty = np.where(counts == 0, prediction, background.astype(np.float64))
    small = counts <= (ENUMERATED_CELLS if float((2.0**counts).sum()) > budget else differs.shape[1])
    sums, asked = yield from _enumerated(_rows(differs, empty, prediction, small))
    error = _Error(differs[~small], len(counts))
    stopped = Stopped.EXACT
    if not small.all():
        walked = _rows(differs, empty, prediction, ~small)
        sampling = _Sampling(walked, error, precision, budget - asked, np.random.default_rng(seed))
        stopped = yield from sampling.walk()
        sums = sums + sampling.means.sum(axis=0)
        asked += sampling.asked
    return Contributions(sums / len(counts), error.half_widths, float(empty.mean()), asked, stopped)


def _rows(differs: Bools, empty: Floats, full: float, which: Bools) -> Rows:
    return Rows(np.flatnonzero(which), differs[which], empty[which], full)


def _blocks(rows: Rows, composites_per_row: npt.NDArray[Any]) -> Iterator[tuple[slice, Rows]]:
    """Parts of `rows` of which each makes about BLOCK_CELLS cells of composites at most."""
    start, cells = 0, 0.0
    for position, count in enumerate(composites_per_row):
        more = float(count) * rows.differs.shape[1]
        if position > start and cells + more > BLOCK_CELLS:
            yield slice(start, position), rows.part(slice(start, position))
            start, cells = position, 0.0
        cells += more
    yield slice(start, len(rows.index)), rows.part(slice(start, len(rows.index)))


def _enumerated(rows: Rows) -> Generator[Composites, Floats | None, tuple[Floats, int]]:
    """The sum of the rows' Shapley values, and how many rows were asked about."""
    total, asked = np.zeros(rows.differs.shape[1]), 0
    for _, block in _blocks(rows, 2.0 ** rows.differs.sum(axis=1)):
        enumeration = Enumeration(block)
        answers = yield from _answers(enumeration.composites)
        if answers is None:
            raise OutOfTime
        asked += len(answers)
        total += enumeration.contributions(answers).sum(axis=0)
    return total, asked


def _answers(composites: Composites) -> Generator[Composites, Floats | None, Floats | None]:
    if not len(composites):
        return np.zeros(0)
    return (yield composites)


class _Error:
    """What the half-widths are, from the variance of each background row's pairs.

    Each background row is a stratum with a mean over rounds of its own. Degrees of freedom of the sum by Satterthwaite
    (1946), An Approximate Distribution of Estimates of Variance Components, Biometrics Bulletin 2. The quantile is one of
    97.5 % confidence, so that 95 % is held: with that of 95 % itself intervals covered 93.8 to 94.9 % in simulations.

    What no walk has met leaves no variance behind: an interaction may be missed that as many pairs miss in 5 of 100 cases.
    By the rule of three (Hanley and Lippman-Hand, 1983, JAMA 249) its share is below 3 / pairs; it is taken to be as large
    as the largest move that any pair saw. Without this, a cell that acts in one of 20 orders was covered in 54 of 100 cases.
    """

    def __init__(self, differs: Bools, background_rows: int) -> None:
        self._touched = differs.any(axis=0)
        self._background_rows = background_rows
        self.half_widths = np.zeros(differs.shape[1])

    def update(self, variances: Floats, largest: float, rounds: int) -> None:
        """`variances` of one pair, shape (walked rows, cells), and the largest contribution in one, of so many rounds."""
        summed = variances.sum(axis=0)
        squares = (variances**2).sum(axis=0)
        degrees = (rounds - 1) * summed**2 / np.where(squares > 0, squares, np.inf)
        seen = quantile_9875(degrees) * np.sqrt(summed / rounds) / self._background_rows
        unseen = _RULE_OF_THREE * largest / (rounds * self._background_rows)
        self.half_widths = np.where(self._touched, np.hypot(seen, unseen), 0.0)


class _Sampling:
    """Rounds of walks over the rows that are too many-sided to enumerate."""

    def __init__(self, rows: Rows, error: _Error, precision: float, budget: int, random: "np.random.Generator") -> None:
        self._rows = rows
        self._error = error
        self._precision, self._budget = precision, budget
        self._random = random
        self._per_row = 2 * (rows.differs.sum(axis=1) - 1)
        self.means = np.zeros(rows.differs.shape)
        self._squares = np.zeros(rows.differs.shape)
        self._largest = 0.0
        self._rounds = 0
        self.asked = 0

    def walk(self) -> Generator[Composites, Floats | None, Stopped]:
        check_at = FIRST_ROUNDS
        while True:
            found = yield from self._round()
            if found is None and self._rounds < FIRST_ROUNDS:
                raise OutOfTime
            if found is None:
                return Stopped.DEADLINE
            self._add(found)
            if self._rounds >= check_at:
                widest = float(self._error.half_widths.max())
                if widest <= self._precision:
                    return Stopped.BOUND_MET
                # Looked at again when it can be met, not after each round: who looks often stops on luck.
                check_at = max(self._rounds + 1, ceil(self._rounds * min(widest / self._precision, 1e3) ** 2))
            if self._rounds >= FIRST_ROUNDS and self.asked + int(self._per_row.sum()) > self._budget:
                return Stopped.BUDGET_SPENT

    def _round(self) -> Generator[Composites, Floats | None, Floats | None]:
        """One pair per row. None: time ended within it, and its part is of no use, for rows would count unequally."""
        found = np.zeros(self._rows.differs.shape)
        for which, block in _blocks(self._rows, self._per_row):
            walks = Walks(block, self._random)
            answers = yield from _answers(walks.composites)
            if answers is None:
                return None
            self.asked += len(answers)
            found[which] = walks.contributions(answers)
        return found

    def _add(self, found: Floats) -> None:
        """Running means and squares (Welford, 1962, Technometrics 4)."""
        self._rounds += 1
        self._largest = max(self._largest, float(np.abs(found).max()))
        change = found - self.means
        self.means += change / self._rounds
        self._squares += change * (found - self.means)
        if self._rounds >= FIRST_ROUNDS:
            self._error.update(self._squares / (self._rounds - 1), self._largest, self._rounds)
