"""A model's windows beside its reference: performance, drift, quality, fairness, estimates, and what explains them. Pure.

What the monitor computes of a deployment and `podium evaluate` of files is this.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from podium_evaluation.auc import auc
from podium_evaluation.chunks import Chunk, drawn_chunks
from podium_evaluation.columns import Column, texts
from podium_evaluation.drift import Severity, benjamini_hochberg
from podium_evaluation.estimated import estimated_accuracy, estimated_auc, estimated_log_loss
from podium_evaluation.fairness import Fairness, fairness_of, rates_of
from podium_evaluation.performance import (
    NO_INTERVAL,
    Estimate,
    brier_losses,
    confusion,
    log_losses,
    mean_loss,
    proportion,
    regression,
)
from podium_evaluation.sequences import Floats
from podium_evaluation.tallies import group_tally
from podium_evaluation.windows import ColumnDrift, ColumnQuality, column_drift, column_quality

DEVIATIONS = 3.0
"""A figure is alarming outside of its mean over reference chunks +- this many standard deviations."""
FEWEST_REFERENCE_CHUNKS = 3
CERTAIN_REFERENCE_CHUNKS = 10
"""The deviation of fewer chunks may be far too small by chance: it is taken to be at least that of drawn ones."""
MOST_SEGMENTS = 50
"""Of a column: those with most rows."""
FALSE_DISCOVERY_RATE = 0.05


@dataclass(frozen=True)
class Table:
    """Columns of equal length by name, and which of them are what."""

    columns: Mapping[str, Column]
    score: str
    target: str | None = None
    """Absent, or missing in some rows: labels come late."""
    prediction: str | None = None
    """Absent: the score is at least 0.5."""
    protected: Sequence[str] = ()
    segments: Sequence[str] = ()
    features: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.columns[self.score])

    def rows(self, chosen: npt.NDArray[np.int64]) -> "Table":
        cut = {name: one.rows(chosen) for name, one in self.columns.items()}
        return Table(cut, self.score, self.target, self.prediction, self.protected, self.segments, self.features)

    @property
    def scores(self) -> Floats:
        values: Floats = self.columns[self.score].values
        return values

    @property
    def truth(self) -> Floats:
        """NaN where it is not known yet."""
        if self.target is None or self.target not in self.columns:
            return np.full(len(self), np.nan)
        values: Floats = self.columns[self.target].values
        return values

    @property
    def decided(self) -> Floats:
        if self.prediction is not None:
            values: Floats = self.columns[self.prediction].values
            return values
        return np.where(np.isnan(self.scores), np.nan, self.scores >= 0.5)


@dataclass(frozen=True)
class Figure:
    """A figure of one window. `alert` is None where the reference is too short to say what is usual."""

    value: float
    interval: tuple[float, float] = NO_INTERVAL
    alert: bool | None = None


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


@dataclass(frozen=True)
class Reference:
    """The reference's own figures, and how each varies over chunks of a window's size."""

    rows: int
    performance: dict[str, Figure]
    usual: dict[str, tuple[float, float]]
    """Mean and standard deviation over the reference's chunks."""


def is_classification(table: Table) -> bool:
    """Whether all known truths are 0 or 1."""
    known = table.truth[~np.isnan(table.truth)]
    return len(known) > 0 and bool(np.isin(known, (0.0, 1.0)).all())


def performance(table: Table, *, classification: bool) -> dict[str, Figure]:
    """Figures of the rows whose truth, score and decision are known; those that need another class, probabilities or more
    rows are left out. Of numbers, rows that are not finite are left out."""
    known = ~np.isnan(table.truth) & ~np.isnan(table.scores)
    known &= ~np.isnan(table.decided) if classification else np.isfinite(table.truth) & np.isfinite(table.scores)
    truth, scores, decided = table.truth[known], table.scores[known], table.decided[known]
    if len(truth) == 0:
        return {}
    if not classification:
        found = regression(truth, scores)
        return {"mae": _figure(found.mae), "rmse": Figure(found.rmse), "r2": Figure(found.r2)}
    counts = confusion(truth, decided)
    right = counts.true_positive + counts.true_negative
    figures = {
        "accuracy": _figure(proportion(right, counts.rows)),
        "balanced_accuracy": Figure(counts.balanced_accuracy),
        "f1": Figure(counts.f1),
    }
    if 0 < truth.sum() < len(truth):
        area = auc(truth, scores)
        figures["auc"] = Figure(area.value, area.interval)
        figures["gini"] = Figure(2 * area.value - 1, (2 * area.interval[0] - 1, 2 * area.interval[1] - 1))
    if _are_probabilities(scores):
        figures["log_loss"] = _figure(mean_loss(log_losses(truth, scores)))
        figures["brier"] = _figure(mean_loss(brier_losses(truth, scores)))
    return {name: figure for name, figure in figures.items() if figure.value == figure.value}


