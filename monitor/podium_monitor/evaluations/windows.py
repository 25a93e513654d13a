"""A tally becomes the figures of a window: what documents hold. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from scipy.special import ndtr, stdtrit

from podium_crds.v1alpha1.monitoring import Monitoring
from podium_evaluation.bins import Counts, pooled_categories
from podium_evaluation.documents import (
    ColumnDrift,
    ColumnFairness,
    ColumnQuality,
    Figure,
    Group,
    Segment,
    Severity,
    Window,
)
from podium_evaluation.drift import (
    benjamini_hochberg,
    chi_square,
    jensen_shannon_distance,
    p_value_with_missing,
    population_stability_index,
    psi_threshold,
)
from podium_evaluation.fairness import FEWEST_ROWS, fairness_of, rates_of
from podium_evaluation.figures import (
    binary_figures,
    estimated_figures,
    mean_of,
    multiclass_figures,
    regression_figures,
)
from podium_evaluation.grids import kolmogorov_smirnov_of, wasserstein_of
from podium_evaluation.performance import Estimate
from podium_evaluation.sequences import Floats
from podium_evaluation.tallies import Tally, below
from podium_monitor.evaluations.subject import NumericColumn, Subject, Task, TextColumn
from podium_monitor.evaluations.summarize import SECONDS, STEP

DEVIATIONS = 3.0
"""A figure is alarming outside of its mean over reference chunks +- this many standard deviations."""
FEWEST_LABELLED = 30
"""With fewer labelled rows nothing is said of performance."""
HIGHER_IS_BETTER = frozenset(
    {"accuracy", "balanced_accuracy", "f1", "precision", "recall", "auc", "gini", "lift", "r_squared"}
)
METRIC_NAMES = {
    "Accuracy": "accuracy",
    "BalancedAccuracy": "balanced_accuracy",
    "F1": "f1",
    "LogLoss": "log_loss",
    "Brier": "brier",
    "Auc": "auc",
    "Rmse": "rmse",
    "Mae": "mae",
    "RSquared": "r_squared",
    "CalibrationError": "calibration_error",
}
"""spec.monitoring.performance[].metric to the names of figures."""


@dataclass(frozen=True)
class Usual:
    """What the reference says of performance: mean and standard deviation of each figure over its chunks, and how many."""

    bands: Mapping[str, tuple[float, float, int]] = field(default_factory=dict)


def performance_figures(task: Task, tally: Tally, parameters: int | None = None) -> dict[str, Estimate]:
    """Of a tally that `summarize` made under `all` or a segment."""
    if ("confusion",) in tally and task == "Binary":
        return binary_figures(tally, parameters)
    if ("matrix",) in tally and task == "Multiclass":
        return multiclass_figures(tally, parameters)
    if ("errors",) in tally and task == "Regression":
        return regression_figures(tally, parameters)
    return {}


def window_of(
    tally: Tally, subject: Subject, monitoring: Monitoring, usual: Usual, start: datetime, end: datetime
) -> Window:
    """Of one version in one role. `tally` has `rows`."""
    rows, labelled, fallbacks = (int(value) for value in tally["rows",])
    whole = below(tally, "all")
    drift, prediction_drift = _drifts(tally, subject, monitoring)
    figures = performance_figures(subject.outputs.task, whole, subject.parameters)
    return Window(
        start=start,
        end=end,
        rows=rows,
        labelled=labelled,
        performance=_performance(figures, labelled, monitoring, usual),
        estimated={name: _figure(one) for name, one in _estimated(whole).items()},
        drift=drift,
        prediction_drift=prediction_drift,
        quality={column.name: _quality(column, below(tally, "column", column.name), rows) for column in subject.columns},
        fairness=_fairness(tally, subject, monitoring),
        segments=_segments(tally, subject),
        business={name: _figure(mean_of(int(n), total, squares)) for name, (n, total, squares) in _values(tally) if n},
        totals={name: total for name, (n, total, _) in _values(tally) if n},
        latency_p50_seconds=percentile(tally.get(("latency",)), 0.5),
        latency_p99_seconds=percentile(tally.get(("latency",)), 0.99),
        fallbacks=fallbacks,
    )


def percentile(counts: Floats | None, share: float) -> float | None:
    """Of counts by SECONDS, to within 2.5 %."""
    if counts is None or counts.sum() == 0:
        return None
    place = int(np.searchsorted(np.cumsum(counts), share * counts.sum()))
    return float(SECONDS[min(place, len(SECONDS) - 1)] * STEP**0.5)


def _performance(figures: Mapping[str, Estimate], labelled: int, monitoring: Monitoring, usual: Usual) -> dict[str, Figure]:
    if labelled < FEWEST_LABELLED:
        return {}
    found = {}
    for name, one in figures.items():
        beyond = _beyond(name, one, monitoring)
        out = worse = beyond
        if name in usual.bands:
            left, harmful = _left_band(name, one.value, *usual.bands[name])
            out, worse = out or left, worse or harmful
        found[name] = _figure(one, out)
        found[name].worse = worse
    return found


def _left_band(name: str, value: float, mean: float, deviation: float, chunks: int) -> tuple[bool, bool]:
    """Whether a figure left mean +- 3 standard deviations; and whether it did so on the side that harms, by more than the
    mean and deviation of so few chunks are uncertain: at the level of 3 deviations (one side: 0.135 %) of a prediction
    interval, by Student's t (Hahn, 1969, Technometrics 11, 178-188).

    The calibration error of a larger window is smaller for its size alone: less of it is never an alert.
    """
    distance = (mean - value) if name in HIGHER_IS_BETTER else (value - mean)
    left = abs(distance) > DEVIATIONS * deviation + 1e-12
    if name == "calibration_error":
        left = left and distance > 0
    certain = float(stdtrit(chunks - 1, ndtr(DEVIATIONS))) * np.sqrt(1 + 1 / chunks)
    return left, bool(distance > certain * deviation + 1e-12)


def _beyond(name: str, one: Estimate, monitoring: Monitoring) -> bool:
    """Whether the whole interval lies beyond a wished bound: chance alone raises no alarm."""
    low, high = (bound if bound == bound else one.value for bound in one.interval)
    for wish in monitoring.performance:
        if METRIC_NAMES[wish.metric] != name:
            continue
        if wish.minimum is not None and high < float(wish.minimum):
            return True
        if wish.maximum is not None and low > float(wish.maximum):
            return True
    return False


def _estimated(whole: Tally) -> dict[str, Estimate]:
    return estimated_figures(whole) if ("estimated",) in whole else {}


def _drifts(tally: Tally, subject: Subject, monitoring: Monitoring) -> tuple[dict[str, ColumnDrift], dict[str, ColumnDrift]]:
    """Of inputs and outputs. The multiplicity of alerts is that of all of them together."""
    found: dict[tuple[str, str], ColumnDrift] = {}
    for kind, columns in (("column", subject.columns), ("output", subject.of_outputs)):
        for column in columns:
            if (one := _drift(column, below(tally, kind, column.name), monitoring)) is not None:
                found[kind, column.name] = one
    p_values = [np.nan if one.p_value is None else one.p_value for one in found.values()]
    rejected = benjamini_hochberg(p_values, float(monitoring.drift.false_alert_rate))
    for one, significant in zip(found.values(), rejected, strict=True):
        one.alert = bool(significant) and one.severity != "None"
    return (
        {name: one for (kind, name), one in found.items() if kind == "column"},
        {name: one for (kind, name), one in found.items() if kind == "output"},
    )


def coarse_counts(column: NumericColumn | TextColumn, bins: Floats, missing: float) -> tuple[Counts, Counts]:
    """Reference and window in the profile's bins, missing among them."""
    if isinstance(column, TextColumn):
        return column.counts.astype(np.int64), bins.astype(np.int64)
    current = np.bincount(column.coarse_of, bins, minlength=len(column.edges) + 1)
    return column.coarse_counts.astype(np.int64), np.append(current, missing).astype(np.int64)


