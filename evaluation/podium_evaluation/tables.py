"""Rows as they are judged: columns by name, and which of them are what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from podium_evaluation.columns import Column, texts
from podium_evaluation.sequences import Floats

Task = Literal["Binary", "Classes", "Numbers"]
"""Truths are 0 or 1; one of several classes, of which the decided one is given; or numbers."""


@dataclass(frozen=True)
class Table:
    """Columns of equal length by name."""

    columns: Mapping[str, Column]
    score: str
    """Of Binary the score of the class 1, of Classes that of the decided class, of Numbers the predicted value."""
    target: str | None = None
    """Absent, or missing in some rows: labels come late."""
    prediction: str | None = None
    """Absent: the score is at least 0.5, if it is a probability."""
    protected: Sequence[str] = ()
    segments: Sequence[str] = ()
    features: Sequence[str] = ()
    classes: tuple[str, ...] = ()
    """Of Classes: all that the target and the prediction hold. These columns are then Categorical."""
    probabilities: bool = True
    """Whether scores are meant as probabilities: of others neither a decision nor a loss can be told."""

    def __len__(self) -> int:
        return len(self.columns[self.score])

    def rows(self, chosen: npt.NDArray[np.int64]) -> "Table":
        return replace(self, columns={name: one.rows(chosen) for name, one in self.columns.items()})

    def narrowed(self) -> "Table":
        """With those columns alone that performance is told from."""
        wanted = {self.score, self.target, self.prediction}
        return replace(self, columns={name: one for name, one in self.columns.items() if name in wanted})

    @property
    def scores(self) -> Floats:
        values: Floats = self.columns[self.score].values
        return values

    @property
    def truth(self) -> Floats:
        """Numbers of classes where there are any. NaN where it is not known yet."""
        if self.target is None or self.target not in self.columns:
            return np.full(len(self), np.nan)
        return self._coded(self.columns[self.target])

    @property
    def decides(self) -> bool:
        """Whether it is known what the rows' scores led to."""
        return self.prediction is not None or self.probabilities

    @property
    def decided(self) -> Floats:
        """As the truth. NaN where it is not known."""
        if self.prediction is not None:
            return self._coded(self.columns[self.prediction])
        if not self.probabilities:
            return np.full(len(self), np.nan)
        return np.where(np.isnan(self.scores), np.nan, self.scores >= 0.5)

    def _coded(self, column: Column) -> Floats:
        if not self.classes:
            values: Floats = column.values
            return values
        number = {name: float(index) for index, name in enumerate(self.classes)}
        return np.array([number.get(value, np.nan) for value in column.values.tolist()], dtype=np.float64)

    def known(self, task: Task) -> npt.NDArray[np.bool_]:
        """Rows that performance is told of: whose truth, score and, where there are any, decision are known. Of numbers,
        and of probabilities, those that are not finite are none."""
        truth, scores = self.truth, self.scores
        if task == "Numbers":
            return np.asarray(np.isfinite(truth) & np.isfinite(scores))
        there = ~np.isnan(truth) & (np.isfinite(scores) if self.probabilities else ~np.isnan(scores))
        return np.asarray(there & ~np.isnan(self.decided) if self.decides else there)


def groups_of(column: Column) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Values by their text, sorted, and which of them each row has, -1 where it is missing."""
    named = column.values if column.kind == "Categorical" else texts(column.values)
    codes = np.full(len(column), -1, dtype=np.int64)
    names, codes[~column.missing] = np.unique(named[~column.missing].astype(str), return_inverse=True)
    return [str(name) for name in names], codes
