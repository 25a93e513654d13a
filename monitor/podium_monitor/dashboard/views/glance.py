"""What the overview says of an evaluation: two kilobytes where the document has a megabyte. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from podium_crds.evidence import Finding
from podium_crds.v1alpha1.monitoring import Monitoring
from podium_evaluation.documents import Arm, ColumnDrift, DeploymentEvaluation
from podium_monitor.dashboard.views import arms
from podium_monitor.dashboard.views.health import Alarm, gravest
from podium_monitor.evaluations.findings import champion_of
from podium_monitor.world import Watched

Days = list[float | None]
"""One value per day of the champion, four digits each."""


class Moved(msgspec.Struct, omit_defaults=True):
    """Drift of the newest window."""

    columns: int
    alerts: int = 0
    worst: str = ""
    """The alert that moved most."""
    psi: float = 0.0
    critical: bool = False
    days: Days = []
    """The highest PSI of each."""


class Course(msgspec.Struct, omit_defaults=True):
    """The newest known value of a figure, and what it was before."""

    name: str
    value: float
    alert: bool = False
    estimated: bool = False
    """No label has come."""
    days: Days = []


class Glance(msgspec.Struct, omit_defaults=True):
    """None: it cannot be said."""

    uid: str
    evaluated_at: datetime
    arms: int = 0
    alarm: Alarm | None = None
    drift: Moved | None = None
    """None: no day of a champion was evaluated."""
    performance: Course | None = None
    value: Course | None = None
    """Of the first KPI."""
    label_coverage: float | None = None
    label_delay_p50_seconds: float | None = None


def glance_of(watched: Watched, document: DeploymentEvaluation, findings: Sequence[Finding]) -> Glance:
    champion = champion_of(watched, document)
    monitoring = watched.spec.monitoring
    return Glance(
        uid=document.uid,
        evaluated_at=document.evaluated_at,
        arms=len(document.arms),
        alarm=gravest(findings),
        drift=_drift(champion) if champion else None,
        performance=_performance(champion, monitoring) if champion else None,
        value=_value(champion, monitoring),
        label_coverage=document.label_coverage,
        label_delay_p50_seconds=document.label_delay_p50_seconds,
    )


def _drift(champion: Arm) -> Moved:
    window = champion.current or champion.days[-1]
    newest = {**window.drift, **window.prediction_drift}
    alerts = {column: drift for column, drift in newest.items() if drift.alert}
    days = [_short(_worst(day.drift.values())) for day in champion.days]
    if not alerts:
        return Moved(len(newest), days=days)
    worst = max(alerts, key=lambda column: alerts[column].psi or 0.0)
    critical = any(drift.severity == "Critical" for drift in alerts.values())
    return Moved(len(newest), len(alerts), worst, alerts[worst].psi or 0.0, critical, days)


def _worst(columns: Iterable[ColumnDrift]) -> float | None:
    return max((drift.psi for drift in columns if drift.psi is not None), default=None)


def _performance(champion: Arm, monitoring: Monitoring) -> Course | None:
    keys = arms.metrics([champion], monitoring)
    for key in keys:
        figure = arms.newest(champion, key)
        if figure is not None and figure.value is not None:
            days = [_short(day.performance[key].value) if key in day.performance else None for day in champion.days]
            return Course(key, figure.value, figure.worse, days=days)
    for key in keys:
        figure = champion.days[-1].estimated.get(key)
        if figure is not None and figure.value is not None:
            return Course(key, figure.value, estimated=True)
    return None


def _value(champion: Arm | None, monitoring: Monitoring) -> Course | None:
    if champion is None or not monitoring.business:
        return None
    name = monitoring.business[0].name
    figure = arms.newest_business(champion, name)
    if figure is None or figure.value is None:
        return None
    days = [_short(day.business[name].value) if name in day.business else None for day in champion.days]
    return Course(name, figure.value, figure.alert, days=days)


def _short(value: float | None) -> float | None:
    """A picture of a hundred points shows no more."""
    return None if value is None else float(f"{value:.4g}")
