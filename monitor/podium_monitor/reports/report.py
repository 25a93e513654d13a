"""What reports say of a deployment's week and of a version. Made of the dashboard's sections: both say the same. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import msgspec

from podium_crds.evidence import DeploymentEvidence, Finding
from podium_crds.package import Descriptor
from podium_evaluation.documents import Arm, DeploymentEvaluation
from podium_monitor.dashboard.views.deployment import DeploymentPage, deployment_page, deployment_sections
from podium_monitor.dashboard.views.version import version_page
from podium_monitor.world import Watched, WatchedVersion
from podium_pages import words
from podium_pages.parts import Empty, Fact, Part, Section
from podium_pages.report import Report

_MOST_HAPPENINGS = 60


@dataclass(frozen=True)
class Week:
    """An ISO week in UTC: from Monday 00:00 to before the next."""

    year: int
    number: int

    @property
    def start(self) -> datetime:
        return datetime.combine(date.fromisocalendar(self.year, self.number, 1), time(), UTC)

    @property
    def end(self) -> datetime:
        return self.start + timedelta(days=7)

    @property
    def name(self) -> str:
        """As in ISO 8601: 2026-W47."""
        return f"{self.year:04d}-W{self.number:02d}"


def week_of(at: datetime) -> Week:
    year, number, _ = at.astimezone(UTC).isocalendar()
    return Week(year, number)


def week_named(text: str) -> Week:
    """`2026-W47`. Raises ValueError that says what would be right."""
    year, _, number = text.partition("-W")
    try:
        week = Week(int(year), int(number))
        if week.name == text and week.year >= 1970:
            week.end  # noqa: B018  not each year has a week 53, and time ends in the last of 9999
            return week
    except (ValueError, OverflowError):
        pass
    raise ValueError(f"{text!r} is no week; write the ISO year and week, as in 2026-W47")


@dataclass(frozen=True)
class Known:
    """All that is known of a deployment."""

    watched: Watched
    evaluation: DeploymentEvaluation | None
    evidence: DeploymentEvidence | None
    findings: Sequence[Finding]


def health_report(known: Known, week: Week, now: datetime) -> Report:
    """How one deployment fared in a week."""
    cut = None if known.evaluation is None else _of_week(known.evaluation, week)
    page = deployment_page(known.watched, cut, known.evidence, known.findings, "Day")
    last = (week.end - timedelta(days=1)).date()
    return Report(
        title=f"{page.name}: health of week {week.name}",
        subtitle=f"Namespace {page.namespace}, {week.start.date()} to {last}, UTC",
        badge=page.health,
        made_at=now,
        facts=[Fact("Champion", page.champion), *page.facts],
        sentences=[*_week_sentences(cut), *_state_sentences(page)],
        sections=[*deployment_sections(known.watched, cut, known.evidence, "Day"), _happenings(cut, week)],
    )


def modelling_report(known: Known, version: WatchedVersion, card: Descriptor | None, now: datetime) -> Report:
    """What a version is, how it was checked, where it serves, and how it has done there."""
    watched = known.watched
    page = version_page(watched.namespace, version, [watched], card)
    own = None if known.evaluation is None else _of_version(known.evaluation, version.name)
    served = deployment_sections(watched, own, known.evidence, "Day") if own and own.arms else None
    kept = ("evidence", "performance", "segments", "drift", "fairness", "business", "quality")
    validation = [one for one in served if one.identity in kept] if served else [_not_served()]
    uses = [f"{use.deployment}: {use.role}" for use in page.uses]
    return Report(
        title=f"{version.name}: modelling report",
        subtitle=f"Namespace {watched.namespace}",
        badge=page.badge,
        made_at=now,
        facts=[*page.facts, Fact("Used by", ", ".join(uses) or "nobody")],
        sentences=[page.reason],
        sections=[
            Section(
                "card",
                "Model card",
                [
                    Part(says=_paragraphs(page.documentation), facts=page.training),
                    *([Part(title="Inputs", table=page.inputs, numbers=False)] if page.inputs else []),
                    *([Part(title="Outputs", table=page.outputs, numbers=False)] if page.outputs else []),
                ],
                empty=None if card else Empty("No pod has handed the version's card to the monitor yet."),
            ),
            Section(
                "deployment",
                "Checks before it served",
                [Part(facts=page.checks, table=page.conditions, numbers=False)] if page.checks or page.conditions else [],
                empty=None if page.checks or page.conditions else Empty("It was not checked in the cluster yet."),
            ),
            *validation,
        ],
    )


def _of_week(evaluation: DeploymentEvaluation, week: Week) -> DeploymentEvaluation:
    """Curves, histograms, the current window and the diagnosis are of the newest days: they stay only where those lie in the
    week."""
    found, current = [], False
    for arm in evaluation.arms:
        days = [day for day in arm.days if week.start <= day.start < week.end]
        newest = bool(days) and days[-1] is arm.days[-1]
        current = current or newest
        kept = msgspec.structs.replace(arm, days=days, hours=[])
        if not newest:
            kept = msgspec.structs.replace(kept, current=None, histograms=[], calibration=None, roc=None, lift=None)
        if days:
            found.append(kept)
    timeline = [one for one in evaluation.timeline if week.start <= one.at < week.end]
    diagnosis = evaluation.diagnosis if current else []
    return msgspec.structs.replace(evaluation, arms=found, timeline=timeline, diagnosis=diagnosis)


def _of_version(evaluation: DeploymentEvaluation, version: str) -> DeploymentEvaluation:
    return msgspec.structs.replace(evaluation, arms=[arm for arm in evaluation.arms if arm.version == version])


def _week_sentences(evaluation: DeploymentEvaluation | None) -> list[str]:
    arms = evaluation.arms if evaluation else []
    return [_arm_sentence(arm) for arm in arms] or ["No prediction of this week was evaluated."]


def _arm_sentence(arm: Arm) -> str:
    rows, labelled = sum(day.rows for day in arm.days), sum(day.labelled for day in arm.days)
    alerts = [name for day in arm.days for name, one in {**day.drift, **day.prediction_drift}.items() if one.alert]
    worst = sorted(set(alerts), key=lambda name: (-alerts.count(name), name))[:5]
    drifted = (
        f"drift alerts on {', '.join(f'{name} ({alerts.count(name)} days)' for name in worst)}" if worst else "no drift"
    )
    money = {name: sum(day.totals.get(name, 0.0) for day in arm.days) for day in arm.days for name in day.totals}
    worth = "".join(f"; {name} {words.number(value)}" for name, value in sorted(money.items()))
    return (
        f"{arm.name} ({arm.version}, {arm.role.lower()}): {words.count(rows)} predictions on {len(arm.days)} days, "
        f"{words.count(labelled)} labelled; {drifted}{worth}."
    )


def _state_sentences(page: DeploymentPage) -> list[str]:
    return [*([page.reason] if page.reason else []), *(text for _, text in page.findings), *page.diagnosis]


def _happenings(evaluation: DeploymentEvaluation | None, week: Week) -> Section:
    found = evaluation.timeline[:_MOST_HAPPENINGS] if evaluation else []
    said = [f"{words.moment(one.at)}, {one.kind.lower()}: {one.text}" for one in found]
    empty = None if said else Empty(f"Nothing worth noting happened in week {week.name}.")
    return Section("timeline", "What happened", [Part(says=said)] if said else [], empty=empty)


def _not_served() -> Section:
    return Section("validation", "Validation", empty=Empty("It has not answered or shadowed a captured prediction yet."))


def _paragraphs(text: str) -> list[str]:
    return [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
