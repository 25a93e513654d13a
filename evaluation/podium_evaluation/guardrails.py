"""What a better challenger must not pay for with, judged so that one may look as often as one likes.

Broken means: its bound is violated beyond the doubt of alpha, over all looks together. Kept: it holds beyond that doubt.
Everything between is NotEnoughData. Rates and quantiles have exact sequences, for failures are rare and latencies skewed;
a loss has the asymptotic one of its differences.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import betaln, xlog1py, xlogy

from podium_evaluation.sequences import TUNED_FOR_UNITS, Running, half_widths

State = Literal["Kept", "Broken", "NotEnoughData"]

_PRIOR = 0.5
"""Beta(1/2, 1/2): of the usual priors the one whose bounds are tightest for rates near 0."""
_BISECTIONS = 60
_GROWTH = 1.02
_LEAST_SECONDS = 1e-6
MAX_GROUPS = 20


@dataclass(frozen=True)
class Judgement:
    """A guardrail's figure with the bounds that hold at all times, against what it was asked to keep."""

    state: State
    value: float | None = None
    low: float | None = None
    high: float | None = None
    message: str = ""


def rate_bounds(events: int, units: int, alpha: float) -> tuple[float, float]:
    """Bounds of a probability after `events` of `units` independent trials, at all times at once with 1 - alpha.

    Exact for any number of units: all rates against which the Bayes factor of a Beta(1/2, 1/2) prior stays below 1/alpha.
    Raises ValueError unless 0 <= events <= units.

    Source: Robbins (1970), Statistical methods related to the law of the iterated logarithm, Annals of Mathematical
    Statistics 41, 1397-1409; the beta-binomial mixture of Howard, Ramdas, McAuliffe, Sekhon (2021), arXiv:1810.08240.

    >>> [round(bound, 4) for bound in rate_bounds(0, 1000, 0.05)]
    [0.0, 0.007]
    """
    if not 0 <= events <= units:
        raise ValueError(f"{events} events of {units} units")
    if units == 0:
        return 0.0, 1.0
    at = events / units
    low = 0.0 if events == 0 else _root(events, units, alpha, outside=0.0, inside=at)
    high = 1.0 if events == units else _root(events, units, alpha, outside=1.0, inside=at)
    return low, high


def _root(events: int, units: int, alpha: float, *, outside: float, inside: float) -> float:
    """Where the Bayes factor crosses 1/alpha, between a rate that is excluded and one that is not."""
    for _ in range(_BISECTIONS):
        middle = (outside + inside) / 2
        if _log_bayes_factor(events, units, middle) < -np.log(alpha):
            inside = middle
        else:
            outside = middle
    return outside


def _log_bayes_factor(events: int | npt.NDArray[np.int64], units: int, rate: float) -> npt.NDArray[np.float64]:
    marginal = betaln(_PRIOR + events, _PRIOR + units - events) - betaln(_PRIOR, _PRIOR)
    return np.asarray(marginal - xlogy(events, rate) - xlog1py(units - events, -rate))


@dataclass(frozen=True)
class Latencies:
    """Counts of times in bins that grow by 2 %: sums of two are those of both, and they do not grow with the rows."""

    bins: Mapping[int, int] = field(default_factory=dict)
    """Bin i holds 1 us * 1.02^i to before 1 us * 1.02^(i + 1)."""

    def plus(self, seconds: npt.NDArray[np.float64]) -> "Latencies":
        """With more times, in seconds; those that are missing or below 0 are left out."""
        kept = np.maximum(seconds[np.isfinite(seconds) & (seconds >= 0)], _LEAST_SECONDS)
        found, counts = np.unique(np.floor(np.log(kept / _LEAST_SECONDS) / np.log(_GROWTH)).astype(int), return_counts=True)
        bins = dict(self.bins)
        for index, count in zip(found.tolist(), counts.tolist(), strict=True):
            bins[index] = bins.get(index, 0) + count
        return Latencies(bins)

    @property
    def count(self) -> int:
        return sum(self.bins.values())

    def bin_of(self, rank: int) -> int:
        """Of the `rank`-th shortest time, from 1."""
        seen = 0
        for index in sorted(self.bins):
            seen += self.bins[index]
            if seen >= rank:
                return index
        raise ValueError(f"there are {seen} times, none has rank {rank}")

    def quantile(self, share: float) -> float:
        """The middle of the bin that holds it, in seconds."""
        return _seconds(self.bin_of(max(1, int(np.ceil(share * self.count)))) + 0.5)


def _seconds(edge: float) -> float:
    return float(_LEAST_SECONDS * _GROWTH**edge)


