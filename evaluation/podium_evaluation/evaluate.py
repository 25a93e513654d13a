"""A model's windows beside its reference: performance, drift, quality, fairness, estimates, and what explains them. Pure.

What the monitor computes of a deployment and `podium evaluate` of files is this.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from podium_evaluation.chunks import Chunk
from podium_evaluation.drift import Severity, benjamini_hochberg
from podium_evaluation.estimated import estimated_accuracy, estimated_auc, estimated_log_loss
from podium_evaluation.fairness import Fairness, fairness_of, rates_of
from podium_evaluation.performance import Estimate
from podium_evaluation.realised import Curves, Figure, are_probabilities, curves, performance
from podium_evaluation.sequences import Floats
from podium_evaluation.tables import Table, Task, groups_of
from podium_evaluation.tallies import group_tally
from podium_evaluation.usual import DEVIATIONS, Band
from podium_evaluation.windows import ColumnDrift, ColumnQuality, column_drift, column_quality

MOST_SEGMENTS = 50
"""Of a column: those with most rows."""
FALSE_DISCOVERY_RATE = 0.05


@dataclass(frozen=True)
class Window:
    """What is known of one chunk."""

    index: int
    start: str
    rows: int
    labelled: int
    performance: dict[str, Figure]
    segments: dict[str, dict[str, Figure]]
    """By `column=value`."""
    drift: dict[str, ColumnDrift]
    alerts: frozenset[str]
    """Columns whose drift is an alert, multiplicity taken into account."""
    quality: dict[str, ColumnQuality]
    fairness: dict[str, Fairness] = field(default_factory=dict)
    estimated: dict[str, Figure] = field(default_factory=dict)
    usual: dict[str, Band] = field(default_factory=dict)
    """What its performance was judged by."""
    curves: Curves | None = None


def task_of(truth: Floats, *, decided: bool) -> Task:
    """From truths as numbers, NaN where they are not known. `decided`: whether a column of decisions is given, which numbers
    have none of.

    >>> task_of(np.array([0.0, 1.0, np.nan]), decided=False), task_of(np.array([0.0, 2.0]), decided=False)
    ('Binary', 'Numbers')
    """
    known = truth[~np.isnan(truth)]
    if len(known) > 0 and bool(np.isin(known, (0.0, 1.0)).all()):
        return "Binary"
    return "Classes" if decided else "Numbers"


def evaluate_window(chunk: Chunk, current: Table, reference: Table, usual: Mapping[str, Band], task: Task) -> Window:
    """`current` holds the chunk's rows; `usual` is of as many labelled ones."""
    predicted = [name for name in (reference.score, reference.prediction) if name is not None]
    watched = [name for name in (*reference.features, *predicted) if name in reference.columns and name in current.columns]
    drift = {name: column_drift(reference.columns[name], current.columns[name]) for name in watched}
    rejected = benjamini_hochberg([one.p_value for one in drift.values()], FALSE_DISCOVERY_RATE)
    alerts = {
        name
        for (name, one), significant in zip(drift.items(), rejected, strict=True)
        if one.severity is not Severity.NONE and significant
    }
    judged = {name: _judged(figure, usual.get(name)) for name, figure in performance(current, task).items()}
    return Window(
        index=chunk.index,
        start=chunk.start,
        rows=len(current),
        labelled=int((~np.isnan(current.truth)).sum()),
        performance=judged,
        segments=_segments(current, task),
        drift=drift,
        alerts=frozenset(alerts),
        quality={name: column_quality(reference.columns[name], current.columns[name]) for name in watched},
        fairness=_fairness(current) if task == "Binary" and current.decides else {},
        estimated=_estimated(current, task) if current.probabilities and task != "Numbers" else {},
        usual={name: band for name, band in usual.items() if name in judged},
        curves=curves(current, task),
    )


def _judged(figure: Figure, usual: Band | None) -> Figure:
    if usual is None:
        return figure
    mean, deviation = usual
    return Figure(figure.value, figure.interval, abs(figure.value - mean) > DEVIATIONS * deviation + 1e-12)


def _segments(table: Table, task: Task) -> dict[str, dict[str, Figure]]:
    narrow, found = table.narrowed(), {}
    for name in table.segments:
        names, codes = groups_of(table.columns[name])
        most = np.argsort(-np.bincount(codes[codes >= 0], minlength=len(names)), kind="stable")[:MOST_SEGMENTS]
        for code in sorted(most.tolist()):
            found[f"{name}={names[code]}"] = performance(narrow.rows(np.flatnonzero(codes == code)), task)
    return found


def _fairness(table: Table) -> dict[str, Fairness]:
    """Selection of all rows, true and false positives of those whose truth is known."""
    found = {}
    decided, truth = table.decided, table.truth
    for name in table.protected:
        names, codes = groups_of(table.columns[name])
        order = np.argsort(codes, kind="stable")
        order = order[(codes[order] >= 0) & ~np.isnan(decided[order])]
        starts = np.searchsorted(codes[order], np.arange(len(names) + 1))
        of_group = [order[first:end] for first, end in pairwise(starts)]
        try:
            found[name] = fairness_of(
                tuple(
                    rates_of(group, group_tally(decided[rows], truth[rows])["group",].tolist())
                    for group, rows in zip(names, of_group, strict=True)
                    if len(rows)
                )
            )
        except ValueError:
            continue  # fewer than two groups with rows enough: nothing can be said
    return found


def _estimated(table: Table, task: Task) -> dict[str, Figure]:
    """Of the decisions as they were taken, whatever the threshold; of several classes the score is the decided one's."""
    known = ~np.isnan(table.scores) & ~np.isnan(table.decided)
    scores, decided = table.scores[known], table.decided[known]
    if len(scores) == 0 or not are_probabilities(scores):
        return {}
    if task == "Classes":
        return {"accuracy": _figure(estimated_accuracy(scores, np.ones(len(scores))))}
    return {
        "accuracy": _figure(estimated_accuracy(scores, decided)),
        "auc": _figure(estimated_auc(scores)),
        "log_loss": _figure(estimated_log_loss(scores)),
    }


def _figure(estimate: Estimate) -> Figure:
    return Figure(estimate.value, estimate.interval)
