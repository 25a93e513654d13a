"""Why a deployment looks as it does, in sentences with figures: from its newest day, beside the reference. Pure."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from scipy import stats

from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec
from podium_evaluation.columns import Column
from podium_evaluation.diagnosis import importances_of, what_happened
from podium_evaluation.documents import Arm, DeploymentEvaluation, Figure, Window
from podium_evaluation.sequences import Floats
from podium_evaluation.tallies import Tally
from podium_monitor.evaluations.arms import Place
from podium_monitor.evaluations.assembling import Assembled
from podium_monitor.evaluations.keeping import ArmSummary
from podium_monitor.evaluations.subject import NumericColumn, Subject
from podium_monitor.evaluations.windows import HIGHER_IS_BETTER, percentile

MOST_SENTENCES = 30
_FEWEST_SAMPLED = 100
_FEWEST_LOCAL = 100
_DEFAULT_AGE = timedelta(days=1)
"""Predictions of this age are expected to have labels where spec.monitoring.labels.lateAfterSeconds does not say."""


def explained(
    document: DeploymentEvaluation,
    spec: ModelDeploymentSpec,
    found: Assembled,
    subject_of: Callable[[str], Subject],
    reference_of: Callable[[str], pa.Table | None],
) -> None:
    """Fills in label coverage and delay, the shift of importance, and the diagnosis of the champion's newest day."""
    champions = [arm for arm in document.arms if arm.role == "Champion" and arm.days]
    document.label_coverage = label_coverage(champions, spec)
    delays = [tally["delay",] for tally in found.labelled.values() if ("delay",) in tally]
    if delays:
        total = np.sum(delays, axis=0)
        document.label_delay_p50_seconds, document.label_delay_p90_seconds = percentile(total, 0.5), percentile(total, 0.9)
    sentences: list[str] = []
    for arm in sorted(champions, key=lambda one: one.days[-1].start)[-1:]:
        place = Place(arm.role, arm.name, arm.version, arm.digest)
        newest, subject, reference = found.newest.get(place), subject_of(arm.digest), reference_of(arm.digest)
        labelled = days_until(arm, lambda day: bool(day.performance))
        sentences += performance_sentences(labelled) + business_sentences(arm, labelled, spec)
        if reference is not None and newest is not None:
            weights, shift = importance(subject, reference, newest.sample)
            arm.days[-1].importance_shift = shift
            if arm.current is not None:
                arm.current.importance_shift = shift
            sentences += drift_sentences(arm, subject, reference, newest, weights)
        if labelled:
            sentences += local_sentences(labelled[-1], subject, found.labelled.get(place, {})) + segment_sentences(
                labelled[-1]
            )
    document.diagnosis = sentences[:MOST_SENTENCES]


def label_coverage(champions: list[Arm], spec: ModelDeploymentSpec) -> float | None:
    """Share of the champion's rows of `lateAfterSeconds` and older that have a label, over the day before that. None:
    there is no such row, or nobody said when labels are late and no label ever came."""
    hours = sorted((window for arm in champions for window in arm.hours), key=lambda window: window.start)
    if not hours:
        return None
    late = spec.monitoring.labels.late_after_seconds
    end = hours[-1].end - (timedelta(seconds=late) if late is not None else _DEFAULT_AGE)
    of_days = sorted((window for arm in champions for window in arm.days), key=lambda window: window.start)
    counted = [window for window in hours if end - timedelta(days=1) <= window.start and window.end <= end]
    counted = counted or [window for window in of_days if window.end <= end][-1:]
    rows, labelled = sum(window.rows for window in counted), sum(window.labelled for window in counted)
    if late is None and not any(window.labelled for window in of_days):
        return None
    return labelled / rows if rows else None


def days_until(arm: Arm, wanted: Callable[[Window], bool]) -> list[Window]:
    """The arm's days up to the newest that is wanted: labels come late. Empty: none is."""
    last = max((index for index, day in enumerate(arm.days) if wanted(day)), default=-1)
    return arm.days[: last + 1]