def _drift(column: NumericColumn | TextColumn, tally: Tally, monitoring: Monitoring) -> ColumnDrift | None:
    bins = tally.get(("bins",))
    if bins is None:
        return None
    other = tally.get(("other",), np.zeros(4))
    reference, current = coarse_counts(column, bins, float(other[0]))
    if reference.sum() == 0 or current.sum() == 0:
        return None
    binned = (reference, current) if isinstance(column, NumericColumn) else pooled_categories(reference, current)
    psi, threshold = population_stability_index(*binned), psi_threshold(*binned)
    test, wasserstein, p_value = None, None, None
    if isinstance(column, NumericColumn):
        smirnov = kolmogorov_smirnov_of(column.grid, column.counts, bins)
        test = smirnov[0] if smirnov else None
        p_value = p_value_with_missing(test, reference, current) if test else None
        wasserstein = _finite(wasserstein_of(column.grid, column.counts, bins, (other[2], other[3]), column.deviation))
    if test is None:
        test = chi_square(*binned)
    return ColumnDrift(
        psi=psi,
        psi_threshold=threshold,
        severity=_severity(psi, threshold, monitoring),
        statistic=test.statistic,
        p_value=test.p_value if p_value is None else p_value,
        jensen_shannon=jensen_shannon_distance(*binned),
        wasserstein=wasserstein,
    )


