"""All deployments at a glance: one row each, made once per evaluation and kept, so that 200 of them are a quick page."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from markupsafe import Markup

from podium_crds.evidence import ChallengerEvidence, DeploymentEvidence, Finding
from podium_crds.v1alpha1.monitoring import Monitoring
from podium_evaluation.documents import Arm, ColumnDrift, DeploymentEvaluation, Figure
from podium_monitor.dashboard.views import arms
from podium_monitor.dashboard.views.health import ORDER, health
from podium_monitor.evaluations.findings import champion_of
from podium_monitor.world import Watched
from podium_pages import words
from podium_pages.charts.frame import NO_MARKUP
from podium_pages.charts.lines import sparkline
from podium_pages.parts import Badge, Level

_PSI_SPAN = 0.3
"""What a critical column makes: days without drift lie flat."""
_SPAN = 0.1
"""Of the newest value, for the pictures of other figures."""

SortKey = Literal["health", "name", "champion", "drift", "performance", "value", "labels"]
SORT_KEYS: tuple[SortKey, ...] = ("health", "name", "champion", "drift", "performance", "value", "labels")
DECISION_LEVELS: dict[str, Level] = {"Better": "Good", "Recommended": "Good", "Worse": "Critical", "Invalid": "Critical"}


@dataclass(frozen=True)
class Contender:
    """A challenger in a row of the overview."""

    name: str
    mode: str
    decision: Badge | None


@dataclass(frozen=True)
class Measured:
    """A number with its picture. `rank` sorts: the worst first, None last."""

    text: str
    detail: str = ""
    picture: Markup = NO_MARKUP
    badge: Badge | None = None
    rank: float | None = None


@dataclass(frozen=True)
class Row:
    namespace: str
    name: str
    health: Badge
    reason: str
    champion: str
    contenders: Sequence[Contender]
    drift: Measured
    performance: Measured
    value: Measured
    labels: Measured
    evaluated_at: datetime | None


def row(
    watched: Watched,
    evaluation: DeploymentEvaluation | None,
    evidence: DeploymentEvidence | None,
    findings: Sequence[Finding],
) -> Row:
    monitoring = watched.spec.monitoring
    badge, reason = health(watched, evaluation, findings)
    champion = champion_of(watched, evaluation)
    committed = watched.status.champion if watched.status else None
    return Row(
        namespace=watched.namespace,
        name=watched.name,
        health=badge,
        reason=reason,
        champion=committed.model_version if committed else watched.spec.champion.model_version_ref.name,
        contenders=_contenders(watched, evidence),
        drift=_drift(champion),
        performance=_performance(champion, monitoring),
        value=_value(champion, monitoring),
        labels=_labels(evaluation),
        evaluated_at=evaluation.evaluated_at if evaluation else None,
    )


def decision_badge(evidence: ChallengerEvidence) -> Badge:
    return Badge(DECISION_LEVELS.get(evidence.decision, "Unknown"), DECISIONS[evidence.decision])


DECISIONS = {
    "NotEnoughData": "Not enough data",
    "Undecided": "Undecided",
    "Better": "Better",
    "NotBetter": "Not better",
    "Worse": "Worse",
    "Recommended": "Recommended",
    "Invalid": "Invalid",
}


def _contenders(watched: Watched, evidence: DeploymentEvidence | None) -> list[Contender]:
    by_name = {one.name: one for one in evidence.challengers} if evidence else {}
    return [
        Contender(
            name=one.name,
            mode=f"{one.percent or 0} %" if one.mode == "Canary" else "shadow",
            decision=decision_badge(by_name[one.name]) if one.name in by_name else None,
        )
        for one in watched.spec.challengers
    ]


def _drift(champion: Arm | None) -> Measured:
    if champion is None or not champion.days:
        return Measured(words.NOTHING, "no day evaluated")
    window = champion.current or champion.days[-1]
    newest = {**window.drift, **window.prediction_drift}
    alerts = {column: drift for column, drift in newest.items() if drift.alert}
    trend = sparkline([_worst(window.drift.values()) for window in champion.days], _PSI_SPAN)
    if not alerts:
        return Measured("None", f"{len(newest)} columns", trend, rank=0.0)
    worst = max(alerts, key=lambda column: alerts[column].psi or 0.0)
    critical = any(drift.severity == "Critical" for drift in alerts.values())
    return Measured(
        text=f"{len(alerts)} of {len(newest)}",
        detail=f"{worst}: PSI {words.number(alerts[worst].psi)}",
        picture=trend,
        badge=Badge("Critical" if critical else "Warning", "critical" if critical else "warning"),
        rank=-(alerts[worst].psi or 0.0),
    )


def _worst(columns: Iterable[ColumnDrift]) -> float | None:
    return max((drift.psi for drift in columns if drift.psi is not None), default=None)


def _performance(champion: Arm | None, monitoring: Monitoring) -> Measured:
    keys = arms.metrics([champion], monitoring) if champion else []
    for key in keys:
        figure = arms.newest(champion, key)
        if figure is not None and champion is not None:
            series = [window.performance[key].value if key in window.performance else None for window in champion.days]
            alert = Badge("Critical", "out of its bounds") if figure.worse else None
            rank = figure.value if figure.value is not None else None
            return Measured(
                words.number(figure.value),
                words.named(key),
                _trend(series, figure),
                alert,
                rank,
            )
    for key in keys:
        figure = champion.days[-1].estimated.get(key) if champion and champion.days else None
        if figure is not None and figure.value is not None:
            return Measured(f"≈ {words.number(figure.value)}", f"{words.named(key)}, estimated", rank=figure.value)
    return Measured(words.NOTHING, "no labels yet" if champion else "")


def _value(champion: Arm | None, monitoring: Monitoring) -> Measured:
    if not monitoring.business:
        return Measured(words.NOTHING)
    kpi = monitoring.business[0]
    figure = arms.newest_business(champion, kpi.name)
    if figure is None or champion is None:
        return Measured(words.NOTHING, f"{kpi.name}: no outcomes yet")
    series = [window.business[kpi.name].value if kpi.name in window.business else None for window in champion.days]
    alert = Badge("Warning", "low") if figure.alert else None
    text = f"{words.number(figure.value)} {kpi.unit}".rstrip()
    return Measured(text, f"{kpi.name} per decision", _trend(series, figure), alert, rank=figure.value)


def _trend(series: Sequence[float | None], newest: Figure) -> Markup:
    return sparkline(series, abs(newest.value or 0.0) * _SPAN)


def _labels(evaluation: DeploymentEvaluation | None) -> Measured:
    if evaluation is None or evaluation.label_coverage is None:
        return Measured(words.NOTHING, "none yet" if evaluation else "")
    delay = evaluation.label_delay_p50_seconds
    return Measured(
        words.percent(evaluation.label_coverage),
        f"after {words.length(delay)}" if delay is not None else "",
        rank=evaluation.label_coverage,
    )


def selected(rows: Iterable[Row], namespace: str, text: str) -> list[Row]:
    """`text` is looked for in names, versions and the reason, whatever the case."""
    wanted = text.casefold().strip()
    return [
        one
        for one in rows
        if (not namespace or one.namespace == namespace)
        and wanted
        in " ".join([one.namespace, one.name, one.champion, one.reason, *(c.name for c in one.contenders)]).casefold()
    ]


def ordered(rows: Iterable[Row], key: SortKey, backwards: bool) -> list[Row]:
    """The worst first; what cannot be said comes last either way; equals by name."""
    named = sorted(rows, key=lambda one: (one.namespace, one.name))
    if (say := _TEXTS.get(key)) is not None:
        return sorted(named, key=say, reverse=backwards)
    rank = _RANKS[key]
    known = sorted(
        ((value, one) for one in named if (value := rank(one)) is not None), key=lambda pair: pair[0], reverse=backwards
    )
    return [one for _, one in known] + [one for one in named if rank(one) is None]


_TEXTS: dict[SortKey, Callable[[Row], str]] = {
    "name": lambda one: f"{one.namespace}/{one.name}",
    "champion": lambda one: one.champion,
}
_RANKS: dict[SortKey, Callable[[Row], float | None]] = {
    "health": lambda one: ORDER[one.health.level],
    "drift": lambda one: one.drift.rank,
    "performance": lambda one: one.performance.rank,
    "value": lambda one: one.value.rank,
    "labels": lambda one: one.labels.rank,
}