def quantile_bounds(latencies: Latencies, share: float, alpha: float) -> tuple[float, float]:
    """Bounds of a quantile in seconds, at all times at once with 1 - alpha; widened to the edges of the bins.

    How many of n times lie below the true quantile is a sum of n trials with probability `share`. Those counts that the
    mixture of `rate_bounds` does not exclude give the ranks of the times that bound it.

    Source: Howard, Ramdas (2022), Sequential estimation of quantiles, Bernoulli 28, 1704-1728, arXiv:1906.09512.
    """
    units = latencies.count
    counts = np.arange(units + 1) if units < 100_000 else _near(units, share)
    left = counts[_log_bayes_factor(counts, units, share) < -np.log(alpha)]
    if units == 0 or len(left) == 0:
        return 0.0, float("inf")
    least, most = int(left[0]), int(left[-1])
    low = _seconds(latencies.bin_of(least)) if least >= 1 else 0.0
    high = _seconds(latencies.bin_of(most + 1) + 1) if most < units else float("inf")
    return low, high


def _near(units: int, share: float) -> npt.NDArray[np.int64]:
    """Counts that could be left: within twenty standard deviations, far beyond what a mixture keeps."""
    middle, spread = units * share, 20 * np.sqrt(units * share * (1 - share)) + 20
    return np.arange(max(0, int(middle - spread)), min(units, int(middle + spread)) + 1)


def error_rate(failures: int, units: int, alpha: float, maximum_increase: float) -> Judgement:
    """The challenger's failures among the units that it was assigned or sent. What the champion itself fails is the
    client's error whoever is compared, so this rate is the increase."""
    if units == 0:
        return Judgement("NotEnoughData", message="no unit yet")
    low, high = rate_bounds(failures, units, alpha)
    return _at_most(failures / units, low, high, maximum_increase, f"{failures} of {units} units failed")


def p99(champion: Latencies, challenger: Latencies, alpha: float, maximum_increase: float) -> Judgement:
    """The 99th percentile of the challenger's units over that of the champion's, less 1."""
    if not champion.count or not challenger.count:
        return Judgement("NotEnoughData", message="no time of both arms yet")
    old, new = quantile_bounds(champion, 0.99, alpha / 2), quantile_bounds(challenger, 0.99, alpha / 2)
    low = new[0] / old[1] - 1
    high = new[1] / old[0] - 1 if old[0] > 0 else float("inf")
    before, after = champion.quantile(0.99), challenger.quantile(0.99)
    message = f"{1000 * after:.3g} ms against {1000 * before:.3g} ms"
    return _at_most(after / before - 1, low, high, maximum_increase, message)


def selection_rate_ratio(groups: Mapping[str, tuple[int, int]], alpha: float, minimum: float) -> Judgement:
    """The lowest over the highest selection rate of the groups, each as (selected, units), in the order of their first unit.

    The k-th group to come has alpha / (k (k + 1)), which adds up to alpha however many come: a share by their number would
    have been larger as long as they were few, and a bound that was wrong then stays wrong.
    """
    if not 2 <= len(groups) <= MAX_GROUPS:
        return Judgement("NotEnoughData", message=f"{len(groups)} groups; there must be 2 to {MAX_GROUPS}")
    bounds = {name: rate_bounds(*counts, alpha / (k * (k + 1))) for k, (name, counts) in enumerate(groups.items(), 1)}
    rates = {name: selected / units for name, (selected, units) in groups.items() if units}
    lowest, highest = min(low for low, _ in bounds.values()), max(high for _, high in bounds.values())
    low = lowest / highest
    least_top = max(low for low, _ in bounds.values())
    high = min(1.0, min(high for _, high in bounds.values()) / least_top) if least_top > 0 else 1.0
    top = max(rates.values(), default=0.0)
    value = min(rates.values()) / top if top else None
    state: State = "Broken" if high < minimum else "Kept" if low >= minimum else "NotEnoughData"
    message = ", ".join(f"{name} {rate:.3f}" for name, rate in sorted(rates.items(), key=lambda one: one[1]))
    return Judgement(state, value, low, high, f"selected: {message}")


def loss_increase(
    running: Running,
    alpha: float,
    maximum_increase: float,
    *,
    enough: bool,
    hidden: float = 0.0,
    tuned_for: float = TUNED_FOR_UNITS,
) -> Judgement:
    """The increase of a mean loss, by its differences loss(champion) - loss(challenger). `hidden`: what the units have not
    shown yet could add to it (sequences.hidden_losses)."""
    if not running.units:
        return Judgement("NotEnoughData", message="no labelled unit yet")
    variance = max(0.0, running.squares / running.units - (running.total / running.units) ** 2)
    half = float(half_widths(np.sqrt(variance), running.units, alpha, tuned_for))
    half += hidden
    judged = _at_most(-running.mean, -running.mean - half, -running.mean + half, maximum_increase, "")
    return judged if enough else Judgement("NotEnoughData", judged.value, judged.low, judged.high, "too few labelled units")


def _at_most(value: float, low: float, high: float, maximum: float, message: str) -> Judgement:
    state: State = "Broken" if low > maximum else "Kept" if high <= maximum else "NotEnoughData"
    return Judgement(state, value, low, high if np.isfinite(high) else None, message)
