"""A column as statistics see it: numbers or categories, with missing values apart. Whoever reads files makes these."""

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from podium_evaluation.bins import CategoryBins, Counts, NumericBins, category_bins, quantile_bins
from podium_evaluation.drift import Sample
from podium_evaluation.sequences import Floats

Kind = Literal["Numeric", "Categorical"]
_NOTHING = ("NaT", "<NA>")
"""How pandas writes what is missing."""


@dataclass(frozen=True)
class Column:
    """`values` has shape (n_rows,): floats with NaN for missing in a Numeric column, else text with None for missing."""

    name: str
    kind: Kind
    values: npt.NDArray[Any]

    def __len__(self) -> int:
        return len(self.values)

    def rows(self, chosen: slice | npt.NDArray[Any]) -> "Column":
        return Column(self.name, self.kind, self.values[chosen])

    @cached_property
    def missing(self) -> npt.NDArray[np.bool_]:
        if self.kind == "Numeric":
            return np.asarray(np.isnan(self.values), dtype=bool)
        return np.asarray([value is None for value in self.values], dtype=bool)

    @cached_property
    def counts(self) -> dict[str, int]:
        """Rows per category."""
        return dict(Counter(value for value in self.values.tolist() if value is not None))

    @cached_property
    def numbers(self) -> Floats:
        """Values that are not missing, the smallest first: a reference is sorted once for all its windows."""
        present: Floats = np.sort(self.values[~self.missing].astype(np.float64))
        return present

    @cached_property
    def sample(self) -> Sample | None:
        """The numbers, ready to be compared; None where there is none."""
        return Sample(self.numbers) if len(self.numbers) else None

    @cached_property
    def bins(self) -> tuple[NumericBins, Counts]:
        """Of a Numeric column: its quantile bins, and its own counts in them."""
        bins = quantile_bins(self.numbers)
        return bins, bins.count(self.values)

    @cached_property
    def categories(self) -> tuple[CategoryBins, Counts]:
        """Of a Categorical column: its categories as bins, and its own counts in them."""
        bins = category_bins(self.counts)
        return bins, bins.count(self.counts, int(self.missing.sum()))


def column(name: str, values: npt.ArrayLike) -> Column:
    """Numbers where all values are; else categories by their text. Booleans are categories. None, NaN and NaT are missing.

    Numbers of 0 and 1 alone stay numbers: their bins are their values.
    """
    given = np.asarray(values)
    if given.dtype.kind in "iuf":
        return Column(name, "Numeric", given.astype(np.float64))
    if given.dtype.kind == "O":
        try:
            kinds = {type(value) for value in given.tolist() if value is not None and value == value}
        except (TypeError, ValueError):  # pandas' NA has no truth
            kinds = {object}
        if kinds and kinds <= {int, float, Decimal}:
            return Column(name, "Numeric", np.array([np.nan if value is None else value for value in given], np.float64))
    return Column(name, "Categorical", texts(given))


def texts(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values as categories, shape (n,): by their text, whole numbers without a fraction, None for missing."""
    listed = values.tolist()
    if all(type(value) is str for value in listed):
        return np.array([value if value not in _NOTHING else None for value in listed], dtype=object)
    return np.array([_text(value) for value in listed], dtype=object)


def _text(value: Any) -> str | None:
    try:
        gone = value is None or bool(value != value)
    except (TypeError, ValueError):
        gone = True
    if gone or str(value) in _NOTHING:
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
