"""Which Events a change of status is worth: refusals, swaps, decisions, findings. Pure.

Told on a transition only, and by what status said before: another leader tells nothing twice.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from podium_crds.v1alpha1.model_deployment import ChallengerStatus, ModelDeploymentStatus
from podium_operator.conditions import STALLED, find, is_true
from podium_operator.deployments.evidence import FINDINGS, is_decided

_OVER = {
    "DriftDetected": "DriftEnded",
    "PerformanceDegraded": "PerformanceRestored",
    "FairnessDegraded": "FairnessRestored",
    "LabelsLate": "LabelsArrived",
    "BusinessValueLow": "BusinessValueRestored",
}
_BAD_DECISIONS = ("Worse", "Invalid")


@dataclass(frozen=True)
class Told:
    """An Event. `reason` and `action`: one CamelCase word; `message`: a sentence."""

    reason: str
    message: str
    type: Literal["Normal", "Warning"] = "Normal"
    action: str = "Swap"


def events(before: ModelDeploymentStatus, after: ModelDeploymentStatus, *, champion_refused: bool) -> list[Told]:
    """`champion_refused`: the wished one, while another goes on serving."""
    return [
        *_trouble(before, after, champion_refused),
        *_swaps(before, after),
        *_decisions(before, after),
        *_findings(before, after),
    ]


def _trouble(before: ModelDeploymentStatus, after: ModelDeploymentStatus, champion_refused: bool) -> Iterator[Told]:
    stalled, earlier = find(after.conditions, STALLED), find(before.conditions, STALLED)
    if stalled is not None and (earlier is None or (earlier.reason, earlier.message) != (stalled.reason, stalled.message)):
        # A refused champion by its name among the events of a swap; anything else by its own reason.
        reason = "SwapRefused" if champion_refused else stalled.reason
        yield Told(reason, f"{stalled.reason}: {stalled.message}", "Warning")


def _swaps(before: ModelDeploymentStatus, after: ModelDeploymentStatus) -> Iterator[Told]:
    newest = after.last_swap
    if newest is not None and newest != before.last_swap:
        yield Told(
            "Swapped",
            f"version '{newest.to_version}' took over from '{newest.from_version}' on {newest.pods} pods, "
            f"flipped within {newest.flip_milliseconds} ms",
        )


def _decisions(before: ModelDeploymentStatus, after: ModelDeploymentStatus) -> Iterator[Told]:
    earlier = {(item.name, item.digest): item.decision for item in before.challengers}
    for item in after.challengers:
        last = earlier.get((item.name, item.digest))
        # That nothing is decided is worth an Event only where something was.
        if item.decision not in (None, last) and (is_decided(item.decision) or is_decided(last)):
            yield _decided(item)


def _decided(item: ChallengerStatus) -> Told:
    message = f"challenger '{item.name}' with version '{item.model_version}': {item.evidence or item.decision}"
    return Told(
        f"Challenger{item.decision}", message, "Warning" if item.decision in _BAD_DECISIONS else "Normal", "Evaluate"
    )


def _findings(before: ModelDeploymentStatus, after: ModelDeploymentStatus) -> Iterator[Told]:
    for type_ in FINDINGS:
        found, was_true = find(after.conditions, type_), is_true(before.conditions, type_)
        if found is None:
            continue
        if found.status == "True" and not was_true:
            yield Told(type_, f"{found.reason}: {found.message}", "Warning", "Evaluate")
        elif found.status == "False" and was_true:
            yield Told(_OVER[type_], found.message or found.reason, "Normal", "Evaluate")