def performance_sentences(days: list[Window]) -> list[str]:
    """What left its usual range on the last day, since when, and what it was before."""
    found = []
    for name, figure in (days[-1].performance if days else {}).items():
        if not figure.alert or figure.value is None:
            continue
        since = _since([name in window.performance and window.performance[name].alert for window in days], days)
        worse = "fell" if name in HIGHER_IS_BETTER else "rose"
        before = [w.performance[name].value for w in days if w.start < since and name in w.performance]
        usual = [value for value in before if value is not None]
        was = f" from {np.mean(usual):.4g} before" if usual else ""
        moved = worse if not usual or (figure.value < np.mean(usual)) == (worse == "fell") else "moved"
        found.append(f"{name} {moved} to {_said(figure)}{was}, outside of its bounds since {since:%Y-%m-%d}")
    return found


def business_sentences(arm: Arm, labelled: list[Window], spec: ModelDeploymentSpec) -> list[str]:
    """Where money and statistics say different things."""
    found = []
    performance = labelled[-1].performance if labelled else {}
    statistics = [name for name, figure in performance.items() if figure.worse]
    for kpi in spec.monitoring.business:
        valued = days_until(arm, lambda day, name=kpi.name: name in day.business)  # type: ignore[misc]
        figure = valued[-1].business[kpi.name] if valued else None
        if figure is None or kpi.minimum is None or figure.value is None:
            continue
        unit = f" {kpi.unit}" if kpi.unit else ""
        low = (figure.high if figure.high is not None else figure.value) < float(kpi.minimum)
        said = f"{kpi.name} is {_said(figure)}{unit} per decision, minimum {kpi.minimum}{unit}"
        if low and not statistics and performance:
            found.append(f"{said}: below it, though every statistical figure is within its bounds")
        elif low:
            found.append(f"{said}: below it")
        elif statistics:
            found.append(f"{said}: kept, though {', '.join(statistics[:3])} left the usual range")
    return found


def importance(subject: Subject, reference: pa.Table, sample: pa.Table | None) -> tuple[dict[str, float], float | None]:
    """How strongly each input goes with the score in the reference, and 1 - Spearman's rank correlation of that with the
    window's. Of at most 2,000 rows of each."""
    then = _importances(subject, reference.slice(0, 2_000))
    if sample is None or sample.num_rows < _FEWEST_SAMPLED:
        return then, None
    now = _importances(subject, sample)
    both = [name for name in then if name in now]
    if len(both) < 3 or len({then[name] for name in both}) < 2 or len({now[name] for name in both}) < 2:
        return then, None
    correlation = float(stats.spearmanr([then[name] for name in both], [now[name] for name in both]).statistic)
    return then, 1 - correlation


def drift_sentences(
    arm: Arm, subject: Subject, reference: pa.Table, newest: ArmSummary, weights: dict[str, float]
) -> list[str]:
    """The columns that drifted, those first that matter most to the score, and what happened to them upstream."""
    window = arm.days[-1]
    alarming = [column for column in subject.columns if column.name in window.drift and window.drift[column.name].alert]
    found = []
    for column in sorted(alarming, key=lambda one: -weights.get(one.name, 0.0) * (window.drift[one.name].psi or 0.0)):
        name = column.name
        since = _since([name in one.drift and one.drift[name].alert for one in arm.days], arm.days)
        quality = window.quality[name]
        numeric = isinstance(column, NumericColumn)
        then, now = _column(reference, name, numeric), _column(newest.sample, name, numeric)
        happened = "its distribution moved"
        if then is not None and now is not None:
            happened = what_happened(then, now, quality.missing, quality.unseen)
        if quality.wrong_type > 0.01:
            happened = f"{100 * quality.wrong_type:.0f} % of its values are no numbers; {happened}"
        matters = f", goes with the score by {weights[name]:.2f}" if name in weights else ""
        found.append(f"{name} drifted (PSI {window.drift[name].psi:.2f}{matters}) since {since:%Y-%m-%d}: {happened}")
    return found


