"""What speaks for and against each challenger, and whether it may decide anything."""

from collections.abc import Sequence

from podium_crds.evidence import ChallengerEvidence, DeploymentEvidence, GuardrailState, SampleRatio
from podium_monitor.dashboard.views.overview import decision_badge
from podium_monitor.world import Watched
from podium_pages import words
from podium_pages.charts.frame import Table
from podium_pages.charts.sequence import confidence_sequence
from podium_pages.parts import Empty, Fact, Part, Section

_MEANINGS = {
    "NotEnoughData": "There are fewer units, classes or labels than a verdict needs.",
    "Undecided": "The interval still holds both sides of the needed improvement: more units will tell.",
    "Better": "The whole interval lies above the needed improvement.",
    "NotBetter": "The whole interval lies below the needed improvement.",
    "Worse": "The whole interval lies below zero: the champion is better.",
    "Recommended": "It is better on what has labels, but the decision hides outcomes: people decide.",
    "Invalid": "The evidence cannot be used.",
}


def evidence_section(watched: Watched, evidence: DeploymentEvidence | None) -> Section:
    challengers = evidence.challengers if evidence else []
    return Section(
        "evidence",
        "Champion against challengers",
        [_challenger(one) for one in challengers],
        says="Improvement: the champion's mean loss minus the challenger's, per unit. Above zero the challenger is better.",
        empty=None if challengers else _empty(watched),
    )


def _empty(watched: Watched) -> Empty:
    if watched.spec.challengers:
        return Empty(
            "No evidence yet: it needs predictions of both arms, labels, and the label horizon to pass.",
            "Labels join predictions by their key. Send them as they come to be known: see Performance below.",
        )
    return Empty(
        "No challenger runs beside the champion.",
        "A shadow sees a copy of the traffic and answers nobody. Name one and apply the manifest:",
        "spec:\n  challengers:\n  - name: next\n    modelVersionRef: {name: <a ModelVersion>}\n    mode: Shadow",
    )


def _challenger(one: ChallengerEvidence) -> Part:
    coverage = ", ".join(f"{arm} {words.percent(share)}" for arm, share in one.coverage.items())
    return Part(
        title=f"{one.name} · {one.version} ({one.mode.lower()})",
        badge=decision_badge(one),
        says=[_MEANINGS[one.decision], *one.reasons, *_ratio(one.sample_ratio)],
        facts=[
            Fact("Improvement", words.interval(one.improvement, one.low, one.high)),
            Fact("Needed", words.number(one.minimum_improvement)),
            Fact("Metric", one.metric),
            Fact("Units", words.count(one.units)),
            Fact("Labels", coverage or words.NOTHING),
            Fact("Label horizon", words.length(one.horizon_seconds)),
            Fact("α of this challenger", f"{words.number(one.alpha)} (number {one.nth} of this deployment)"),
        ],
        charts=[confidence_sequence(one)] if one.path else [],
        table=_guardrails(one.guardrails) if one.guardrails else None,
        across="beside" if one.path else "two",
        numbers=False,
    )


def _ratio(ratio: SampleRatio | None) -> list[str]:
    if ratio is None:
        return []
    arms = ", ".join(
        f"{arm} {words.count(ratio.observed.get(arm, 0))} of {words.count(round(expected))} expected"
        for arm, expected in ratio.expected.items()
    )
    verdict = "The split is not as planned" if ratio.mismatch else "The split is as planned"
    return [f"{verdict}: {arms} (e-value {words.number(ratio.e_value)})."]


def _guardrails(guardrails: Sequence[GuardrailState]) -> Table:
    signs = {"Kept": "✓ Kept", "Broken": "✕ Broken", "NotEnoughData": "○ Not enough data"}
    return Table(
        ["Guardrail", "State", "Value", "Bound", "Why"],
        [
            [
                f"{one.name} ({one.type})",
                signs[one.state],
                words.interval(one.value, one.low, one.high),
                words.number(one.bound),
                one.message or words.NOTHING,
            ]
            for one in guardrails
        ],
    )
