"""What an evaluation means for a deployment: what the operator makes conditions of. Pure."""

from collections.abc import Callable
from datetime import datetime

from podium_crds.evidence import Finding
from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec
from podium_evaluation.documents import Arm, DeploymentEvaluation, Severity, Window
from podium_monitor.evaluations.windows import FEWEST_LABELLED
from podium_monitor.world import Watched

FEWEST_ROWS = 100
"""A window with fewer rows says nothing of drift."""
_MOST_NAMED = 5


def findings(watched: Watched, evaluation: DeploymentEvaluation | None) -> list[Finding]:
    """Of the champion. What was not asked for (no bound, no protected column, no time for labels) is not among them; what
    cannot be said is Unknown."""
    arm = champion_of(watched, evaluation)
    spec = watched.spec
    found = [_drift(arm), _performance(arm)]
    if spec.monitoring.fairness is not None:
        found.append(_fairness(arm, spec))
    if spec.monitoring.labels.late_after_seconds is not None:
        found.append(_labels(evaluation, spec))
    if any(kpi.minimum is not None for kpi in spec.monitoring.business):
        found.append(_value(arm, spec))
    return found


def champion_of(watched: Watched, evaluation: DeploymentEvaluation | None) -> Arm | None:
    """The arm of the version that is champion now; while it has no row yet, the one that was it last."""
    arms = [arm for arm in (evaluation.arms if evaluation else []) if arm.role == "Champion" and arm.days]
    wished = watched.status.champion.model_version if watched.status and watched.status.champion else None
    named = wished or watched.spec.champion.model_version_ref.name
    current = [arm for arm in arms if arm.version == named]
    return max(current or arms, key=lambda arm: arm.days[-1].start, default=None)


def _drift(arm: Arm | None) -> Finding:
    window = arm.current if arm else None
    if arm is None or window is None or window.rows < FEWEST_ROWS:
        rows = window.rows if window else 0
        return _unknown("DriftDetected", f"the window has {rows} rows, {FEWEST_ROWS} are needed")
    columns = {**window.drift, **window.prediction_drift}
    if not columns:
        return _unknown(
            "DriftDetected", f"no reference of {arm.version} is here: its pods bring it with capture on", "NoReference"
        )
    drifted = sorted((name for name in columns if columns[name].alert), key=lambda name: -(columns[name].psi or 0.0))
    if not drifted:
        return _no("DriftDetected", "Stable", f"none of {len(columns)} columns drifted in {window.rows} rows")
    named = ", ".join(f"{name} (PSI {columns[name].psi:.2f})" for name in drifted[:_MOST_NAMED])
    critical = any(columns[name].severity == "Critical" for name in drifted)
    return Finding(
        type="DriftDetected",
        status="True",
        reason="Drifted",
        message=f"{len(drifted)} of {len(columns)} columns drifted: {named}",
        severity="Critical" if critical else "Warning",
        since=_since(arm, lambda one: any(each.alert for each in (*one.drift.values(), *one.prediction_drift.values()))),
    )


def _performance(arm: Arm | None) -> Finding:
    window = _labelled(arm)
    if arm is None or window is None:
        return _unknown("PerformanceDegraded", f"no window has {FEWEST_LABELLED} labelled rows")
    worse = [name for name, figure in window.performance.items() if figure.worse]
    said = ", ".join(
        f"{name} {figure.value:.4g}" + (f" [{figure.low:.4g}, {figure.high:.4g}]" if figure.low is not None else "")
        for name in (worse or list(window.performance))[:_MOST_NAMED]
        if (figure := window.performance[name]).value is not None
    )
    if not worse:
        return _no("PerformanceDegraded", "WithinBounds", f"{said} of {window.labelled} labelled rows")
    return Finding(
        type="PerformanceDegraded",
        status="True",
        reason="OutsideBounds",
        message=f"{said} of {window.labelled} labelled rows, worse than the bounds or the reference's usual range",
        severity="Critical",
        since=_since(arm, lambda one: any(figure.worse for figure in one.performance.values())),
    )


