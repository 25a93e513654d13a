"""The units of a batch with what both ways of counting need of them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from podium_crds.v1alpha1.monitoring import Guardrail
from podium_evaluation.expressions import Expression
from podium_evaluation.guardrails import MAX_GROUPS
from podium_evaluation.sequences import Floats
from podium_monitor.evaluations.subject import Outputs
from podium_monitor.evidence.holding import Covered
from podium_monitor.evidence.ledger import CHAMPION, Trial
from podium_monitor.evidence.standing import CLASS_LOSSES, State
from podium_monitor.evidence.units import Answers, Objects, Rows, fingerprint, plain, truth_codes

CHALLENGER = "challenger"
_MOST_GROUPS = 2 * MAX_GROUPS
"""Kept of a column: with more than MAX_GROUPS nothing is judged, and a column of names must not fill the state."""

Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Measure:
    """What rows are measured by."""

    champion: Outputs
    challenger: Outputs
    expression: Expression | None
    guardrails: Sequence[Guardrail]

    @property
    def needs_inputs(self) -> bool:
        """They are the largest part of a row."""
        by_group = any(rail.type == "SelectionRateRatio" for rail in self.guardrails)
        return by_group or (self.expression is not None and any(one.table == "input" for one in self.expression.references))


@dataclass(frozen=True)
class Counted:
    """Units of a batch, a row each, in their order."""

    rows: Rows
    times: Objects
    """Of their predictions."""
    classes: Objects
    challenger: Truths
    """Of the challenger's arm; all False where units are paired."""
    shares: Floats
    """The challenger's planned share."""

    def __len__(self) -> int:
        return len(self.times)

    def classes_of(self, metric: str, chosen: Truths) -> Objects:
        """Of the chosen units; all one where the metric has no classes."""
        found = self.classes[chosen]
        return found if metric in CLASS_LOSSES else np.full(len(found), "", dtype=object)


def counted(trial: Trial, measure: Measure, rows: Rows, shares: Floats) -> Counted:
    names = np.array([*measure.champion.classes, ""], dtype=object)
    arms, times = (np.array(rows.texts(name), dtype=object) for name in ("arm_assigned", "time"))
    canary = trial.question.mode == "Canary"
    challenger = np.asarray(arms != CHAMPION, dtype=np.bool_) & canary
    return Counted(rows, times, names[truth_codes(measure.champion, rows)], challenger, shares)


def cover(state: State, arm: str, *, units: int = 0, labelled: int = 0) -> None:
    before = state.coverage.get(arm, Covered())
    state.coverage = {**state.coverage, arm: Covered(before.units + units, before.labelled + labelled)}


def remember(state: State, rows: Rows) -> None:
    """The units that count."""
    state.fingerprint = (state.fingerprint + fingerprint(rows.texts("event_id"), rows.texts("label"))) % 2**64


def count_selected(state: State, measure: Measure, found: Counted, answers: Answers, of_arm: Truths) -> None:
    """The challenger's decisions by protected group, `answers` to the rows of `found`."""
    columns = sorted({rail.column for rail in measure.guardrails if rail.type == "SelectionRateRatio" and rail.column})
    if not columns or not answers.outputs.classes:
        return
    decided = answers.decided()
    known = of_arm & (decided >= 0)
    inputs = found.rows.objects("inputs")
    for column in columns:
        groups = dict(state.selected.get(column, {}))
        for unit in np.flatnonzero(known).tolist():
            value = plain(inputs[unit].get(column))
            name = "" if value is None else str(value)
            if name and (name in groups or len(groups) < _MOST_GROUPS):
                selected, units = groups.get(name, (0, 0))
                groups[name] = (selected + int(decided[unit] == answers.outputs.positive), units + 1)
        state.selected = {**state.selected, column: groups}


def latencies(rows: Rows) -> Floats:
    found: Any = rows.table["latency_seconds"].to_numpy()
    return np.asarray(found, dtype=np.float64)
