"""What is told of a trial: the verdict of its metric, what stands against using it, and the figures behind both. Pure.

The metric's first verdict stays for ever. What is told follows from it and from what is so now: evidence that cannot be used
is Invalid although it was Better, and a guardrail that is broken keeps a better challenger back as long as it is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from podium_crds.evidence import ChallengerEvidence, Decision, GuardrailState, Look, SampleRatio
from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec
from podium_crds.v1alpha1.monitoring import Guardrail
from podium_evaluation import guardrails as rails
from podium_evaluation.evidence import assigned_thresholds, is_enough, missing_units
from podium_evaluation.sample_ratio import log_e_value
from podium_evaluation.sequences import half_widths
from podium_monitor.evidence.counted import CHALLENGER, CLASS_LOSSES
from podium_monitor.evidence.counting import segments_of
from podium_monitor.evidence.ledger import CHAMPION, Trial
from podium_monitor.evidence.reading import LATE
from podium_monitor.evidence.standing import COVERAGE_ALPHA, Covered, Point, State, thresholds

COVERAGE_TOLERANCE = 0.01
"""Arms whose label coverage differs by more than this beyond doubt are not compared."""
MOST_LATE = 0.05
"""Of the labels that count, after the horizon."""
FEWEST_JUDGED_LATE = 100
"""Units."""
_MOST_LOG = 700.0


def told(trial: Trial, state: State, spec: ModelDeploymentSpec, notes: Sequence[str]) -> ChallengerEvidence:
    """`notes`: what kept rows from being counted."""
    question = trial.question
    judged = [guardrail_state(rail, trial, state, len(spec.promotion.guardrails)) for rail in spec.promotion.guardrails]
    decision, reasons = _decision(trial, state, spec, judged)
    verdict = state.standing.verdict
    last = state.last
    names = {CHAMPION: CHAMPION, CHALLENGER: question.name}
    return ChallengerEvidence(
        name=question.name,
        version=question.version,
        digest=question.digest,
        mode=question.mode,
        nth=trial.nth,
        metric=question.metric,
        minimum_improvement=question.minimum_improvement,
        alpha=trial.alpha,
        tuned_for_units=trial.tuned_for_units,
        horizon_seconds=question.horizon_seconds,
        units=state.standing.running.units,
        coverage={names[arm]: _share(found) for arm, found in state.coverage.items() if found.units},
        improvement=last.improvement if last else None,
        low=last.low if last else None,
        high=last.high if last else None,
        decision=decision,
        decided_at_units=verdict.units if verdict else None,
        reasons=[*reasons, *notes, *(f"{count} rows do not count: {why}" for why, count in state.left_out.items())],
        guardrails=judged,
        sample_ratio=_sample_ratio(trial, state),
        path=[_look(point) for point in _path(state)],
        data=_data(trial, state),
    )


def _path(state: State) -> list[Point]:
    last = state.last
    return state.path if last is None or (state.path and state.path[-1].units == last.units) else [*state.path, last]


def _look(point: Point) -> Look:
    return Look(units=point.units, at=point.at, improvement=point.improvement, low=point.low, high=point.high)


def _share(found: Covered) -> float:
    """At most 1: of a key the shadow may fail the first request and answer a later one."""
    return min(1.0, found.labelled / found.units) if found.units else 0.0


def _decision(
    trial: Trial, state: State, spec: ModelDeploymentSpec, judged: Sequence[GuardrailState]
) -> tuple[Decision, list[str]]:
    """The first rule that fits wins."""
    question, verdict = trial.question, state.standing.verdict
    invalid = _invalid(trial, state)
    if invalid:
        return "Invalid", invalid
    least = float(spec.monitoring.labels.minimum_coverage)
    low = _low_coverage(trial, state, least)
    if low:
        return "NotEnoughData", low
    if verdict is None:
        asked = thresholds(trial, classes=question.metric in CLASS_LOSSES)
        lacks = missing_units(state.standing.tally, asked)
        return ("NotEnoughData", [f"there are {', '.join(lacks)}"]) if lacks else ("Undecided", [])
    selective = spec.monitoring.labels.selective == "DecisionHidesOutcome"
    partial = selective and not (question.mode == "Canary" and question.metric == "Value")
    if verdict.decision.value != "Better":
        if partial:
            said = "worse" if verdict.decision.value == "Worse" else "not better"
            return "Undecided", [f"it is {said} on the labels that there are, which the champion's decisions selected"]
        return ("Worse" if verdict.decision.value == "Worse" else "NotBetter"), []
    broken = [state.name for state in judged if state.state == "Broken"]
    if broken:
        return "NotBetter", [f"the metric is better, but guardrail {name} is broken" for name in broken]
    open_rails = [f"guardrail {state.name} is not decided yet" for state in judged if state.state == "NotEnoughData"]
    if partial:
        return "Recommended", ["labels are there for what the decisions let happen only: people decide", *open_rails]
    return "Better", open_rails


def _invalid(trial: Trial, state: State) -> list[str]:
    question, reasons = trial.question, _too_late(trial, state)
    if question.mode == "Shadow":
        return reasons
    if question.unit == "Unknown":
        reasons.append(
            "units cannot be told apart: the header of stickyBy is not captured; set capture.joinKey.type to Sticky"
        )
    if state.mismatch:
        old, new = (sum(counts[arm] for counts in state.segments.values()) for arm in (0, 1))
        reasons.append(
            f"sample-ratio mismatch: {old} units at the champion and {new} at the challenger are not as the plan split "
            "them; look for requests that name a version (they are not split) and for clients that give up on one arm"
        )
    tally = state.labelled.tally
    if is_enough(tally, assigned_thresholds(classes=False)):
        running = state.labelled.running
        deviation = np.sqrt(max(0.0, running.squares / running.units - (running.total / running.units) ** 2))
        half = float(half_widths(deviation, running.units, COVERAGE_ALPHA))
        if abs(running.mean) - half > COVERAGE_TOLERANCE:
            reasons.append(
                f"label coverage of the arms differs by {100 * abs(running.mean):.1f} points: whether a label comes "
                "depends on the arm, so labelled units of the arms are not alike"
            )
    return reasons


def _too_late(trial: Trial, state: State) -> list[str]:
    """Where labels of one class take longer than the horizon, units of the other are counted first: false verdicts are then
    the rule, not the exception (docs/guide/evidence.md has the numbers)."""
    units, late = state.standing.running.units, state.late_units
    if units < FEWEST_JUDGED_LATE or late <= MOST_LATE * units:
        return []
    said = f"{100 * late / units:.1f} % of the labels came after the horizon of {trial.question.horizon_seconds} s"
    why = "what is known early may be of one kind only"
    return [f"{said}: {why}; set monitoring.labels.horizonSeconds to when labels of every kind have come"]


def _low_coverage(trial: Trial, state: State, least: float) -> list[str]:
    """Below `monitoring.labels.minimumCoverage` those with a label may be anybody."""
    units, labelled = (sum(getattr(found, name) for found in state.coverage.values()) for name in ("units", "labelled"))
    if not units or labelled / units >= least:
        return []
    share = 100 * labelled / units
    asked = f"monitoring.labels.minimumCoverage ({100 * least:g} %)"
    return [f"{share:.1f} % of the units that are older than the horizon have a label, fewer than {asked}"]


def guardrail_state(rail: Guardrail, trial: Trial, state: State, count: int) -> GuardrailState:
    """All guardrails together are wrong with the trial's alpha at most."""
    alpha = trial.alpha / max(1, count)
    bound = float((rail.minimum if rail.type == "SelectionRateRatio" else rail.maximum_increase) or 0)
    judged = _judged(rail, trial, state, alpha, bound)
    finite = {name: _finite(getattr(judged, name)) for name in ("value", "low", "high")}
    return GuardrailState(name=rail.name, type=rail.type, state=judged.state, bound=bound, message=judged.message, **finite)


