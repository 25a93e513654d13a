"""Which Events a change of status is worth."""

from typing import Any

import pytest

from podium_crds.v1alpha1.meta import Condition
from podium_crds.v1alpha1.model_deployment import ChallengerStatus, LastSwap, ModelDeploymentStatus
from podium_operator.deployments.telling import Told, events

SWAP = LastSwap(from_version="churn-3", to_version="churn-4", at="2026-11-21T12:00:00Z", pods=3, flip_milliseconds=2)


def status(
    *conditions: tuple[str, str], decision: Any = None, digest: str = "sha256:5", **changed: Any
) -> ModelDeploymentStatus:
    challenger = ChallengerStatus(
        name="neural-net",
        model_version="churn-5",
        digest=digest,
        mode="Shadow",
        state="Serving",
        decision=decision,
        evidence="a sentence" if decision else None,
    )
    found = [
        Condition.model_validate(
            {"type": type_, "status": is_so, "lastTransitionTime": "", "reason": "Why", "message": "how it is"}
        )
        for type_, is_so in conditions
    ]
    return ModelDeploymentStatus(conditions=found, challengers=[challenger], **changed)


def decided(decision: str, type_: Any = "Normal") -> Told:
    message = "challenger 'neural-net' with version 'churn-5': a sentence"
    return Told(f"Challenger{decision}", message, type_, "Evaluate")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param(status(), status(), [], id="nothing changed"),
        pytest.param(status(), status(decision="NotEnoughData"), [], id="the first figures"),
        pytest.param(status(decision="NotEnoughData"), status(decision="Undecided"), [], id="more figures"),
        pytest.param(status(decision="Undecided"), status(decision="Better"), [decided("Better")], id="better"),
        pytest.param(status(decision="Better"), status(decision="Better"), [], id="better still"),
        pytest.param(status(decision="Undecided"), status(decision="Worse"), [decided("Worse", "Warning")], id="worse"),
        pytest.param(
            status(decision="Undecided"), status(decision="Invalid"), [decided("Invalid", "Warning")], id="invalid"
        ),
        pytest.param(status(decision="Invalid"), status(decision="Undecided"), [decided("Undecided")], id="taken back"),
        pytest.param(
            status(decision="Better", digest="sha256:4"),
            status(decision="Better"),
            [decided("Better")],
            id="another one",
        ),
        pytest.param(status(decision="Better"), status(), [], id="evidence went away: the monitor was turned off"),
        pytest.param(
            status(("DriftDetected", "False")),
            status(("DriftDetected", "True")),
            [Told("DriftDetected", "Why: how it is", "Warning", "Evaluate")],
            id="drift",
        ),
        pytest.param(status(("DriftDetected", "True")), status(("DriftDetected", "True")), [], id="drift as before"),
        pytest.param(status(("DriftDetected", "True")), status(("DriftDetected", "Unknown")), [], id="nobody knows"),
        pytest.param(
            status(("PerformanceDegraded", "True")),
            status(("PerformanceDegraded", "False")),
            [Told("PerformanceRestored", "how it is", "Normal", "Evaluate")],
            id="well again",
        ),
        pytest.param(status(), status(("LabelsLate", "False")), [], id="looked at, and good"),
        pytest.param(
            status(),
            status(("Stalled", "True")),
            [Told("Why", "Why: how it is", "Warning")],
            id="a person is needed",
        ),
        pytest.param(
            status(),
            status(last_swap=SWAP),
            [Told("Swapped", "version 'churn-4' took over from 'churn-3' on 3 pods, flipped within 2 ms")],
            id="a swap",
        ),
    ],
)
def test_only_a_transition_is_told(before: ModelDeploymentStatus, after: ModelDeploymentStatus, told: list[Told]) -> None:
    assert events(before, after, champion_refused=False) == told


def test_a_refused_champion_is_told_among_the_swaps() -> None:
    [told] = events(status(), status(("Stalled", "True")), champion_refused=True)
    assert (told.reason, told.message) == ("SwapRefused", "Why: how it is")
