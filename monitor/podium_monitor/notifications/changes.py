"""What a receiver has to be told: what is so now, beside what it was told last. Pure.

By state, not by event: a receiver that was away for a day is told what holds then, not what came and went meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from podium_crds.evidence import DeploymentEvidence
from podium_evaluation.documents import Severity
from podium_monitor.notifications.receivers import SEVERITIES

Told = Mapping[str, str]
"""By subject, the state that was told last."""

_SPOKEN = ("Better", "Worse", "NotBetter", "Recommended", "Invalid")


@dataclass(frozen=True)
class Change:
    """One thing to tell. `subject` is a finding's type or `challenger/<name>/<version>`."""

    subject: str
    state: str
    kind: Literal["Finding", "Decision"]
    severity: Severity
    over: bool
    """A finding that was told has ended."""
    title: str
    text: str


def changes(evidence: DeploymentEvidence, told: Told, minimum: Severity) -> list[Change]:
    """In the order of the findings, then of the challengers. Unknown is no state: it neither begins nor ends anything."""
    return [*_findings(evidence, told, minimum), *_decisions(evidence, told)]


def _findings(evidence: DeploymentEvidence, told: Told, minimum: Severity) -> list[Change]:
    found = []
    for one in evidence.findings:
        before = told.get(one.type, "")
        if one.status == "True":
            severity: Severity = one.severity if one.severity != "None" else "Warning"
            loud = SEVERITIES.index(severity) >= SEVERITIES.index(minimum)
            if loud and before != severity:
                found.append(Change(one.type, severity, "Finding", severity, False, _begins(one.reason), one.message))
        elif one.status == "False" and before:
            found.append(Change(one.type, "", "Finding", "None", True, f"{_begins(one.type)} is over", one.message))
    return found


def _decisions(evidence: DeploymentEvidence, told: Told) -> list[Change]:
    found = []
    for one in evidence.challengers:
        subject = f"challenger/{one.name}/{one.version}"
        if one.decision not in _SPOKEN or told.get(subject) == one.decision:
            continue
        numbers = ""
        if one.improvement is not None and one.low is not None and one.high is not None:
            numbers = (
                f": {one.metric} improves by {one.improvement:.4g} [{one.low:.4g}, {one.high:.4g}] over {one.units} units"
            )
        text = f"challenger {one.name} ({one.version}): {_begins(one.decision).lower()}{numbers}"
        text += f". {' '.join(one.reasons)}" if one.reasons else ""
        severity: Severity = "Warning" if one.decision == "Invalid" else "None"
        found.append(Change(subject, one.decision, "Decision", severity, False, f"Decision: {one.decision}", text))
    return found


def _begins(word: str) -> str:
    """`DriftDetected` as `Drift detected`."""
    spaced = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in word).strip()
    return spaced[:1].upper() + spaced[1:]
