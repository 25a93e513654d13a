"""Is a challenger better than the champion? Units become differences of losses, and those a verdict that may be looked at
as often as one likes.

Units come in batches, in the order of their predictions; what is kept between batches does not grow with their number.
Two designs. Paired: both answered the same unit. Assigned: each unit got one of the two by chance, and counts for the one
that it was assigned to, whoever answered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from podium_evaluation.losses import MINIMUM_DISCORDANT, MINIMUM_OF_EACH_CLASS, MINIMUM_UNITS
from podium_evaluation.sequences import (
    TUNED_FOR_UNITS,
    Decision,
    Floats,
    Running,
    Sequence,
    Verdict,
    advance,
    first_verdict,
    hidden_losses,
)

Truths = npt.NDArray[np.bool_]

MINIMUM_OF_EACH_ARM = 300
"""Assigned units: below it the smaller arm's mean is not near normal. By the simulation in tests/unit/evaluation."""
_CHUNK = 4096


@dataclass(frozen=True)
class Thresholds:
    """What a verdict needs."""

    units: int = MINIMUM_UNITS
    of_each_class: int = MINIMUM_OF_EACH_CLASS
    """0: there are no classes. Of more than two classes: so many units outside of the most frequent one."""
    discordant: int = 0
    """Units with a difference other than 0: paired ZeroOne only."""
    of_each_arm: int = 0
    """Assigned only."""


def paired_thresholds(*, classes: bool, zero_one: bool) -> Thresholds:
    """Of evidence where both answered each unit."""
    return Thresholds(
        of_each_class=MINIMUM_OF_EACH_CLASS if classes else 0, discordant=MINIMUM_DISCORDANT if zero_one else 0
    )


def assigned_thresholds(*, classes: bool) -> Thresholds:
    """Of evidence where chance decided who got a unit. Classes are asked for in each arm."""
    return Thresholds(of_each_class=MINIMUM_OF_EACH_CLASS if classes else 0, of_each_arm=MINIMUM_OF_EACH_ARM)


@dataclass(frozen=True)
class Tally:
    """Units so far, by arm and class: one arm (both) where they are paired, else the champion's and the challenger's."""

    arms: tuple[Mapping[str, int], ...] = ({},)
    discordant: int = 0

    @property
    def units(self) -> int:
        return sum(sum(classes.values()) for classes in self.arms)


@dataclass(frozen=True)
class Pool:
    """Losses of both arms so far."""

    units: int = 0
    total: float = 0.0


@dataclass(frozen=True)
class Differences:
    """One entry per unit, shapes (n_units,). The mean of `values` estimates loss(champion) - loss(challenger)."""

    values: Floats
    arms: npt.NDArray[np.int64]
    """Number of the arm, 0 where units are paired; else 1 is the challenger's."""
    classes: npt.NDArray[np.object_]
    """The unit's class as text; any one value where there are no classes."""
    reach: Floats
    """How far from 0 the value could have been, whatever had been true: at least its own size."""


def paired(
    champion: Floats, challenger: Floats, classes: npt.NDArray[np.object_], reach: Floats | None = None
) -> Differences:
    """Both losses of each unit, shapes (n_units,). `reach`: by how much they could have differed; NaN where it is
    not known, which is taken for as much as they did."""
    values = champion - challenger
    possible = np.abs(values) if reach is None else np.fmax(reach, np.abs(values))
    return Differences(values, np.zeros(len(champion), dtype=np.int64), classes, possible)


def assigned(
    pool: Pool, losses: Floats, challenger: Truths, share: Floats, classes: npt.NDArray[np.object_]
) -> tuple[Pool, Differences]:
    """Units that chance gave to one of two arms, as differences whose mean is that of the arms' mean losses.

    `losses`, `challenger` (the arm it was assigned to), and `share`, the probability of that at that moment among
    {champion, challenger}: shapes (n_units,), in order. (loss - m) / (1 - share) for the champion, -(loss - m) / share for
    the challenger. m is the mean loss of all units before this one: known before the unit, it changes no expectation, for
    E[1{champion} / (1 - share) - 1{challenger} / share] is 0 whatever came before; and it takes out the part of the variance
    that the losses' own height would make. Raises ValueError unless shares lie inside (0, 1).

    Source: inverse probability weighting of Horvitz and Thompson (1952), JASA 47, 663-685, augmented by a constant as in
    Robins, Rotnitzky, Zhao (1994), JASA 89, 846-866; under peeking Waudby-Smith et al. (2024), section 3.
    """
    if not ((share > 0) & (share < 1)).all():
        raise ValueError("an arm had no chance: a share is not inside (0, 1)")
    totals = pool.total + np.cumsum(losses)
    counts = pool.units + np.arange(1, len(losses) + 1)
    before = np.concatenate([[pool.total], totals[:-1]]) if len(losses) else totals
    known = np.concatenate([[pool.units], counts[:-1]]) if len(losses) else counts
    centred = losses - np.where(known > 0, before / np.maximum(known, 1), 0.0)
    values = np.where(challenger, -centred / share, centred / (1 - share))
    after = Pool(int(counts[-1]), float(totals[-1])) if len(losses) else pool
    return after, Differences(values, challenger.astype(np.int64), classes, np.abs(values))


@dataclass(frozen=True)
class Standing:
    """All that evidence keeps between batches of units."""

    running: Running = field(default_factory=Running)
    tally: Tally = field(default_factory=Tally)
    verdict: Verdict | None = None
    """The first decision. It stays, whatever comes after."""
    reach: float = 0.0
    """The largest difference that was possible so far."""


