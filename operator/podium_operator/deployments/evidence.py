"""What status says of the monitor's evidence: conditions, and figures beside each challenger. Pure.

Level-based as everything here: status follows from the newest answer of the monitor; where there is none yet, or it does not
answer, what status said last is said on, until that is too old to be stood by. Whoever acts on evidence (a promotion) asks
the monitor itself, and takes nothing from status.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from podium_crds.evidence import ChallengerEvidence, Decision, DeploymentEvidence, Finding, FindingType, GuardrailState
from podium_crds.v1alpha1.meta import Condition
from podium_crds.v1alpha1.model_deployment import ChallengerStatus
from podium_operator.conditions import Wanted

FINDINGS: tuple[FindingType, ...] = get_args(FindingType)
ALWAYS_WATCHED: tuple[FindingType, ...] = ("DriftDetected", "PerformanceDegraded")
"""What the monitor tells of every deployment whose predictions are captured."""
UNREACHABLE_SECONDS = 600.0
"""So long the last answer of a silent monitor stands."""
UNREACHABLE = "MonitorUnreachable"

_FIGURES = ("labels", "improvement", "interval", "decision", "evidence")
_MAX_SENTENCE = 1024


@dataclass(frozen=True)
class Monitored:
    """What is known of a deployment from the monitor."""

    evidence: DeploymentEvidence | None = None
    """The newest answer. None: there is none yet."""
    nothing_known: bool = False
    """The monitor answers, and knows nothing of the deployment yet."""
    unreachable: str = ""
    """Why it has not answered for more than ten minutes. Empty: it has, or there was no time yet."""


def conditions(monitored: Monitored | None, before: Sequence[Condition]) -> list[Wanted]:
    """`monitored` None: nothing is captured, or there is no monitor. `before`: the conditions that stand in status."""
    if monitored is None or monitored.nothing_known:
        return []
    if monitored.unreachable:
        standing = [item.type for item in before if item.type in FINDINGS] or list(ALWAYS_WATCHED)
        return [Wanted(type_, "Unknown", UNREACHABLE, monitored.unreachable) for type_ in standing]
    if monitored.evidence is None:
        return standing_conditions(before)
    return [
        Wanted(item.type, item.status, item.reason[:256], item.message) for item in _one_each(monitored.evidence.findings)
    ]


def standing_conditions(before: Sequence[Condition]) -> list[Wanted]:
    """What was found earlier, said again."""
    return [Wanted(item.type, item.status, item.reason, item.message) for item in before if item.type in FINDINGS]


def _one_each(findings: Iterable[Finding]) -> list[Finding]:
    """One of a type, the worst: the API server takes no type twice."""
    worst = {"True": 0, "Unknown": 1, "False": 2}
    found: dict[str, Finding] = {}
    for item in sorted(findings, key=lambda item: worst[item.status]):
        found.setdefault(item.type, item)
    return list(found.values())


def with_evidence(
    challengers: Sequence[ChallengerStatus], monitored: Monitored | None, before: Sequence[ChallengerStatus]
) -> list[ChallengerStatus]:
    """The challengers with their figures. Evidence counts for the very package that it was gathered of."""
    if monitored is None or monitored.nothing_known:
        return list(challengers)
    if monitored.evidence is None:
        return [_kept(item, before) for item in challengers]
    known = {(item.name, item.digest): item for item in monitored.evidence.challengers}
    return [_told(item, known.get((item.name, item.digest))) for item in challengers]


def _kept(challenger: ChallengerStatus, before: Sequence[ChallengerStatus]) -> ChallengerStatus:
    same = (item for item in before if (item.name, item.digest) == (challenger.name, challenger.digest))
    found = next(same, None)
    return challenger.model_copy(update={name: getattr(found, name) for name in _FIGURES}) if found else challenger


def _told(challenger: ChallengerStatus, found: ChallengerEvidence | None) -> ChallengerStatus:
    if found is None:
        return challenger
    bounds = [_figure(found.low), _figure(found.high)]
    return challenger.model_copy(
        update={
            "labels": found.units,
            "improvement": _figure(found.improvement),
            "interval": None if None in bounds else bounds,
            "decision": found.decision,
            "evidence": sentence(found)[:_MAX_SENTENCE],
        }
    )


def _figure(value: float | None) -> str | None:
    """Four digits: more would be written anew with every label, and say nothing."""
    return None if value is None or not math.isfinite(value) else f"{value:.4g}"


def sentence(found: ChallengerEvidence) -> str:
    """The decision in words, with its figures, the guardrails that do not hold, and the monitor's reasons."""
    parts = [_verdict(found)]
    parts += [f"guardrail '{item.name}' is broken: {item.message or item.type}" for item in _broken(found)]
    parts += found.reasons
    return "; ".join(parts)


def _verdict(found: ChallengerEvidence) -> str:
    units = f"{found.units} labelled units"
    improvement, low, high = (_figure(value) for value in (found.improvement, found.low, found.high))
    if improvement is None or low is None or high is None:
        return f"{_WORDS[found.decision]}, {units}"
    bar = f"{found.minimum_improvement:.4g}"
    return f"{_WORDS[found.decision]}: {found.metric} improves by {improvement} ({low} to {high}, asked for {bar}), {units}"


_WORDS = {
    "NotEnoughData": "not enough data yet",
    "Undecided": "not decided yet",
    "Better": "better than the champion",
    "NotBetter": "not better than the champion by what is asked for",
    "Worse": "worse than the champion",
    "Recommended": "better on the labels that there are, which are selective: people decide",
    "Invalid": "the evidence cannot be used",
}


def is_decided(decision: Decision | None) -> bool:
    """Whether the evidence has come to something that people want to hear of."""
    return decision not in (None, "NotEnoughData", "Undecided")


def _broken(found: ChallengerEvidence) -> list[GuardrailState]:
    return [item for item in found.guardrails if item.state == "Broken"]


def outline(monitored: Monitored) -> object:
    """What people want to know at once: which findings, which decisions, which broken guardrails. Figures and sentences
    change with every label."""
    known = monitored.evidence
    if known is None:
        return monitored
    findings = [(item.type, item.status, item.reason) for item in _one_each(known.findings)]
    challengers = [
        (item.name, item.digest, item.decision, [one.name for one in _broken(item)]) for item in known.challengers
    ]
    return monitored.unreachable, findings, challengers


def said(monitored: Monitored) -> object:
    """Equal for two answers of which status would say the same."""
    if monitored.evidence is None:
        return monitored
    challengers = [
        (
            item.name,
            item.digest,
            item.units,
            _figure(item.improvement),
            _figure(item.low),
            _figure(item.high),
            sentence(item),
        )
        for item in monitored.evidence.challengers
    ]
    findings = [(item.type, item.status, item.reason, item.message) for item in _one_each(monitored.evidence.findings)]
    return monitored.unreachable, challengers, findings
