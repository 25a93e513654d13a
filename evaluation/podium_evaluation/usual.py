"""What is usual of a model's performance: the same figures on chunks of its reference that have a window's size."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from podium_evaluation.chunks import Chunk, drawn_chunks, whole_chunks
from podium_evaluation.realised import Curves, Figure, curves, performance
from podium_evaluation.tables import Table, Task

DEVIATIONS = 3.0
"""A figure is alarming outside of its mean over reference chunks +- this many standard deviations."""
FEWEST_REFERENCE_CHUNKS = 3
CERTAIN_REFERENCE_CHUNKS = 10
"""The deviation of fewer chunks may be far too small by chance: it is taken to be at least that of drawn ones."""
MOST_REFERENCE_CHUNKS = 300
"""By as many a deviation is known to 4 %."""
_ALIKE = 0.1
"""Sizes so near to one another share a band: it is 5 % too wide or too narrow at most."""

Band = tuple[float, float]
"""Mean and standard deviation over the reference's chunks."""


@dataclass(frozen=True)
class Reference:
    """The reference's own figures, and how each varies over chunks of a typical window's size."""

    rows: int
    performance: dict[str, Figure]
    usual: dict[str, Band]
    curves: Curves | None = None


class Usual:
    """The bands of a reference, by the number of rows that a window's figures are of: its rows whose truth is known. A
    window of few labels varies by more than one whose rows all have theirs."""

    def __init__(self, reference: Table, task: Task) -> None:
        self._rows = len(reference)
        self._task = task
        self._table = reference.narrowed().rows(np.flatnonzero(reference.known(task)))
        self._by_size: dict[int, dict[str, Band]] = {}

    def of(self, rows: int) -> dict[str, Band]:
        """By the figure's name; none where the reference cannot tell."""
        if rows == 0 or len(self._table) < FEWEST_REFERENCE_CHUNKS:
            return {}
        size = next((one for one in self._by_size if abs(one - rows) <= _ALIKE * rows), rows)
        if size not in self._by_size:
            self._by_size[size] = self._computed(size)
        return self._by_size[size]

    def reference(self, rows: int) -> Reference:
        """With the bands of windows with so many rows."""
        figures = performance(self._table, self._task)
        return Reference(self._rows, figures, self.of(rows), curves(self._table, self._task))

    def _computed(self, size: int) -> dict[str, Band]:
        chunks = whole_chunks(len(self._table), size, MOST_REFERENCE_CHUNKS)
        if len(chunks) >= CERTAIN_REFERENCE_CHUNKS:
            return self._over(chunks)
        by_chance = self._over(drawn_chunks(len(self._table), size))
        if len(chunks) < FEWEST_REFERENCE_CHUNKS:
            return by_chance
        least = {name: deviation for name, (_, deviation) in by_chance.items()}
        found = self._over(chunks)
        return {name: (mean, max(deviation, least.get(name, 0.0))) for name, (mean, deviation) in found.items()}

    def _over(self, chunks: Sequence[Chunk]) -> dict[str, Band]:
        by_chunk = [performance(self._table.rows(chunk.rows), self._task) for chunk in chunks]
        found = {}
        for name in {name for figures in by_chunk for name in figures}:
            values = [figures[name].value for figures in by_chunk if name in figures]
            if len(values) >= FEWEST_REFERENCE_CHUNKS:
                found[name] = (float(np.mean(values)), float(np.std(values, ddof=1)))
        return found
