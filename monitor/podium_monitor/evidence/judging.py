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
from podium_evaluation.evidence import assigned_thresholds, hidden, is_enough, missing_units
from podium_evaluation.sample_ratio import log_e_value
from podium_evaluation.sequences import half_widths
from podium_monitor.evidence.counted import CHALLENGER
from podium_monitor.evidence.counting import segments_of
from podium_monitor.evidence.holding import Covered
from podium_monitor.evidence.ledger import CHAMPION, Trial
from podium_monitor.evidence.reading import LATE
from podium_monitor.evidence.standing import COVERAGE_ALPHA, Point, State, thresholds
from podium_monitor.evidence.waiting import low_coverage, not_yet, too_late

COVERAGE_TOLERANCE = 0.01
"""Arms whose label coverage differs by more than this beyond doubt are not compared."""
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
    low = low_coverage(trial, state)
    if low:
        return "NotEnoughData", low
    if verdict is None:
        lacks = missing_units(state.standing.tally, thresholds(trial, question.metric))
        held = [*([f"there are {', '.join(lacks)}"] if lacks else []), *not_yet(trial, state)]
        return ("NotEnoughData", held) if held else ("Undecided", _hidden(trial, state))
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
    reasons = too_late(trial, state)
    if trial.question.mode == "Shadow":
        return reasons
    if state.mismatch:
        old, new = (sum(counts[arm] for counts in state.segments.values()) for arm in (0, 1))
        reasons.append(
            f"sample-ratio mismatch: {old} units at the champion and {new} at the challenger are not as plans split "
            "them; look for clients that give up on one arm, and for rows of one arm that were lost on their way"
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


def _hidden(trial: Trial, state: State) -> list[str]:
    """Bounds that exclude the minimum are no verdict while losses that nobody has seen yet could bring it back."""
    last, least = state.last, trial.question.minimum_improvement
    if last is None or last.low <= least <= last.high:
        return []
    reach, gap = state.standing.reach, max(last.low - least, least - last.high)
    units = int(np.ceil(reach * -np.log(trial.alpha) / gap))
    if units <= last.units:
        return ["the next unit that counts decides"]
    few = f"a unit may differ by up to {reach:.3g}, and a few such units that have not come yet could turn it"
    return [f"the bounds are beyond the minimum improvement, but {few}; as things stand, {units} units settle that"]


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
    enough = is_enough(kept.standing.tally, thresholds(trial, rail.loss or ""))
    enough = enough and not low_coverage(trial, state) and not not_yet(trial, state)
    unseen = hidden(kept.standing, alpha)
    running, tuned_for = kept.standing.running, trial.tuned_for_units
    return rails.loss_increase(running, alpha, bound, enough=enough, hidden=unseen, tuned_for=tuned_for)


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