def _judged(rail: Guardrail, trial: Trial, state: State, alpha: float, bound: float) -> rails.Judgement:
    if rail.type == "ErrorRate":
        return rails.error_rate(*state.failures, alpha, bound)
    if rail.type == "P99":
        if trial.question.mode == "Shadow":
            return rails.Judgement("NotEnoughData", message="nobody waits for a shadow: its time is not compared")
        arms = [state.latencies.get(arm, rails.Latencies()) for arm in (CHAMPION, CHALLENGER)]
        return rails.p99(arms[0], arms[1], alpha, bound)
    if rail.type == "SelectionRateRatio":
        return rails.selection_rate_ratio(state.selected.get(rail.column or "", {}), alpha, bound)
    kept = state.losses.get(rail.loss or "")
    if kept is None:
        return rails.Judgement("NotEnoughData", message="no labelled unit yet")
    asked = thresholds(trial, classes=rail.loss in CLASS_LOSSES)
    enough = is_enough(kept.standing.tally, asked)
    return rails.loss_increase(kept.standing.running, alpha, bound, enough=enough, tuned_for=trial.tuned_for_units)


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None


def _sample_ratio(trial: Trial, state: State) -> SampleRatio | None:
    if trial.question.mode == "Shadow" or not state.segments:
        return None
    segments = segments_of(state)
    name = trial.question.name
    observed = [sum(segment.observed[arm] for segment in segments) for arm in (0, 1)]
    expected = [sum(sum(segment.observed) * segment.shares[arm] for segment in segments) for arm in (0, 1)]
    return SampleRatio(
        expected={CHAMPION: expected[0], name: expected[1]},
        observed={CHAMPION: observed[0], name: observed[1]},
        e_value=float(np.exp(min(log_e_value(segments), _MOST_LOG))),
        mismatch=state.mismatch,
    )


def _data(trial: Trial, state: State) -> Mapping[str, Any]:
    """`recomputed` in updating takes it and the lake, and comes to the same."""
    return {
        "trial": msgspec.to_builtins(trial),
        "begins_at": trial.begins_at.isoformat(),
        "watermark": state.watermark.isoformat(),
        "late_seconds": int(LATE.total_seconds()),
        "order": "known_at, time, event_id",
        "tables": ["predictions", "shadows", "labels"] if trial.question.mode == "Shadow" else ["predictions", "labels"],
        "rows": state.rows,
        "failed_units": list(state.failures),
        "fingerprint": f"{state.fingerprint:016x}",
    }