def _severity(psi: float, threshold: float, monitoring: Monitoring) -> Severity:
    if psi <= threshold or psi <= float(monitoring.drift.warning):
        return "None"
    return "Critical" if psi > float(monitoring.drift.critical) else "Warning"


def _quality(column: NumericColumn | TextColumn, tally: Tally, rows: int) -> ColumnQuality:
    bins, other = tally.get(("bins",)), tally.get(("other",), np.zeros(4))
    if bins is None or rows == 0:
        return ColumnQuality()
    if isinstance(column, TextColumn):
        return ColumnQuality(missing=float(bins[-2]) / rows, unseen=float(other[1]) / rows)
    outside = float(bins[0] + bins[-1]) if column.counts.sum() else 0.0
    wrong = min(float(other[1]), float(other[0]))  # what has a wrong type was read as missing
    return ColumnQuality(missing=(float(other[0]) - wrong) / rows, out_of_range=outside / rows, wrong_type=wrong / rows)


def _fairness(tally: Tally, subject: Subject, monitoring: Monitoring) -> list[ColumnFairness]:
    if monitoring.fairness is None:
        return []
    found = []
    for name in subject.protected:
        counted = {key[0]: values for key, values in below(tally, "group", name).items() if key[1:] == ("group",)}
        rates = tuple(rates_of(group, list(counts)) for group, counts in sorted(counted.items()))
        if sum(one.rows >= FEWEST_ROWS for one in rates) < 2:
            continue
        one = fairness_of(rates)
        high = one.selection_rate_ratio.interval[1]
        unfair = (high if high == high else one.selection_rate_ratio.value) < float(monitoring.fairness.minimum_ratio)
        groups = [
            Group(
                name=group.group,
                rows=group.rows,
                labelled=int(counted[group.group][3] + counted[group.group][5]),
                selection_rate=_figure(group.selection_rate),
                true_positive_rate=_figure(group.true_positive_rate),
                false_positive_rate=_figure(group.false_positive_rate),
            )
            for group in rates
        ]
        found.append(
            ColumnFairness(
                column=name,
                groups=groups,
                selection_rate_ratio=_figure(one.selection_rate_ratio, unfair),
                equal_opportunity_difference=_figure(one.equal_opportunity_difference),
                equalized_odds_difference=_figure(one.equalized_odds_difference),
                alert=unfair,
            )
        )
    return found


def _segments(tally: Tally, subject: Subject) -> list[Segment]:
    found = []
    parts = below(tally, "segment")
    for column, value, *_ in sorted(key for key in parts if key[2:] == ("rows",)):
        rows, labelled = (int(count) for count in parts[column, value, "rows"])
        figures = performance_figures(subject.outputs.task, below(parts, column, value)) if labelled else {}
        enough = labelled >= FEWEST_LABELLED
        found.append(Segment(column, value, rows, labelled, {name: _figure(one) for name, one in figures.items() if enough}))
    return found


def _values(tally: Tally) -> list[tuple[str, tuple[float, float, float]]]:
    return [(key[0], (float(sums[0]), float(sums[1]), float(sums[2]))) for key, sums in below(tally, "value").items()]


def _figure(one: Estimate, alert: bool = False) -> Figure:
    return Figure(_finite(one.value), _finite(one.interval[0]), _finite(one.interval[1]), alert)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
