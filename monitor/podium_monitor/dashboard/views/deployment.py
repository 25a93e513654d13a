"""One deployment: its state in tiles, why it is so, and a section for each thing that is watched."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from markupsafe import Markup

from podium_crds.evidence import DeploymentEvidence, Finding
from podium_evaluation.documents import DeploymentEvaluation, Happening, Period
from podium_monitor.dashboard.views import arms, overview
from podium_monitor.dashboard.views.business import business
from podium_monitor.dashboard.views.days import days
from podium_monitor.dashboard.views.drift import drift
from podium_monitor.dashboard.views.evidence import evidence_section
from podium_monitor.dashboard.views.fairness import fairness
from podium_monitor.dashboard.views.glance import glance_of
from podium_monitor.dashboard.views.performance import performance, segments
from podium_monitor.dashboard.views.quality import quality
from podium_monitor.dashboard.views.traffic import pods, traffic
from podium_monitor.evaluations.findings import champion_of
from podium_monitor.world import Watched
from podium_pages import words
from podium_pages.charts.frame import NO_MARKUP
from podium_pages.parts import Badge, Fact, Level, Section


@dataclass(frozen=True)
class Tile:
    title: str
    value: str
    detail: str = ""
    picture: Markup = NO_MARKUP
    badge: Badge | None = None
    section: str = ""
    """The anchor that tells more."""


@dataclass(frozen=True)
class Event:
    at: datetime
    badge: Badge
    text: str


@dataclass(frozen=True)
class DeploymentPage:
    namespace: str
    name: str
    health: Badge
    reason: str
    facts: Sequence[Fact]
    champion: str
    versions: Sequence[str]
    tiles: Sequence[Tile]
    diagnosis: Sequence[str]
    findings: Sequence[tuple[Badge, str]]
    timeline: Sequence[Event]
    period: Period
    evaluated_at: datetime | None


def deployment_page(
    watched: Watched,
    evaluation: DeploymentEvaluation | None,
    evidence: DeploymentEvidence | None,
    findings: Sequence[Finding],
    period: Period,
) -> DeploymentPage:
    """All but its sections. Outlines of days are enough."""
    glance = overview.row(watched, glance_of(watched, evaluation, findings) if evaluation else None, evidence)
    return DeploymentPage(
        namespace=watched.namespace,
        name=watched.name,
        health=glance.health,
        reason=glance.reason,
        facts=_facts(watched, evaluation),
        champion=glance.champion,
        versions=_versions(watched, glance.champion),
        tiles=_tiles(glance),
        diagnosis=evaluation.diagnosis if evaluation else [],
        findings=[(_finding_badge(one), one.message) for one in findings if one.status == "True"],
        timeline=[_event(one) for one in evaluation.timeline] if evaluation else [],
        period=period,
        evaluated_at=evaluation.evaluated_at if evaluation else None,
    )


def deployment_sections(
    watched: Watched,
    evaluation: DeploymentEvaluation | None,
    evidence: DeploymentEvidence | None,
    period: Period,
) -> Sequence[Section]:
    """One for each thing that is watched. It takes whole days."""
    champion = champion_of(watched, evaluation)
    shown = [(arm, arms.windows(arm, period)) for arm in arms.shown(watched, evaluation)]
    seen = arms.windows(champion, period) if champion else []
    return [
        traffic(watched, evaluation, shown),
        evidence_section(watched, evidence),
        performance(watched, evaluation, shown),
        segments(watched, champion),
        drift(watched.spec.monitoring, champion, seen),
        fairness(watched, champion, seen),
        business(watched, shown),
        quality(seen),
        days(champion),
    ]


def _versions(watched: Watched, champion: str) -> list[str]:
    named = [champion, watched.spec.champion.model_version_ref.name]
    return list(dict.fromkeys([*named, *(one.model_version_ref.name for one in watched.spec.challengers)]))


def _facts(watched: Watched, evaluation: DeploymentEvaluation | None) -> list[Fact]:
    committed = watched.status.champion if watched.status else None
    endpoint = watched.status.endpoint if watched.status else None
    return [
        Fact("Champion since", words.written(committed.since) if committed else words.NOTHING),
        Fact("Pods", pods(watched)),
        Fact("Capture", f"{watched.spec.capture.percent} % of predictions"),
        Fact("Endpoint", endpoint.url if endpoint else words.NOTHING),
        Fact("Evaluated", words.moment(evaluation.evaluated_at) if evaluation else "not yet"),
    ]


def _tiles(glance: overview.Row) -> list[Tile]:
    tiles = [
        Tile("Performance", *_shown(glance.performance), section="performance"),
        Tile("Drift", *_shown(glance.drift), section="drift"),
        Tile("Value", *_shown(glance.value), section="value"),
        Tile("Labels", *_shown(glance.labels), section="performance"),
    ]
    decided = next((one for one in glance.contenders if one.decision), None)
    if glance.contenders:
        first = decided or glance.contenders[0]
        count = f"{len(glance.contenders)} challengers" if len(glance.contenders) > 1 else "1 challenger"
        tiles.append(Tile("Challenger", first.name, count, badge=first.decision, section="evidence"))
    return tiles


def _shown(one: overview.Measured) -> tuple[str, str, Markup, Badge | None]:
    return one.text, one.detail, one.picture, one.badge


def _finding_badge(one: Finding) -> Badge:
    level: Level = "Critical" if one.severity == "Critical" else "Warning"
    return Badge(level, one.reason)


def _event(one: Happening) -> Event:
    levels: dict[str, Level] = {"None": "Unknown", "Warning": "Warning", "Critical": "Critical"}
    return Event(one.at, Badge(levels[one.severity], one.kind), one.text)
