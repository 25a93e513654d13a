"""What is told of labels that are not there, or come too late: why there is no verdict yet, and what would be right. Pure.

podium_monitor.evidence.holding decides it for each unit; here it is said as it is now.
"""

import math
from datetime import timedelta

import numpy as np

from podium_monitor.evidence.holding import FEWEST_WATCHED, may_mislead, watch_length
from podium_monitor.evidence.ledger import CHAMPION, Trial
from podium_monitor.evidence.reading import LATE, horizon_of
from podium_monitor.evidence.standing import State

_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


def low_coverage(trial: Trial, state: State) -> list[str]:
    """Below `monitoring.labels.minimumCoverage` those of an arm with a label may be anybody."""
    least = trial.question.minimum_coverage
    said = []
    for arm, found in state.coverage.items():
        if not found.lacks(least) or (arm != CHAMPION and trial.question.mode == "Shadow"):
            continue
        of_arm = "" if trial.question.mode == "Shadow" else " of the champion" if arm == CHAMPION else " of the challenger"
        share, asked = 100 * found.labelled / found.units, f"monitoring.labels.minimumCoverage ({100 * least:g} %)"
        said.append(f"{share:.1f} % of the units{of_arm} that are older than the horizon have a label, fewer than {asked}")
    return said


def too_late(trial: Trial, state: State) -> list[str]:
    """Where labels of one class take longer than the horizon, units of the others are counted first: false verdicts are then
    the rule, not the exception (docs/guide/evidence.md has the numbers)."""
    late = state.watch.late_classes()
    if not late:
        return []
    found = state.watch.classes[late[0]]
    of_class = f" '{late[0]}'" if late[0] and len(state.watch.classes) > 1 else ""
    said = f"{100 * found.late / found.units:.1f} % of the labels{of_class} came after the horizon"
    return [f"{said} of {trial.question.horizon_seconds} s: {_advice(trial, state)}"]


def not_yet(trial: Trial, state: State) -> list[str]:
    """Why no verdict is taken at this moment, but for what is too late beyond doubt."""
    if state.watch.falls_behind and not state.watch.late_classes():
        return [f"of late, labels come after the horizon of {trial.question.horizon_seconds} s: {_advice(trial, state)}"]
    arms = [found for arm, found in state.coverage.items() if arm == CHAMPION or trial.question.mode == "Canary"]
    units, labelled = sum(found.units for found in arms), sum(found.labelled for found in arms)
    counts = [one.units for one in state.watch.classes.values()]
    rarest = sum(counts) - (max(counts) if len(counts) > 1 else 0)
    length = watch_length(horizon_of(trial), LATE)
    begins_at = state.watch.begins_at
    watched = begins_at is not None and state.watermark >= begins_at + length
    if watched or not may_mislead(np.array(units - labelled), np.array(rarest)):
        return []
    until = (
        f"{begins_at + length:%Y-%m-%d %H:%M} UTC" if begins_at else f"{_length(length)} after {FEWEST_WATCHED} units are"
    )
    missing = f"{units - labelled} units that are older than the horizon have no label"
    return [f"{missing}: whether theirs only come late is seen until {until}"]


def _advice(trial: Trial, state: State) -> str:
    why = "the horizon is too short, and what is known early may be of one kind only"
    right = "set monitoring.labels.horizonSeconds to when labels of every kind have come"
    if not state.delays.count:
        return f"{why}; {right}"
    came = timedelta(seconds=state.delays.quantile(0.99))
    return f"{why}; {right} (99 % of those that count so far came within {_length(came)})"


def _length(time: timedelta) -> str:
    """Rounded up."""
    if time >= 2 * _DAY:
        return f"{math.ceil(10 * (time / _DAY)) / 10:g} days"
    if time >= 2 * _HOUR:
        return f"{math.ceil(10 * (time / _HOUR)) / 10:g} hours"
    return f"{math.ceil(time.total_seconds())} s"
