"""What happened to a deployment, and when: read off its days. Pure."""

from collections.abc import Callable, Iterator

from podium_crds.evidence import ChallengerEvidence, DeploymentEvidence
from podium_evaluation.documents import Arm, DeploymentEvaluation, Happening, Severity, Window
from podium_monitor.evaluations.daily import DRIFTED

_MOST = 200
_MOST_NAMED = 5


def timeline_of(document: DeploymentEvaluation, evidence: DeploymentEvidence | None = None) -> list[Happening]:
    """Versions that came and went, alerts that began and ended, and verdicts on challengers; the newest first."""
    found = [one for challenger in (evidence.challengers if evidence else ()) for one in _verdict(challenger)]
    newest = max((arm.days[-1].start for arm in document.arms if arm.days), default=None)
    for arm in document.arms:
        if not arm.days:
            continue
        named = f"{arm.version} as {arm.role.lower()}" + ("" if arm.name in (arm.version, "champion") else f" {arm.name}")
        first = arm.hours[0].start if arm.hours and arm.hours[0].start >= arm.days[0].start else arm.days[0].start
        found.append(Happening(first, "Version", f"{named} was seen first"))
        if newest is not None and arm.days[-1].start < newest:
            found.append(Happening(arm.days[-1].end, "Version", f"{named} was seen last"))
        found += _changes(arm, named)
    return sorted(found, key=lambda happening: happening.at, reverse=True)[:_MOST]


def _verdict(one: ChallengerEvidence) -> Iterator[Happening]:
    """At the look that decided, or at the newest."""
    if one.decision in ("NotEnoughData", "Undecided") or not one.path:
        return
    decided = [look for look in one.path if one.decided_at_units is not None and look.units >= one.decided_at_units]
    look = (decided or one.path[-1:])[0]
    severity: Severity = "Warning" if one.decision in ("Worse", "Invalid") else "None"
    text = f"{one.version} as {one.name}: {one.decision} by {one.metric}"
    if one.low is not None and one.high is not None:
        text += f", improvement {one.improvement:.4g} [{one.low:.4g}, {one.high:.4g}] after {one.units} units"
    yield Happening(look.at, "Evidence", text, severity)


def _changes(arm: Arm, named: str) -> Iterator[Happening]:
    yield from _spans(arm, "Drift", _drifted, lambda names: f"{named}: {names} drifted", f"{named}: drift ended")
    yield from _spans(
        arm,
        "Performance",
        _left_usual,
        lambda names: f"{named}: {names} left the usual range",
        f"{named}: performance is usual again",
    )
    yield from _spans(
        arm,
        "Fairness",
        _unfair,
        lambda names: f"{named}: groups of {names} are not treated alike",
        f"{named}: fairness is within bounds again",
    )


def _drifted(window: Window) -> dict[str, bool] | None:
    both = {**window.drift, **window.prediction_drift}
    return {name: both[name].severity == "Critical" for name in both if both[name].alert} if both else None


def _left_usual(window: Window) -> dict[str, bool] | None:
    return {name: True for name, figure in window.performance.items() if figure.alert} if window.performance else None


def _unfair(window: Window) -> dict[str, bool] | None:
    return {one.column: True for one in window.fairness if one.alert} if window.fairness else None


def _spans(
    arm: Arm,
    kind: str,
    alarming: Callable[[Window], dict[str, bool] | None],
    begins: Callable[[str], str],
    ended: str,
) -> Iterator[Happening]:
    """A day of which nothing can be said, for its labels have not come, ends nothing."""
    before: set[str] = set()
    for window in arm.days:
        now = alarming(window)
        if now is None:
            continue
        new = sorted(set(now) - before)
        if new:
            names = ", ".join(new[:_MOST_NAMED]) + (f" and {len(new) - _MOST_NAMED} more" if len(new) > _MOST_NAMED else "")
            critical = any(now[name] for name in new)
            why = _why(window, new) if kind == "Drift" else ""
            severity: Severity = "Critical" if critical else "Warning"
            yield Happening(window.start, kind, begins(names) + why, severity)  # type: ignore[arg-type]  # one of the kinds
        elif before and not now:
            yield Happening(window.start, kind, ended)  # type: ignore[arg-type]
        before = set(now)


def _why(window: Window, columns: list[str]) -> str:
    """What the day says of the first of them that it explains."""
    for sentence in window.diagnosis:
        name, drifted, rest = sentence.partition(DRIFTED)
        if drifted and name in columns:
            return f"; {name}: {rest.partition('): ')[2]}"
    return ""