def _fairness(arm: Arm | None, spec: ModelDeploymentSpec) -> Finding:
    window = arm.current if arm else None
    if arm is None or window is None or not window.fairness:
        return _unknown("FairnessDegraded", "no two groups have rows enough")
    unfair = [one for one in window.fairness if one.alert]
    said = ", ".join(f"{one.column} {one.selection_rate_ratio.value:.2f}" for one in (unfair or window.fairness))
    text = f"lowest over highest selection rate: {said}, minimum {spec.monitoring.fairness.minimum_ratio}"  # type: ignore[union-attr]
    if not unfair:
        return _no("FairnessDegraded", "WithinBounds", text)
    return Finding(
        type="FairnessDegraded",
        status="True",
        reason="OutsideBounds",
        message=text,
        severity="Critical",
        since=_since(arm, lambda one: any(each.alert for each in one.fairness)),
    )


def _labels(evaluation: DeploymentEvaluation | None, spec: ModelDeploymentSpec) -> Finding:
    wished = spec.monitoring.labels
    coverage = evaluation.label_coverage if evaluation else None
    if coverage is None:
        return _unknown("LabelsLate", f"no prediction is {wished.late_after_seconds} s old yet")
    text = f"{100 * coverage:.0f} % of predictions older than {wished.late_after_seconds} s have labels"
    if coverage >= float(wished.minimum_coverage):
        return _no("LabelsLate", "InTime", text)
    message = f"{text}, at least {100 * float(wished.minimum_coverage):.0f} % should"
    return Finding(type="LabelsLate", status="True", reason="Missing", message=message, severity="Warning")


def _value(arm: Arm | None, spec: ModelDeploymentSpec) -> Finding:
    bounded = {kpi.name: kpi for kpi in spec.monitoring.business if kpi.minimum is not None}
    window = next((one for one in reversed(_windows(arm)) if set(bounded) & set(one.business)), None)
    if arm is None or window is None:
        return _unknown("BusinessValueLow", "no decision has a known outcome")
    low = []
    for name in set(bounded) & set(window.business):
        figure = window.business[name]
        best = figure.high if figure.high is not None else figure.value
        if best is not None and best < float(bounded[name].minimum or 0):
            low.append(name)
    said = ", ".join(
        f"{name} {window.business[name].value:.4g} {bounded[name].unit}".rstrip()
        + f" per decision (minimum {bounded[name].minimum})"
        for name in sorted(low or set(bounded) & set(window.business))
    )
    if not low:
        return _no("BusinessValueLow", "WithinBounds", said)
    return Finding(type="BusinessValueLow", status="True", reason="BelowMinimum", message=said, severity="Warning")


def _windows(arm: Arm | None) -> list[Window]:
    """The current one last."""
    return [] if arm is None else [*arm.days, *([arm.current] if arm.current else [])]


def _labelled(arm: Arm | None) -> Window | None:
    """The newest with labels enough: labels come late."""
    return next((one for one in reversed(_windows(arm)) if one.labelled >= FEWEST_LABELLED and one.performance), None)


def _since(arm: Arm, alarming: Callable[[Window], bool]) -> datetime | None:
    """Start of the newest unbroken run of alarming days; within that of hours, where it began in those that are kept."""
    since = None
    for windows in (arm.days, arm.hours):
        start = None
        for window in reversed(windows):
            if not alarming(window):
                break
            start = window.start
        since = start if since is None or (start is not None and start > since) else since
    return since


def _unknown(kind: str, message: str, reason: str = "NotEnoughData") -> Finding:
    return Finding.model_validate({"type": kind, "status": "Unknown", "reason": reason, "message": message})


def _no(kind: str, reason: str, message: str) -> Finding:
    return Finding.model_validate({"type": kind, "status": "False", "reason": reason, "message": message})


def severity_number(finding: Finding) -> int | None:
    """For metrics: 0 looked at and not so, 1 warning, 2 critical; None: cannot be said."""
    numbers: dict[Severity, int] = {"None": 1, "Warning": 1, "Critical": 2}
    if finding.status == "Unknown":
        return None
    return numbers[finding.severity] if finding.status == "True" else 0
