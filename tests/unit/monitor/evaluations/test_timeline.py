"""What happened and when, read off days and verdicts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from podium_crds.evidence import ChallengerEvidence, DeploymentEvidence, Look
from podium_evaluation.documents import Arm, ColumnDrift, DeploymentEvaluation, Figure, Window
from podium_monitor.evaluations.timeline import timeline_of

START = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def day(number: int, *drifted: str, accuracy_alert: bool = False) -> Window:
    start = START + number * DAY
    drift = {name: ColumnDrift(psi=0.3, severity="Critical", alert=True) for name in drifted}
    drift["quiet"] = ColumnDrift(psi=0.01)
    performance = {"accuracy": Figure(0.8, alert=accuracy_alert)}
    return Window(start, start + DAY, 100, 50, performance=performance, drift=drift)


def told(*arms: Arm, evidence: DeploymentEvidence | None = None) -> list[tuple[int, str, str, str]]:
    document = DeploymentEvaluation("shop", "churn", "uid", START, arms=list(arms))
    found = timeline_of(document, evidence)
    return [((one.at - START).days, one.kind, one.text, one.severity) for one in found]


def test_drift_begins_grows_and_ends() -> None:
    arm = Arm("champion", "churn-3", "Champion", days=[day(0), day(1, "tenure"), day(2, "tenure", "charge"), day(3)])
    assert told(arm) == [
        (3, "Drift", "churn-3 as champion: drift ended", "None"),
        (2, "Drift", "churn-3 as champion: charge drifted", "Critical"),
        (1, "Drift", "churn-3 as champion: tenure drifted", "Critical"),
        (0, "Version", "churn-3 as champion was seen first", "None"),
    ]


def test_a_day_whose_labels_have_not_come_ends_no_trouble() -> None:
    waiting = day(2)
    waiting.performance = {}
    arm = Arm("champion", "churn-3", "Champion", days=[day(0), day(1, accuracy_alert=True), waiting])
    assert [text for _, kind, text, _ in told(arm) if kind == "Performance"] == [
        "churn-3 as champion: accuracy left the usual range"
    ]
    arm.days.append(day(3))
    assert told(arm)[0][2] == "churn-3 as champion: performance is usual again"


def test_a_version_that_is_seen_no_more_was_seen_last() -> None:
    old = Arm("champion", "churn-3", "Champion", days=[day(0), day(1)])
    new = Arm("champion", "churn-4", "Champion", days=[day(2), day(3)])
    assert [(at, text) for at, _, text, _ in told(old, new)] == [
        (2, "churn-3 as champion was seen last"),
        (2, "churn-4 as champion was seen first"),
        (0, "churn-3 as champion was seen first"),
    ]


def test_many_columns_are_named_by_the_first_few() -> None:
    arm = Arm("champion", "churn-3", "Champion", days=[day(0, *(f"c{index}" for index in range(8)))])
    assert told(arm)[1][2] == "churn-3 as champion: c0, c1, c2, c3, c4 and 3 more drifted"


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        pytest.param({"decision": "Undecided"}, [], id="nothing yet"),
        pytest.param(
            {"decision": "Better", "decided_at_units": 1500},
            [(2, "Evidence", "churn-4 as young: Better by LogLoss, improvement 0.02 [0.01, 0.03] after 2000 units", "None")],
            id="at the look that decided",
        ),
        pytest.param(
            {"decision": "Invalid"},
            [
                (
                    3,
                    "Evidence",
                    "churn-4 as young: Invalid by LogLoss, improvement 0.02 [0.01, 0.03] after 2000 units",
                    "Warning",
                )
            ],
            id="no verdict can be taken",
        ),
    ],
)
def test_verdicts(changes: dict[str, Any], found: list[tuple[int, str, str, str]]) -> None:
    path = [
        Look(units=units, at=START + number * DAY, improvement=0.02, low=0.01, high=0.03)
        for number, units in ((1, 1000), (2, 1600), (3, 2000))
    ]
    given: dict[str, Any] = {
        "name": "young",
        "version": "churn-4",
        "digest": "sha256:4",
        "mode": "Shadow",
        "nth": 1,
        "metric": "LogLoss",
        "minimum_improvement": 0.0,
        "alpha": 0.03,
        "tuned_for_units": 1000,
        "horizon_seconds": 0,
        "units": 2000,
        "improvement": 0.02,
        "low": 0.01,
        "high": 0.03,
        "path": path,
    }
    evidence = DeploymentEvidence(
        namespace="shop",
        deployment="churn",
        uid="uid",
        evaluated_at=START,
        challengers=[ChallengerEvidence(**given, **changes)],
    )
    assert told(evidence=evidence) == found