@dataclass(frozen=True)
class Question:
    """What is asked of the units. Fixed before the first one: choosing it by them would void the answer."""

    alpha: float
    minimum_improvement: float
    thresholds: Thresholds
    tuned_for: int = TUNED_FOR_UNITS


def continued(
    standing: Standing, differences: Differences, question: Question, held: Truths | None = None
) -> tuple[Standing, Sequence]:
    """Where the evidence stands after these units, and its sequence over them. One looks after each of them, but for those
    where `held`, shape (n_units,), says that no verdict may be taken: bounds that hold at all times hold at fewer looks,
    whatever these are chosen by."""
    running, sequence = advance(standing.running, differences.values, question.alpha, question.tuned_for)
    tally, enough = _enough(standing.tally, differences, question.thresholds)
    reach = np.maximum.accumulate(np.concatenate([[standing.reach], differences.reach]))
    verdict = standing.verdict
    if verdict is None and len(differences.values):
        if held is not None:
            enough &= ~held
        units = standing.running.units + np.arange(1, len(differences.values) + 1)
        enough &= _survives(sequence, hidden_losses(reach[1:], units, question.alpha), question.minimum_improvement)
        first = first_verdict(sequence, enough, question.minimum_improvement)
        if first.decision not in (Decision.NOT_ENOUGH, Decision.UNDECIDED):
            verdict = replace(first, units=first.units + standing.running.units)
    return Standing(running, tally, verdict, float(reach[-1])), sequence


def _survives(sequence: Sequence, hidden: Floats, minimum: float) -> Truths:
    """Whether a verdict would be the same if losses that have not been seen yet came."""
    return np.asarray((sequence.lower - hidden > minimum) | (sequence.upper + hidden < minimum))


def hidden(standing: Standing, alpha: float) -> float:
    """What could still turn up among units like those so far, per unit."""
    return float(hidden_losses(standing.reach, max(1, standing.running.units), alpha))


def is_enough(tally: Tally, thresholds: Thresholds) -> bool:
    """Whether a verdict may be taken after the units of `tally`."""
    asked = tally.units >= thresholds.units and tally.discordant >= thresholds.discordant
    return asked and all(
        sum(classes.values()) >= thresholds.of_each_arm and _outside(classes) >= thresholds.of_each_class
        for classes in tally.arms
    )


def missing_units(tally: Tally, thresholds: Thresholds) -> list[str]:
    """What is not there yet, in words."""
    lacks = []
    if tally.units < thresholds.units:
        lacks.append(f"{tally.units} of {thresholds.units} labelled units")
    names = ("both",) if len(tally.arms) == 1 else ("the champion", "the challenger")
    for name, classes in zip(names, tally.arms, strict=True):
        if sum(classes.values()) < thresholds.of_each_arm:
            lacks.append(f"{sum(classes.values())} of {thresholds.of_each_arm} units of {name}")
        if _outside(classes) < thresholds.of_each_class:
            where = "" if len(names) == 1 else f" at {name}"
            lacks.append(f"{_outside(classes)} of {thresholds.of_each_class} units of the rarer class{where}")
    if tally.discordant < thresholds.discordant:
        lacks.append(f"{tally.discordant} of {thresholds.discordant} units on which they differ")
    return lacks


def _outside(classes: Mapping[str, int]) -> int:
    """Units outside of the most frequent class."""
    return sum(classes.values()) - max(classes.values(), default=0)


def _enough(tally: Tally, differences: Differences, thresholds: Thresholds) -> tuple[Tally, Truths]:
    """By unit, counting it and all before it."""
    units = tally.units + np.arange(1, len(differences.values) + 1)
    discordant = tally.discordant + np.cumsum(differences.values != 0)
    enough = (units >= thresholds.units) & (discordant >= thresholds.discordant)
    arms = []
    for arm, classes in enumerate(tally.arms):
        counted, in_arm, outside = _counts(classes, differences.classes, differences.arms == arm)
        enough &= (in_arm >= thresholds.of_each_arm) & (outside >= thresholds.of_each_class)
        arms.append(counted)
    return Tally(tuple(arms), int(discordant[-1]) if len(discordant) else tally.discordant), enough


def _counts(
    classes: Mapping[str, int], found: npt.NDArray[np.object_], of_arm: Truths
) -> tuple[dict[str, int], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The arm's units by class afterwards; by unit, those of the arm so far; those outside its most frequent class."""
    names = sorted({*classes, *found[of_arm].tolist()})
    counts = np.array([classes.get(name, 0) for name in names], dtype=np.int64)
    number = {name: index for index, name in enumerate(names)}
    in_arm, outside = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for start in range(0, len(found), _CHUNK):  # a matrix of all units by all classes would be large
        chosen = of_arm[start : start + _CHUNK]
        codes = [number[name] for name in found[start : start + _CHUNK][chosen].tolist()]
        ones = np.zeros((len(chosen), max(1, len(names))), dtype=np.int64)
        ones[np.flatnonzero(chosen), codes] = 1
        grown = np.cumsum(ones, axis=0)
        if len(names):
            grown += counts
            counts = grown[-1]
        in_arm.append(grown.sum(axis=1))
        outside.append(grown.sum(axis=1) - grown.max(axis=1))
    return dict(zip(names, counts.tolist(), strict=True)), np.concatenate(in_arm), np.concatenate(outside)
