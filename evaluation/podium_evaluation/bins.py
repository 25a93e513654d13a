"""A window of one column as counts: in the bins of the reference, with a bin for missing and one for unseen values.

Counts add up: windows of an hour make a day by addition, whatever came before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]

QUANTILE_BINS = 10
FEWEST_EXPECTED = 5
"""A category whose expected count is below this, in either window, goes to the pool (Cochran's rule)."""


def bin_names(edges: Sequence[float]) -> list[str]:
    """Of half-open bins; a bin of one value alone is that value.

    >>> bin_names((0.0, 5e-324, 2.5))
    ['[-inf, 0)', '0', '(0, 2.5)', '[2.5, inf)']
    """
    names, above = [], ""
    for low, high in pairwise((-np.inf, *edges, np.inf)):
        if np.isfinite(low) and np.nextafter(low, np.inf) == high:
            above = f"{low:.6g}"
            names.append(above)
        else:
            names.append(f"({above}, {high:.6g})" if above else f"[{low:.6g}, {high:.6g})")
            above = ""
    return names


@dataclass(frozen=True)
class NumericBins:
    """Half-open to the right: value v lies in bin i when edges[i-1] <= v < edges[i]. Infinities lie in the outer bins."""

    edges: tuple[float, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return (*bin_names(self.edges), "missing")

    def count(self, values: npt.ArrayLike) -> Counts:
        """Counts per bin, the last of them missing (NaN); shape (len(edges) + 2,)."""
        numbers = np.asarray(values, dtype=np.float64)
        present = numbers[~np.isnan(numbers)]
        counts = np.bincount(np.searchsorted(self.edges, present, side="right"), minlength=len(self.edges) + 1)
        return np.append(counts, len(numbers) - len(present)).astype(np.int64)


def quantile_bins(reference: npt.ArrayLike, bins: int = QUANTILE_BINS) -> NumericBins:
    """Edges between the reference's quantiles. Equal quantiles are one edge, so there may be fewer bins; none for an
    empty one.

    A value that quantiles repeat becomes a bin of its own: of a constant, of a flag that is rarely 1 or of amounts that are
    mostly 0, one edge would put that value and all above it into one bin, and no move upwards would show.
    """
    numbers = np.asarray(reference, dtype=np.float64)
    present = numbers[np.isfinite(numbers)]
    if len(present) == 0:
        return NumericBins(())
    quantiles, repeats = np.unique(np.quantile(present, np.arange(1, bins) / bins), return_counts=True)
    edges = np.unique(np.concatenate([quantiles, np.nextafter(quantiles[repeats > 1], np.inf)]))
    return NumericBins(tuple(float(edge) for edge in edges))


@dataclass(frozen=True)
class CategoryBins:
    """The categories of the reference, each a bin; then one for missing and one for categories that it has not."""

    categories: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.categories, "missing", "unseen")

    def count(self, counted: Mapping[str, int], missing: int) -> Counts:
        """Counts per bin from counts per category; shape (len(categories) + 2,)."""
        counts = np.zeros(len(self.categories) + 2, dtype=np.int64)
        counts[-2] = missing
        for category, rows in counted.items():
            counts[self._places.get(category, -1)] += rows
        return counts

    @cached_property
    def _places(self) -> dict[str, int]:
        """By category: of a million of them those that a window has are looked up, not all."""
        return {category: place for place, category in enumerate(self.categories)}


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
    rare = _rare(reference, current, fewest)
    kept = (total > 0) & ~rare
    if rare.any():
        return (np.append(reference[kept], reference[rare].sum()), np.append(current[kept], current[rare].sum()))
    return reference[kept], current[kept]


def _rare(reference: Counts, current: Counts, fewest: float) -> npt.NDArray[np.bool_]:
    """Bins that are not empty and have less than `fewest` rows to be expected in the smaller window."""
    total, smaller = reference + current, min(reference.sum(), current.sum())
    return np.asarray((total > 0) & (total * smaller < fewest * total.sum()), dtype=bool)


def pooled_categories(reference: Counts, current: Counts) -> tuple[Counts, Counts]:
    """Both windows of CategoryBins with rare categories joined (see `pooled`). Missing and unseen values, the last two bins,
    stay bins of their own: they say what a pool would hide.

    But a reference of many rare categories has not seen them all: of unseen values as many as its categories of one row
    foretell (Good, 1953, Biometrika 40, 237-264), and three standard deviations of that more, are rare ones and go to the
    pool. The deviation is that of a binomial count in the window and a Poisson one in the reference.
    """
    old, new = pooled(reference[:-2], current[:-2])
    missing_and_unseen = np.array(current[-2:])
    if len(old) and (_rare(reference[:-2], current[:-2], FEWEST_EXPECTED)).any():
        once, known, rows = float(np.sum(reference[:-2] == 1)), float(reference.sum()), float(current.sum())
        expected = once / known * rows
        by_chance = 3 * np.sqrt(expected * max(0.0, 1 - once / known) + once * (rows / known) ** 2)
        foretold = min(missing_and_unseen[1], round(expected + by_chance))
        new = np.append(new[:-1], new[-1] + foretold)
        missing_and_unseen[1] -= foretold
    return np.concatenate([old, reference[-2:]]), np.concatenate([new, missing_and_unseen])


def added(windows: Sequence[Counts]) -> Counts:
    """Counts of several windows of the same bins together. Raises ValueError when there is none or shapes differ."""
    if not windows:
        raise ValueError("there is no window to add")
    return np.asarray(np.sum(np.stack(windows), axis=0), dtype=np.int64)
