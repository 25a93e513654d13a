"""Why a deployment looks as it does, in sentences with figures: from its newest day, beside the reference. Pure."""

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np

from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec
from podium_evaluation.documents import Arm, DeploymentEvaluation, Window
from podium_monitor.evaluations.arms import Place
from podium_monitor.evaluations.assembling import Assembled
from podium_monitor.evaluations.daily import DRIFTED, MOST_SENTENCES, local_sentences, said, segment_sentences
from podium_monitor.evaluations.subject import Subject
from podium_monitor.evaluations.windows import HIGHER_IS_BETTER, percentile

_DEFAULT_AGE = timedelta(days=1)
"""Predictions of this age are expected to have labels where spec.monitoring.labels.lateAfterSeconds does not say."""


def explained(
    document: DeploymentEvaluation,
    spec: ModelDeploymentSpec,
    found: Assembled,
    subject_of: Callable[[str], Subject],
    whole: Callable[[Arm, Window], Window],
) -> None:
    """Fills in label coverage and delay, and the diagnosis: what the champion's newest day says, and since when. Days may be
    outlines: `whole` has the rest of one."""
    champions = [arm for arm in document.arms if arm.role == "Champion" and arm.days]
    document.label_coverage = label_coverage(champions, spec)
    delays = [tally["delay",] for tally in found.labelled.values() if ("delay",) in tally]
    if delays:
        total = np.sum(delays, axis=0)
        document.label_delay_p50_seconds, document.label_delay_p90_seconds = percentile(total, 0.5), percentile(total, 0.9)
    sentences: list[str] = []
    for arm in sorted(champions, key=lambda one: one.days[-1].start)[-1:]:
        place = Place(arm.role, arm.name, arm.version, arm.digest)
        labelled = days_until(arm, lambda day: bool(day.performance))
        sentences += performance_sentences(labelled) + business_sentences(arm, labelled, spec) + drift_sentences(arm)
        if labelled:
            counted = found.labelled.get(place, {})
            day = whole(arm, labelled[-1])
            sentences += local_sentences(day, subject_of(arm.digest), counted) + segment_sentences(day)
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
        found.append(f"{name} {moved} to {said(figure)}{was}, outside of its bounds since {since:%Y-%m-%d}")
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
        text = f"{kpi.name} is {said(figure)}{unit} per decision, minimum {kpi.minimum}{unit}"
        if low and not statistics and performance:
            found.append(f"{text}: below it, though every statistical figure is within its bounds")
        elif low:
            found.append(f"{text}: below it")
        elif statistics:
            found.append(f"{text}: kept, though {', '.join(statistics[:3])} left the usual range")
    return found


def drift_sentences(arm: Arm) -> list[str]:
    """Those of the newest day, with since when."""
    window, found = arm.days[-1], []
    for sentence in window.diagnosis:
        name, drifted, rest = sentence.partition(DRIFTED)
        if drifted and name in window.drift:
            since = _since([name in one.drift and one.drift[name].alert for one in arm.days], arm.days)
            how, _, happened = rest.partition("): ")
            found.append(f"{name}{drifted}{how}) since {since:%Y-%m-%d}: {happened}")
    return found


def _since(alarming: list[bool], days: list[Window]) -> datetime:
    """Start of the newest unbroken run of alarming days."""
    since = days[-1].start
    for is_alarming, window in zip(reversed(alarming), reversed(days), strict=True):
        if not is_alarming:
            break
        since = window.start
    return since
