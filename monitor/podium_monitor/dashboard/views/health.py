"""How a deployment fares, in one word, and why: the worst that is known of it."""

from collections.abc import Iterable

import msgspec

from podium_crds.evidence import Finding, FindingType
from podium_evaluation.documents import Severity
from podium_monitor.world import Watched
from podium_pages.parts import Badge, Level

ORDER: dict[Level, int] = {"Critical": 0, "Warning": 1, "Unknown": 2, "Good": 3}
_WORDS: dict[FindingType, str] = {
    "PerformanceDegraded": "Performance degraded",
    "FairnessDegraded": "Fairness degraded",
    "DriftDetected": "Drift",
    "BusinessValueLow": "Value low",
    "LabelsLate": "Labels late",
}
"""The gravest first."""


class Alarm(msgspec.Struct, omit_defaults=True):
    """A finding that is so."""

    type: FindingType
    severity: Severity
    message: str


def gravest(findings: Iterable[Finding]) -> Alarm | None:
    found = [Alarm(one.type, one.severity, one.message) for one in findings if one.status == "True"]
    return min(found, key=lambda one: (one.severity != "Critical", list(_WORDS).index(one.type)), default=None)


def health(watched: Watched, alarm: Alarm | None, evaluated: bool) -> tuple[Badge, str]:
    """The badge and the sentence behind it, empty where all is well. Serving comes before monitoring: what does not answer
    is worth nothing."""
    serving = _serving(watched)
    if serving is not None and serving[0].level == "Critical":
        return serving
    if alarm is not None:
        level: Level = "Critical" if alarm.severity == "Critical" else "Warning"
        return Badge(level, _WORDS[alarm.type]), alarm.message
    if serving is not None:
        return serving
    if not evaluated:
        return Badge("Unknown", "No data yet"), "Nothing was evaluated yet."
    return Badge("Good", "Healthy"), ""


def _serving(watched: Watched) -> tuple[Badge, str] | None:
    """None when it serves as it should."""
    conditions = {condition.type: condition for condition in watched.status.conditions} if watched.status else {}
    if (stalled := conditions.get("Stalled")) is not None and stalled.status == "True":
        return Badge("Critical", "Stalled"), stalled.message
    ready = conditions.get("Ready")
    if ready is None or ready.status == "Unknown":
        return Badge("Unknown", "Starting"), ready.message if ready else "The operator has not reported on it yet."
    if ready.status == "False":
        return Badge("Critical", "Not ready"), ready.message
    return None