def reference_figures(table: Table, chunks: Sequence[Chunk], *, classification: bool) -> Reference:
    """`chunks` are of the reference, of the size that windows have."""
    usual = _bands(table, chunks, classification=classification)
    if FEWEST_REFERENCE_CHUNKS <= len(chunks) < CERTAIN_REFERENCE_CHUNKS:
        size = int(np.median([len(chunk.rows) for chunk in chunks]))
        by_chance = _bands(table, drawn_chunks(len(table), size), classification=classification)
        least = {name: deviation for name, (_, deviation) in by_chance.items()}
        usual = {name: (mean, max(deviation, least.get(name, 0.0))) for name, (mean, deviation) in usual.items()}
    return Reference(len(table), performance(table, classification=classification), usual)


def _bands(table: Table, chunks: Sequence[Chunk], *, classification: bool) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of each figure over chunks."""
    by_chunk = [performance(table.rows(chunk.rows), classification=classification) for chunk in chunks]
    found = {}
    for name in {name for figures in by_chunk for name in figures}:
        values = [figures[name].value for figures in by_chunk if name in figures]
        if len(values) >= FEWEST_REFERENCE_CHUNKS:
            found[name] = (float(np.mean(values)), float(np.std(values, ddof=1)))
    return found


def evaluate_window(chunk: Chunk, current: Table, reference: Table, usual: Reference, *, classification: bool) -> Window:
    """`current` holds the chunk's rows."""
    watched = [name for name in (*reference.features, reference.score) if name in current.columns]
    drift = {name: column_drift(reference.columns[name], current.columns[name]) for name in watched}
    rejected = benjamini_hochberg([one.p_value for one in drift.values()], FALSE_DISCOVERY_RATE)
    alerts = {
        name
        for (name, one), significant in zip(drift.items(), rejected, strict=True)
        if one.severity is not Severity.NONE and significant
    }
    judged = {
        name: _judged(figure, usual.usual.get(name))
        for name, figure in performance(current, classification=classification).items()
    }
    return Window(
        index=chunk.index,
        start=chunk.start,
        rows=len(current),
        labelled=int((~np.isnan(current.truth)).sum()),
        performance=judged,
        segments=_segments(current, classification=classification),
        drift=drift,
        alerts=frozenset(alerts),
        quality={name: column_quality(reference.columns[name], current.columns[name]) for name in watched},
        fairness=_fairness(current) if classification else {},
        estimated=_estimated(current) if classification else {},
    )


def _judged(figure: Figure, usual: tuple[float, float] | None) -> Figure:
    if usual is None:
        return figure
    mean, deviation = usual
    return Figure(figure.value, figure.interval, abs(figure.value - mean) > DEVIATIONS * deviation + 1e-12)


def _segments(table: Table, *, classification: bool) -> dict[str, dict[str, Figure]]:
    wanted = {table.score, *(name for name in (table.target, table.prediction) if name in table.columns)}
    narrow = Table(
        {name: table.columns[name] for name in wanted if name is not None}, table.score, table.target, table.prediction
    )
    found = {}
    for name in table.segments:
        names, codes = _groups(table.columns[name])
        most = np.argsort(-np.bincount(codes[codes >= 0], minlength=len(names)), kind="stable")[:MOST_SEGMENTS]
        for code in sorted(most.tolist()):
            chosen = np.flatnonzero(codes == code)
            found[f"{name}={names[code]}"] = performance(narrow.rows(chosen), classification=classification)
    return found


def _fairness(table: Table) -> dict[str, Fairness]:
    """Selection of all rows, true and false positives of those whose truth is known."""
    found = {}
    decided, truth = table.decided, table.truth
    for name in table.protected:
        names, codes = _groups(table.columns[name])
        of_group = [np.flatnonzero((codes == code) & ~np.isnan(decided)) for code in range(len(names))]
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


def _groups(column: Column) -> tuple[list[str], npt.NDArray[np.int64]]:
    """Values by their text, sorted, and which of them each row has, -1 where it is missing."""
    named = column.values if column.kind == "Categorical" else texts(column.values)
    codes = np.full(len(column), -1, dtype=np.int64)
    names, codes[~column.missing] = np.unique(named[~column.missing].astype(str), return_inverse=True)
    return [str(name) for name in names], codes


def _estimated(table: Table) -> dict[str, Figure]:
    """Of the decisions as they were taken, whatever the threshold."""
    known = ~np.isnan(table.scores) & ~np.isnan(table.decided)
    scores, decided = table.scores[known], table.decided[known]
    if len(scores) == 0 or not _are_probabilities(scores):
        return {}
    return {
        "accuracy": _figure(estimated_accuracy(scores, decided)),
        "auc": _figure(estimated_auc(scores)),
        "log_loss": _figure(estimated_log_loss(scores)),
    }


def _are_probabilities(scores: Floats) -> bool:
    return bool(((scores >= 0) & (scores <= 1)).all())


def _figure(estimate: Estimate) -> Figure:
    return Figure(estimate.value, estimate.interval)
