"""Evidence that stays valid under continuous peeking: asymptotic confidence sequences for the mean of a difference of
losses.

Fixed-sample intervals never come from here, and anytime-valid ones come from nowhere else.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

TUNED_FOR_UNITS = 1000
"""t*: where the sequence is tightest. Fixed at the start: choosing it by the data would void the guarantee."""


def challenger_alpha(alpha: float, nth: int) -> float:
    """The share of a deployment's `alpha` that its `nth` challenger (from 1) gets: alpha * 6 / (pi^2 n^2), which sums to
    alpha.

    Raises ValueError when alpha is not in (0, 1) or nth is below 1.

    >>> round(challenger_alpha(0.05, 1), 5), round(challenger_alpha(0.05, 2), 5)
    (0.0304, 0.0076)
    """
    _check_alpha(alpha)
    if nth < 1:
        raise ValueError(f"nth is {nth}; challengers are counted from 1")
    return float(alpha * 6 / (np.pi**2 * nth**2))


def half_widths(deviations: npt.ArrayLike, units: npt.ArrayLike, alpha: float, tuned_for: float = TUNED_FOR_UNITS) -> Floats:
    """Half-widths of the asymptotic confidence sequence after `units` units whose standard deviation is `deviations`.

    `deviations` and `units` broadcast; units are at least 1. In the unit of the differences. With probability 1 - alpha,
    in the limit of a late first look, the mean lies within them at all times at once. Raises ValueError for an alpha
    outside (0, 1).

    Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024), Time-uniform central limit theory and asymptotic confidence
    sequences, Annals of Statistics, doi 10.1214/24-AOS2408, theorem 2.2 with its rule for rho:
    sigma * sqrt(2 (t rho^2 + 1) / (t^2 rho^2) * ln(sqrt(t rho^2 + 1) / alpha)),
    rho^2 = (-2 ln alpha + ln(1 - 2 ln alpha)) / t*.

    >>> half_widths(1.0, [1000], 0.05).round(4).tolist()
    [0.096]
    """
    _check_alpha(alpha)
    t = np.asarray(units, dtype=np.float64)
    rho2 = (-2 * np.log(alpha) + np.log(1 - 2 * np.log(alpha))) / tuned_for
    grown = t * rho2 + 1
    width: Floats = np.asarray(deviations, dtype=np.float64) * np.sqrt(
        2 * grown / (t**2 * rho2) * np.log(np.sqrt(grown) / alpha)
    )
    return width


@dataclass(frozen=True)
class Sequence:
    """A confidence sequence, one entry per unit: shapes (n_units,). The lower bounds are not made monotone."""

    mean: Floats
    lower: Floats
    upper: Floats


@dataclass(frozen=True)
class Running:
    """Sums over the differences so far: all that a sequence needs to go on, however long it is."""

    units: int = 0
    shift: float = 0.0
    """The first difference, by which all are shifted: squares of large equal values would cancel."""
    total: float = 0.0
    squares: float = 0.0

    @property
    def mean(self) -> float:
        """NaN without units."""
        return self.shift + self.total / self.units if self.units else float("nan")


def advance(
    running: Running, differences: npt.ArrayLike, alpha: float, tuned_for: float = TUNED_FOR_UNITS
) -> tuple[Running, Sequence]:
    """The sequence over `differences`, shape (n_units,), that come after those of `running`, and where it stands then.

    In the order in which the units became known. The standard deviation is the running one (divided by t). Raises
    ValueError when a difference is not finite.
    """
    values = np.asarray(differences, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("a difference of losses is not a finite number")
    if len(values) == 0:
        return running, Sequence(values, values, values)
    shift = running.shift if running.units else float(values[0])
    units = np.arange(1, len(values) + 1, dtype=np.float64) + running.units
    total = running.total + np.cumsum(values - shift)
    squares = running.squares + np.cumsum((values - shift) ** 2)
    mean = total / units
    widths = half_widths(np.sqrt(np.maximum(squares / units - mean**2, 0.0)), units, alpha, tuned_for)
    after = Running(running.units + len(values), shift, float(total[-1]), float(squares[-1]))
    return after, Sequence(mean + shift, mean + shift - widths, mean + shift + widths)


def confidence_sequence(differences: npt.ArrayLike, alpha: float, tuned_for: float = TUNED_FOR_UNITS) -> Sequence:
    """The sequence of `differences` from the first one on.

    >>> sequence = confidence_sequence([0.0, 1.0] * 1000, 0.05)
    >>> round(float(sequence.mean[-1]), 3), round(float(sequence.upper[-1] - sequence.mean[-1]), 4)
    (0.5, 0.0342)
    """
    return advance(Running(), differences, alpha, tuned_for)[1]


def hidden_losses(reach: npt.ArrayLike, units: npt.ArrayLike, alpha: float) -> Floats:
    """By how much what `units` units have not shown yet could move their mean difference, but for a chance of `alpha`.

    `reach` is the largest difference that was possible so far, whether or not it came. The running deviation knows only what
    came: where a model is a little better on nearly all units and much worse on very few, it is small until the first of
    those. If the chance of such a unit is p_i, none comes in n units with the product of (1 - p_i); so it is below alpha
    by the time the p_i add up to ln(1 / alpha), at all times together, and until then they add at most
    reach * ln(1 / alpha) / n to the mean. Arguments broadcast; raises ValueError for an alpha outside (0, 1).

    Source: Ville (1939) for the nonnegative martingale 1{none yet} / prod(1 - p_i); at a fixed n the rule of three of
    Hanley, Lippman-Hand (1983), JAMA 249, 1743-1745, for 1 - alpha in place of 95 %.

    >>> hidden_losses(1.0, [1000, 10_000], 0.05).round(4).tolist()
    [0.003, 0.0003]
    """
    _check_alpha(alpha)
    hidden: Floats = np.asarray(reach, dtype=np.float64) * -np.log(alpha) / np.asarray(units, dtype=np.float64)
    return hidden


class Decision(StrEnum):
    """What the evidence says of a challenger. NOT_ENOUGH and UNDECIDED both mean: go on."""

    NOT_ENOUGH = "NotEnoughData"
    UNDECIDED = "Undecided"
    BETTER = "Better"
    NOT_BETTER = "NotBetter"
    """It is not better by the minimum that was asked for; it may be as good."""
    WORSE = "Worse"


@dataclass(frozen=True)
class Verdict:
    """The first decision of a sequence, or where it stands at its end."""

    decision: Decision
    units: int
    """Units after which it was taken, or all there are."""
    improvement: float
    lower: float
    upper: float


def first_verdict(sequence: Sequence, enough: npt.NDArray[np.bool_], minimum_improvement: float = 0.0) -> Verdict:
    """Looks after each unit and stops at the first decision: Better when the lower bound lies above `minimum_improvement`,
    Worse when the upper bound lies below 0, NotBetter when it lies below `minimum_improvement`.

    `enough`, shape (n_units,), says where there are units, classes or discordant pairs enough for a verdict.
    Raises ValueError when the shapes differ or the minimum is negative.
    """
    if enough.shape != sequence.mean.shape:
        raise ValueError(f"enough has shape {enough.shape}, the sequence {sequence.mean.shape}")
    if minimum_improvement < 0:
        raise ValueError(f"the minimum improvement is {minimum_improvement}, must be 0 or more")
    if len(enough) == 0:
        return Verdict(Decision.NOT_ENOUGH, 0, float("nan"), float("-inf"), float("inf"))
    better = enough & (sequence.lower > minimum_improvement)
    refuted = enough & ((sequence.upper < 0) | (sequence.upper < minimum_improvement))
    decided = np.flatnonzero(better | refuted)
    at = int(decided[0]) if len(decided) else len(enough) - 1
    if better[at]:
        decision = Decision.BETTER
    elif refuted[at]:
        decision = Decision.WORSE if sequence.upper[at] < 0 else Decision.NOT_BETTER
    else:
        decision = Decision.UNDECIDED if enough[at] else Decision.NOT_ENOUGH
    return Verdict(decision, at + 1, float(sequence.mean[at]), float(sequence.lower[at]), float(sequence.upper[at]))


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha}, must lie between 0 and 1")
