"""All deployments at a glance: one row each, made once per evaluation and kept, so that 200 of them are a quick page."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from markupsafe import Markup

from podium_crds.evidence import ChallengerEvidence, DeploymentEvidence
from podium_crds.v1alpha1.monitoring import Monitoring
from podium_monitor.dashboard.views.glance import Course, Glance, Moved
from podium_monitor.dashboard.views.health import ORDER, health
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


def row(watched: Watched, glance: Glance | None, evidence: DeploymentEvidence | None) -> Row:
    badge, reason = health(watched, glance.alarm if glance else None, glance is not None and glance.arms > 0)
    committed = watched.status.champion if watched.status else None
    return Row(
        namespace=watched.namespace,
        name=watched.name,
        health=badge,
        reason=reason,
        champion=committed.model_version if committed else watched.spec.champion.model_version_ref.name,
        contenders=_contenders(watched, evidence),
        drift=_drift(glance.drift if glance else None),
        performance=_performance(glance),
        value=_value(glance, watched.spec.monitoring),
        labels=_labels(glance),
        evaluated_at=glance.evaluated_at if glance else None,
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


def _drift(moved: Moved | None) -> Measured:
    if moved is None:
        return Measured(words.NOTHING, "no day evaluated")
    trend = sparkline(moved.days, _PSI_SPAN)
    if not moved.alerts:
        return Measured("None", f"{moved.columns} columns", trend, rank=0.0)
    return Measured(
        text=f"{moved.alerts} of {moved.columns}",
        detail=f"{moved.worst}: PSI {words.number(moved.psi)}",
        picture=trend,
        badge=Badge("Critical" if moved.critical else "Warning", "critical" if moved.critical else "warning"),
        rank=-moved.psi,
    )


def _performance(glance: Glance | None) -> Measured:
    course = glance.performance if glance else None
    if course is None:
        return Measured(words.NOTHING, "no labels yet" if glance and glance.drift else "")
    if course.estimated:
        return Measured(f"≈ {words.number(course.value)}", f"{words.named(course.name)}, estimated", rank=course.value)
    alert = Badge("Critical", "out of its bounds") if course.alert else None
    return Measured(words.number(course.value), words.named(course.name), _trend(course), alert, course.value)


def _value(glance: Glance | None, monitoring: Monitoring) -> Measured:
    if not monitoring.business:
        return Measured(words.NOTHING)
    kpi, course = monitoring.business[0], glance.value if glance else None
    if course is None or course.name != kpi.name:
        return Measured(words.NOTHING, f"{kpi.name}: no outcomes yet")
    alert = Badge("Warning", "low") if course.alert else None
    text = f"{words.number(course.value)} {kpi.unit}".rstrip()
    return Measured(text, f"{kpi.name} per decision", _trend(course), alert, rank=course.value)


def _trend(course: Course) -> Markup:
    return sparkline(course.days, abs(course.value) * _SPAN)


def _labels(glance: Glance | None) -> Measured:
    if glance is None or glance.label_coverage is None:
        return Measured(words.NOTHING, "none yet" if glance else "")
    delay = glance.label_delay_p50_seconds
    return Measured(
        words.percent(glance.label_coverage),
        f"after {words.length(delay)}" if delay is not None else "",
        rank=glance.label_coverage,
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