def local_sentences(day: Window, subject: Subject, tally: Tally) -> list[str]:
    """Where in the space of inputs the model is wrong more often than elsewhere: the bin that stands out most, only when
    performance left its bounds."""
    if not any(figure.alert for figure in day.performance.values()):
        return []
    worst: tuple[float, str] | None = None
    for column in subject.columns:
        local = tally.get(("local", column.name))
        if local is None:
            continue
        rows, losses = local.reshape(2, -1)
        if rows.sum() == 0:
            continue
        mean = losses.sum() / rows.sum()
        with np.errstate(invalid="ignore", divide="ignore"):
            excess = np.where(rows >= _FEWEST_LOCAL, losses - mean * rows, -np.inf)
        place = int(np.argmax(excess))
        if excess[place] > 0 and (worst is None or excess[place] > worst[0]):
            rate = losses[place] / rows[place]
            worst = float(excess[place]), _local_sentence(column, place, subject, float(rate), float(mean))
    return [worst[1]] if worst else []


def _local_sentence(column: Any, place: int, subject: Subject, rate: float, mean: float) -> str:
    if isinstance(column, NumericColumn):
        bounds = ["-inf", *(f"{edge:.6g}" for edge in column.edges), "inf"]
        where = f"{column.name} in [{bounds[place]}, {bounds[place + 1]})"
    else:
        where = f"{column.name} = {[*column.categories, 'missing', 'other'][place]!r}"
    if subject.outputs.task == "Regression":
        return f"the mean error is {rate:.4g} where {where}, {mean:.4g} overall"
    return f"{100 * rate:.1f} % of decisions are wrong where {where}, {100 * mean:.1f} % overall"


def segment_sentences(day: Window) -> list[str]:
    """The segment whose accuracy lies farthest below that of the day, beyond both intervals."""
    whole = day.performance.get("accuracy")
    if whole is None or whole.low is None or whole.value is None:
        return []
    found = []
    for segment in day.segments:
        figure = segment.performance.get("accuracy")
        if figure is not None and figure.high is not None and figure.value is not None and figure.high < whole.low:
            gap = (whole.value - figure.value) * segment.labelled
            found.append(
                (gap, f"accuracy is {_said(figure)} where {segment.column} is {segment.value}, {_said(whole)} overall")
            )
    return [max(found)[1]] if found else []


def _since(alarming: list[bool], days: list[Window]) -> datetime:
    """Start of the newest unbroken run of alarming days."""
    since = days[-1].start
    for is_alarming, window in zip(reversed(alarming), reversed(days), strict=True):
        if not is_alarming:
            break
        since = window.start
    return since


def _said(figure: Figure) -> str:
    interval = "" if figure.low is None or figure.high is None else f" [{figure.low:.4g}, {figure.high:.4g}]"
    return f"{figure.value:.4g}{interval}"


def _importances(subject: Subject, table: pa.Table) -> dict[str, float]:
    score = _score(subject, table)
    if score is None:
        return {}
    columns = {}
    for column in subject.columns:
        if (found := _column(table, column.name, isinstance(column, NumericColumn))) is not None:
            columns[column.name] = found
    return importances_of(columns, score)


def _score(subject: Subject, table: pa.Table) -> Floats | None:
    """What the model said, as a number per row."""
    outputs = subject.outputs
    name = outputs.probabilities or outputs.value
    if name is None:
        return None
    place = outputs.positive
    of_class = f"output.{name}[{outputs.classes[place]}]" if outputs.classes else ""
    if of_class in table.column_names:
        values = np.asarray(table[of_class].to_numpy(), dtype=np.float64)
    elif f"output.{name}" in table.column_names:
        rows = table[f"output.{name}"].to_pylist()
        values = np.array(
            [row[place] if isinstance(row, list) else np.nan if row is None else row for row in rows], np.float64
        )
    else:
        return None
    return None if np.isnan(values).any() else values


def _column(table: pa.Table | None, name: str, numeric: bool) -> Column | None:
    if table is None or name not in table.column_names:
        return None
    values = table[name].to_pylist()
    if numeric:
        return Column(name, "Numeric", np.array([np.nan if value is None else value for value in values], np.float64))
    return Column(name, "Categorical", np.array([None if value in (None, "") else str(value) for value in values], object))
