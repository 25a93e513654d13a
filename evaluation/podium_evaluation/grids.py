"""A column of numbers as counts on a fixed fine grid of the reference's quantiles: windows add up, and the two-sample
statistics of their sums are known to within a stated error. The grid is fixed by the reference, so unlike a sketch its
error is no matter of chance.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import stats

from podium_evaluation.drift import Test
from podium_evaluation.sequences import Floats

GRID_BINS = 200
_CELLS = 2048
_FEWEST_FOR_CELLS = 512


@dataclass(frozen=True)
class Grid:
    """Half-open to the right, as bins.NumericBins: value v lies in bin i when edges[i-1] <= v < edges[i]. The first and
    the last bin hold what lies outside of the reference."""

    edges: tuple[float, ...]

    @cached_property
    def array(self) -> Floats:
        return np.array(self.edges, dtype=np.float64)

    def places(self, values: Floats) -> npt.NDArray[np.int64]:
        """The bin of each value, shape (n,). NaN is no value: leave it out before."""
        edges = self.array
        if len(edges) < 3 or len(values) < _FEWEST_FOR_CELLS:
            return np.searchsorted(edges, values, side="right")
        cells, low, scale, most = self._cells
        with np.errstate(invalid="ignore", over="ignore"):
            cell = np.clip((values - low) * scale, -1, _CELLS).astype(np.int64) + 1
        place = cells[cell]
        for _ in range(most):  # a cell may hold several edges: step over those that lie at or below the value
            np.add(place, (place < len(edges)) & (values >= self._padded[place]), out=place, casting="unsafe")
        return place

    @cached_property
    def _padded(self) -> Floats:
        return np.append(self.array, np.inf)

    @cached_property
    def _cells(self) -> tuple[npt.NDArray[np.int64], float, float, int]:
        """The first bin that a value in each of equal cells between the outer edges may lie in, and how many steps on it
        may be at most: a table look-up instead of a search."""
        edges = self.array
        low, scale = float(edges[0]), _CELLS / float(edges[-1] - edges[0])
        of_edges = np.clip((edges - low) * scale, -1, _CELLS).astype(np.int64) + 1
        starts = np.searchsorted(of_edges, np.arange(_CELLS + 2), side="left")
        return starts, low, scale, int(np.bincount(of_edges).max())

    def count(self, values: Floats) -> Floats:
        """Counts per bin, shape (len(edges) + 1,)."""
        return np.bincount(self.places(values), minlength=len(self.edges) + 1).astype(np.float64)

    def tails(self, values: Floats) -> tuple[float, float]:
        """Sums of the finite values below the first edge and from the last one on: what the counts cannot tell of them."""
        if not self.edges:
            return 0.0, 0.0
        finite = values[np.isfinite(values) & ((values < self.edges[0]) | (values >= self.edges[-1]))]
        below = finite < self.edges[0]
        return float(finite[below].sum()), float(finite[~below].sum())

    def coarse(self, edges: tuple[float, ...]) -> npt.NDArray[np.int64]:
        """Which bin of `edges`, a part of this grid's, each bin of the grid lies in."""
        return np.searchsorted(np.array(edges), np.concatenate([[-np.inf], self.array]), side="right")


def grid_of(reference: npt.ArrayLike, coarse: tuple[float, ...] = (), bins: int = GRID_BINS) -> Grid:
    """Edges at the reference's quantiles and at `coarse`, one at its smallest value and one just above its largest. A value
    that a bin's share of the reference has becomes a bin of its own."""
    numbers = np.asarray(reference, dtype=np.float64)
    present = np.sort(numbers[np.isfinite(numbers)])
    if len(present) == 0:
        return Grid(tuple(sorted(set(coarse))))
    quantiles = present[np.minimum((np.arange(1, bins) * len(present)) // bins, len(present) - 1)]
    values, repeats = np.unique(quantiles, return_counts=True)
    alone = np.nextafter(values[repeats > 1], np.inf)
    outer = [present[0], np.nextafter(present[-1], np.inf)]
    return Grid(tuple(float(edge) for edge in np.unique(np.concatenate([values, alone, outer, np.array(coarse)]))))


def kolmogorov_smirnov_of(grid: Grid, reference: Floats, current: Floats) -> tuple[Test, float] | None:
    """The two-sample statistic at the grid's edges, its asymptotic p-value, and how far it may lie below the exact one.
    Counts of shape (len(edges) + 1,); None when a window has no value.

    Between two edges the distribution functions move by the shares f and g of that bin, so the exact statistic exceeds
    this one by at most min(f, g) of the worst bin that holds more than one value. So the p-value is conservative.

    Source: Hodges (1958), Arkiv foer Matematik 3, 469-486; the distribution as scipy.stats.ks_2samp(method="asymp").
    """
    old, new = reference.sum(), current.sum()
    if old == 0 or new == 0:
        return None
    f, g = reference / old, current / new
    statistic = float(np.max(np.abs(np.cumsum(reference) / old - np.cumsum(current) / new)))
    several = np.ones(len(f), dtype=bool)
    if len(grid.edges) > 1:
        several[1:-1] = np.nextafter(grid.array[:-1], np.inf) < grid.array[1:]
    error = float(np.max(np.minimum(f, g)[several], initial=0.0))
    p_value = float(stats.distributions.kstwo.sf(statistic, np.round(old * new / (old + new)))) if statistic > 0 else 1.0
    return Test(statistic, min(max(p_value, 0.0), 1.0), statistic), error


def wasserstein_of(grid: Grid, reference: Floats, current: Floats, tails: tuple[float, float], deviation: float) -> float:
    """The area between the distribution functions over the reference's standard deviation, each bin's rows spread evenly
    in it; beyond the reference's range exact, by the `tails` (see Grid.tails) of the window. NaN when a window has no value.

    Error: at most the sum of min(f, g) * width / 2 over the bins, over the deviation.
    """
    old, new = reference.sum(), current.sum()
    if old == 0 or new == 0 or not grid.edges:
        return float("nan")
    difference = np.cumsum(reference / old - current / new)[:-1]
    widths = np.diff(grid.array)
    left, right = difference[:-1], difference[1:]
    crossing = left * right < 0
    straight = (np.abs(left) + np.abs(right)) / 2
    total = np.abs(left) + np.abs(right)
    crossed = (left**2 + right**2) / (2 * np.where(total > 0, total, 1.0))
    area = float(np.sum(widths * np.where(crossing, crossed, straight)))
    below = grid.edges[0] * float(current[0]) - tails[0]
    above = tails[1] - grid.edges[-1] * float(current[-1])
    area += (max(below, 0.0) + max(above, 0.0)) / new
    if deviation > 0:
        return float(area / deviation)
    return 0.0 if area <= 1e-12 * max(1.0, abs(grid.edges[0])) else float("inf")
