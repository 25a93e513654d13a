"""How far a window's distribution lies from the reference's: distances, tests, and when that is an alert.

A distance says how far, a test whether chance explains it; an alert needs both. Definitions are written out because
libraries differ in them.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import stats

from podium_evaluation.bins import pooled
from podium_evaluation.sequences import Floats

PSI_WARNING = 0.1
PSI_CRITICAL = 0.25
PSI_CONFIDENCE = 0.95
_MOST_EXACT = 10_000
"""Values in either window up to which scipy's exact p-value is affordable."""


class Severity(StrEnum):
    NONE = "None"
    WARNING = "Warning"
    CRITICAL = "Critical"


def population_stability_index(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """How far the shares of `current` lie from those of `reference`, in nats. 0: equal shares in every bin.

    Both are counts per bin, shape (n_bins,), over the same bin edges. A share below max(0.5/n, 1e-4) is raised to it, so
    that an empty bin gives a finite value; bins that are empty in both count nothing. Raises ValueError if shapes differ
    or a window is empty.

    Source: the divergence J of Jeffreys (1946), Proc. R. Soc. A 186, 453-461: sum((c - r) * ln(c / r)) over shares.
    Limits: a distance, not a test. With no drift and well-filled bins its mean is near (n_bins - 1) * (1/n_ref + 1/n_cur).

    >>> round(population_stability_index([50, 50], [80, 20]), 3)
    0.416
    """
    old, new = _windows(reference, current)
    r = np.maximum(old / old.sum(), max(0.5 / old.sum(), 1e-4))
    c = np.maximum(new / new.sum(), max(0.5 / new.sum(), 1e-4))
    counted = (old > 0) | (new > 0)
    return float(np.sum(((c - r) * np.log(c / r))[counted]))


def psi_threshold(reference: npt.ArrayLike, current: npt.ArrayLike, confidence: float = PSI_CONFIDENCE) -> float:
    """What the PSI exceeds by chance alone in 1 - `confidence` of windows of these sizes: chi2(B - 1, confidence) * (1/n
    + 1/m), B the bins that are not empty in either window.

    Source: Yurdakul, Naranjo (2020), Statistical properties of the population stability index, Journal of Risk Model
    Validation 14(4).

    >>> round(psi_threshold([50, 50], [80, 20]), 4)
    0.0768
    """
    old, new = _windows(reference, current)
    filled = int(np.sum((old > 0) | (new > 0)))
    return float(stats.chi2.ppf(confidence, filled - 1) * (1 / old.sum() + 1 / new.sum())) if filled > 1 else 0.0


def psi_severity(psi: float, threshold: float) -> Severity:
    """Warning above 0.1, critical above 0.25 (Siddiqi 2006, Credit Risk Scorecards), and only beyond what chance
    explains."""
    if psi <= threshold or psi <= PSI_WARNING:
        return Severity.NONE
    return Severity.CRITICAL if psi > PSI_CRITICAL else Severity.WARNING


@dataclass(frozen=True)
class Test:
    """A statistic, its fixed-sample p-value, and an effect size between 0 and 1 that does not grow with the sample."""

    statistic: float
    p_value: float
    effect: float


@dataclass(frozen=True, eq=False)
class Sample:
    """Values of a window, and what of them is computed once however many windows are compared with it."""

    ordered: Floats
    """Those that are not missing, the smallest first; shape (n_values,), at least one."""

    @cached_property
    def finite(self) -> Floats:
        first, end = np.searchsorted(self.ordered, -np.inf, side="right"), np.searchsorted(self.ordered, np.inf, side="left")
        return self.ordered[first:end]

    @cached_property
    def deviation(self) -> float:
        return float(self.finite.std())

    @cached_property
    def middle(self) -> float:
        return float(self.finite.mean())

    @cached_property
    def centred(self) -> Floats:
        """Finite values less their mean: differences of large sums would cancel."""
        return self.finite - self.middle

    @cached_property
    def sums(self) -> Floats:
        """Of the first 0, 1, 2, … centred values, over their number."""
        return np.concatenate([[0.0], np.cumsum(self.centred)]) / len(self.centred)


def sample_of(values: npt.ArrayLike | Sample) -> Sample:
    """Raises ValueError when none is there."""
    if isinstance(values, Sample):
        return values
    numbers = np.asarray(values, dtype=np.float64)
    present = np.sort(numbers[~np.isnan(numbers)])
    if len(present) == 0:
        raise ValueError("a window has no value")
    return Sample(present)


def kolmogorov_smirnov(reference: npt.ArrayLike | Sample, current: npt.ArrayLike | Sample) -> Test:
    """The two-sample test on all values that are not missing, of every row and not of bins or a sample; the statistic is
    its own effect size.

    Infinities are ordered, not dropped. Raises ValueError when a window has no value.

    Source: Hodges (1958), Arkiv foer Matematik 3, 469-486, as scipy.stats.ks_2samp computes it by default: the p-value is
    exact for windows of at most 10,000 values, and beyond that of the exact one-sample distribution at n m / (n + m), which
    was within 2 % of the exact p-value. With ties it is conservative. Of a large reference that is sorted already only the
    window's own values are looked up.

    >>> kolmogorov_smirnov([1.0, 2.0, 3.0], [2.5, 3.5, 4.5]).statistic.__round__(4)
    0.6667
    """
    old, new = sample_of(reference).ordered, sample_of(current).ordered
    if max(len(old), len(new)) <= _MOST_EXACT:
        result = stats.ks_2samp(old, new, method="auto")
        return Test(float(result.statistic), float(result.pvalue), float(result.statistic))
    values, counts = np.unique(new, return_counts=True)
    up_to = np.cumsum(counts) / len(new)
    at = np.searchsorted(old, values, side="right") / len(old)
    before = np.searchsorted(old, values, side="left") / len(old)
    apart = np.abs(at - up_to).max(), np.abs(before - np.concatenate([[0.0], up_to[:-1]])).max()
    statistic = float(max(apart))
    chance = stats.kstwo.sf(statistic, np.round(len(old) * len(new) / (len(old) + len(new))))
    return Test(statistic, float(np.clip(chance, 0.0, 1.0)), statistic)


def chi_square(reference: npt.ArrayLike, current: npt.ArrayLike) -> Test:
    """Pearson's test of homogeneity of two windows of counts, shape (n_bins,), rare bins pooled; the effect is Cramer's V.

    One bin alone cannot differ: statistic 0, p-value 1. Source: Pearson (1900), Philosophical Magazine 50, 157-175;
    Cramer (1946), Mathematical Methods of Statistics, 282.
    """
    windows = _windows(reference, current)
    old, new = pooled(windows[0].astype(np.int64), windows[1].astype(np.int64))
    if len(old) < 2:
        return Test(0.0, 1.0, 0.0)
    result = stats.chi2_contingency(np.stack([old, new]), correction=False)
    statistic = float(result.statistic)
    return Test(statistic, float(result.pvalue), float(np.sqrt(statistic / (old.sum() + new.sum()))))


def p_value_with_missing(values: Test, reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """The p-value of a column of which some values are missing: neither the values that are there moved (`values`) nor the
    share of those that are not. Twice the smaller of both tests (Bonferroni); that of the values where none is missing.

    Counts per bin, those of missing values last, shape (n_bins,). A test of the values alone cannot see a column of which
    half went null at random.

    >>> round(p_value_with_missing(Test(0.1, 0.5, 0.1), [100, 0], [50, 50]), 6)
    0.0
    """
    old, new = _windows(reference, current)
    if old[-1] + new[-1] == 0:
        return values.p_value
    gone = chi_square([old[:-1].sum(), old[-1]], [new[:-1].sum(), new[-1]])
    return min(1.0, 2 * min(values.p_value, gone.p_value))


def jensen_shannon_distance(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """The square root of the Jensen-Shannon divergence with logarithms to base 2: 0 for equal shares, 1 for disjoint ones.

    Counts per bin, shape (n_bins,). Source: Endres, Schindelin (2003), IEEE Transactions on Information Theory 49,
    1858-1860.

    >>> jensen_shannon_distance([10, 0], [0, 10])
    1.0
    """
    old, new = _windows(reference, current)
    p, q = old / old.sum(), new / new.sum()
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return float(np.sqrt(np.clip(divergence, 0.0, 1.0)))


def wasserstein_distance(reference: npt.ArrayLike | Sample, current: npt.ArrayLike | Sample) -> float:
    """The area between the two distribution functions over the reference's standard deviation: a shift by one deviation
    gives 1.

    On finite values. A constant reference gives 0 where nothing moved and infinity where something did. Raises
    ValueError when a window has no finite value. Source: Vallender (1974), Theory of Probability and its Applications
    18, 784-786.

    >>> wasserstein_distance([-1.0, 1.0], [0.0, 2.0])
    1.0
    """
    sample, new = sample_of(reference), sample_of(current).finite
    old = sample.finite
    if len(old) == 0 or len(new) == 0:
        raise ValueError("a window has no finite value")
    if old[0] == old[-1]:
        return 0.0 if new[0] == old[0] and new[-1] == old[0] else float("inf")
    return _area_between(sample, new) / sample.deviation


def _area_between(reference: Sample, new: Floats) -> float:
    """Of the distribution functions, without a pass over the reference's values: between two values of the ordered window
    `new` its function is level, and that of the reference, whose integral is known from sums, rises through it once."""
    old, new = reference.centred, new - reference.middle

    def integral(x: Floats) -> Floats:
        """Of the reference's distribution function, up to x."""
        below = np.searchsorted(old, x, side="right")
        return np.asarray(x * (below / len(old)) - reference.sums[below], dtype=np.float64)

    level = np.arange(1, len(new)) / len(new)
    left, right = new[:-1], new[1:]
    place = np.minimum(np.ceil(level * len(old) - 1e-9).astype(np.int64) - 1, len(old) - 1)
    crossing = np.clip(old[place], left, right)
    under = level * (crossing - left) - (integral(crossing) - integral(left))
    over = integral(right) - integral(crossing) - level * (right - crossing)
    first, last = integral(new[:1])[0], reference.sums[-1] - new[-1] + integral(new[-1:])[0]
    return float(np.maximum(under, 0.0).sum() + np.maximum(over, 0.0).sum() + max(first, 0.0) + max(last, 0.0))


def benjamini_hochberg(p_values: npt.ArrayLike, rate: float = 0.05) -> npt.NDArray[np.bool_]:
    """Which hypotheses are rejected so that, of the rejections, at most `rate` are false on average. Shape (n,); NaN is
    never one.

    Source: Benjamini, Hochberg (1995), JRSS B 57, 289-300; holds under independence and positive dependence (2001, Annals of
    Statistics 29, 1165-1188).

    >>> benjamini_hochberg([0.01, 0.9, 0.02, 0.04]).tolist()
    [True, False, True, False]
    """
    given = np.asarray(p_values, dtype=np.float64)
    tested = np.flatnonzero(~np.isnan(given))
    rejected = np.zeros(given.shape, dtype=bool)
    order = tested[np.argsort(given[tested])]
    passing = np.flatnonzero(given[order] <= rate * np.arange(1, len(order) + 1) / max(len(order), 1))
    if len(passing):
        rejected[order[: passing[-1] + 1]] = True
    return rejected


def _windows(reference: npt.ArrayLike, current: npt.ArrayLike) -> tuple[Floats, Floats]:
    old, new = np.asarray(reference, dtype=np.float64), np.asarray(current, dtype=np.float64)
    if old.shape != new.shape or old.ndim != 1:
        raise ValueError(f"the windows have shapes {old.shape} and {new.shape}; both are counts over the same bins")
    if old.sum() <= 0 or new.sum() <= 0:
        raise ValueError("a window is empty")
    return old, new


def _relative_entropy(p: Floats, q: Floats) -> float:
    positive = p > 0
    return float(np.sum(p[positive] * np.log2(p[positive] / q[positive])))
