"""Whether decisions fall on protected groups alike: differences and ratios against the group that fares best, with
intervals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from podium_evaluation.performance import Estimate, confusion, proportion

FEWEST_ROWS = 30
"""A group with fewer rows is shown and never judged: its rate can be anything."""


@dataclass(frozen=True)
class GroupRates:
    """One group's rows. Rates that need the truth are NaN without it."""

    group: str
    rows: int
    positives: int
    """Rows whose truth is known to be 1."""
    negatives: int
    selection_rate: Estimate
    true_positive_rate: Estimate
    false_positive_rate: Estimate


@dataclass(frozen=True)
class Fairness:
    groups: tuple[GroupRates, ...]
    reference: str
    """The group with the highest selection rate among those with rows enough."""
    selection_rate_ratio: Estimate
    """Lowest over highest selection rate: the four-fifths rule asks for at least 0.8 (29 CFR 1607.4 D)."""
    equal_opportunity_difference: Estimate
    """Largest difference of true positive rates. Hardt, Price, Srebro (2016), NeurIPS 29."""
    equalized_odds_difference: Estimate
    """The larger of the differences of true and of false positive rates."""


def fairness(
    groups: Sequence[str] | npt.NDArray[np.str_],
    predicted: npt.ArrayLike,
    target: npt.ArrayLike | None = None,
    confidence: float = 0.95,
) -> Fairness:
    """Rates by group, `groups` and the decisions (0 or 1) of shape (n,), the truth where it is known.

    The ratio's interval is Katz's on the log scale, the difference's Newcombe's from Wilson's. The pair that is farthest
    apart was chosen by the data, so with more than two groups intervals hold for all pairs at once (Bonferroni): of many
    groups that fare alike two always look apart. Those of a group's own rates are of that group alone. Raises ValueError
    when shapes differ or fewer than two groups have rows enough.

    Source: Katz, Baptista, Azen, Pike (1978), Biometrics 34, 469-474; Newcombe (1998), Statistics in Medicine 17, 873-890.
    """
    named = np.asarray(groups, dtype=str)
    said = np.asarray(predicted)
    truth = None if target is None else np.asarray(target)
    if named.shape != said.shape or (truth is not None and truth.shape != said.shape):
        raise ValueError(f"groups have shape {named.shape}, predictions {said.shape}; they must be one (n,)")
    return fairness_of(
        tuple(
            _rates(str(group), said[named == group], None if truth is None else truth[named == group], confidence)
            for group in np.unique(named)
        ),
        confidence,
    )


def fairness_of(rates: tuple[GroupRates, ...], confidence: float = 0.95) -> Fairness:
    """The same of rates that were counted already (`rates_of`). Raises ValueError when fewer than two groups have rows
    enough."""
    judged = [group for group in rates if group.rows >= FEWEST_ROWS]
    if len(judged) < 2:
        raise ValueError(f"{len(judged)} groups have {FEWEST_ROWS} rows or more; a comparison needs two")
    highest = max(judged, key=lambda group: group.selection_rate.value)
    lowest = min(judged, key=lambda group: group.selection_rate.value)
    of_all_pairs = 1 - (1 - confidence) / math.comb(len(judged), 2)
    opportunity = _difference([(one.true_positive_rate.value, one.positives) for one in judged], of_all_pairs)
    false_alarms = _difference([(one.false_positive_rate.value, one.negatives) for one in judged], of_all_pairs)
    odds = [one for one in (opportunity, false_alarms) if one.value == one.value]
    return Fairness(
        groups=rates,
        reference=highest.group,
        selection_rate_ratio=_ratio(lowest, highest, of_all_pairs),
        equal_opportunity_difference=opportunity,
        equalized_odds_difference=max(odds, key=lambda one: one.value, default=opportunity),
    )


def rates_of(group: str, counts: Sequence[float], confidence: float = 0.95) -> GroupRates:
    """From rows, selected rows, and of those whose truth is known: true positives, positives, false positives, negatives."""
    rows, selected, true_positives, positives, false_positives, negatives = (int(count) for count in counts)
    return GroupRates(
        group,
        rows,
        positives,
        negatives,
        proportion(selected, rows, confidence),
        proportion(true_positives, positives, confidence),
        proportion(false_positives, negatives, confidence),
    )


def _rates(
    group: str, said: npt.NDArray[np.generic], truth: npt.NDArray[np.generic] | None, confidence: float
) -> GroupRates:
    selected = proportion(int(np.sum(said == 1)), len(said), confidence)
    if truth is None:
        unknown = proportion(0, 0)
        return GroupRates(group, len(said), 0, 0, selected, unknown, unknown)
    counts = confusion(truth, said)
    positives, negatives = counts.true_positive + counts.false_negative, counts.false_positive + counts.true_negative
    return GroupRates(
        group,
        len(said),
        positives,
        negatives,
        selected,
        proportion(counts.true_positive, positives, confidence),
        proportion(counts.false_positive, negatives, confidence),
    )


def _ratio(lowest: GroupRates, highest: GroupRates, confidence: float) -> Estimate:
    low, high = lowest.selection_rate.value, highest.selection_rate.value
    if high == 0:
        return Estimate(1.0, (float("nan"), float("nan")))
    if low == 0:
        return Estimate(0.0, (0.0, proportion(0, lowest.rows, confidence).interval[1] / high))
    error = np.sqrt((1 - low) / (low * lowest.rows) + (1 - high) / (high * highest.rows))
    spread = float(np.exp(ndtri(0.5 + confidence / 2) * error))
    return Estimate(low / high, (low / high / spread, low / high * spread))


def _difference(rates: Sequence[tuple[float, int]], confidence: float) -> Estimate:
    """Of the highest and the lowest of rates, each with the number of rows that it is of."""
    known = [proportion(round(rate * rows), rows, confidence) for rate, rows in rates if rows]
    if len(known) < 2:
        return Estimate(float("nan"), (float("nan"), float("nan")))
    high, low = max(known, key=lambda rate: rate.value), min(known, key=lambda rate: rate.value)
    difference = high.value - low.value
    below = np.hypot(high.value - high.interval[0], low.interval[1] - low.value)
    above = np.hypot(high.interval[1] - high.value, low.value - low.interval[0])
    return Estimate(difference, (float(difference - below), float(difference + above)))
