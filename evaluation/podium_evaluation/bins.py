"""A window of one column as counts: in the bins of the reference, with a bin for missing and one for unseen values.

Counts add up: windows of an hour make a day by addition, whatever came before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]

QUANTILE_BINS = 10
FEWEST_EXPECTED = 5
"""A category whose expected count is below this, in either window, goes to the pool (Cochran's rule)."""


@dataclass(frozen=True)
class NumericBins:
    """Half-open to the right: value v lies in bin i when edges[i-1] <= v < edges[i]. Infinities lie in the outer bins."""

    edges: tuple[float, ...]

    @property
    def names(self) -> tuple[str, ...]:
        bounds = ["-inf", *(f"{edge:.6g}" for edge in self.edges), "inf"]
        return (*(f"[{low}, {high})" for low, high in pairwise(bounds)), "missing")

    def count(self, values: npt.ArrayLike) -> Counts:
        """Counts per bin, the last of them missing (NaN); shape (len(edges) + 2,)."""
        numbers = np.asarray(values, dtype=np.float64)
        present = numbers[~np.isnan(numbers)]
        counts = np.bincount(np.searchsorted(self.edges, present, side="right"), minlength=len(self.edges) + 1)
        return np.append(counts, len(numbers) - len(present)).astype(np.int64)


def quantile_bins(reference: npt.ArrayLike, bins: int = QUANTILE_BINS) -> NumericBins:
    """Edges between the reference's quantiles. Equal quantiles are one edge, so there may be fewer bins; none for an
    empty one."""
    numbers = np.asarray(reference, dtype=np.float64)
    present = numbers[np.isfinite(numbers)]
    if len(present) == 0:
        return NumericBins(())
    quantiles = np.unique(np.quantile(present, np.arange(1, bins) / bins))
    return NumericBins(tuple(float(edge) for edge in quantiles))


@dataclass(frozen=True)
class CategoryBins:
    """The categories of the reference, each a bin; then one for missing and one for categories that it has not."""

    categories: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.categories, "missing", "unseen")

    def count(self, counted: Mapping[str, int], missing: int) -> Counts:
        """Counts per bin from counts per category; shape (len(categories) + 2,)."""
        known = [int(counted.get(category, 0)) for category in self.categories]
        return np.array([*known, missing, sum(counted.values()) - sum(known)], dtype=np.int64)


def category_bins(reference: Mapping[str, int]) -> CategoryBins:
    """In the order of their counts, then of their names."""
    return CategoryBins(tuple(sorted(reference, key=lambda category: (-reference[category], category))))


def pooled(reference: Counts, current: Counts, fewest: float = FEWEST_EXPECTED) -> tuple[Counts, Counts]:
    """Both windows with rare bins joined: those whose expected count, by the shares of both together, is below `fewest`
    in either.

    Shapes (n_bins,) in, (n_kept,) out, the pool last where there is one; bins that are empty in both are left out.
    """
    total = reference + current
    everything = total.sum()
    if everything == 0:
        return reference[:0], current[:0]
    smaller = min(reference.sum(), current.sum())
    rare = (total * smaller / everything < fewest) & (total > 0)
    kept = (total > 0) & ~rare
    if rare.any():
        return (np.append(reference[kept], reference[rare].sum()), np.append(current[kept], current[rare].sum()))
    return reference[kept], current[kept]


def pooled_categories(reference: Counts, current: Counts) -> tuple[Counts, Counts]:
    """Both windows of CategoryBins with rare categories joined (see `pooled`). Missing and unseen values, the last two bins,
    stay bins of their own: they say what a pool would hide."""
    old, new = pooled(reference[:-2], current[:-2]) if len(reference) > 2 else (reference[:0], current[:0])
    return np.concatenate([old, reference[-2:]]), np.concatenate([new, current[-2:]])


def added(windows: Sequence[Counts]) -> Counts:
    """Counts of several windows of the same bins together. Raises ValueError when there is none or shapes differ."""
    if not windows:
        raise ValueError("there is no window to add")
    return np.asarray(np.sum(np.stack(windows), axis=0), dtype=np.int64)
