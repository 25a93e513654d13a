"""What an evaluation means, as conditions: what was looked at and is not so, what is, and what cannot be said."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation_fixtures import HOUR, LakeFolder, Rows, evaluations_of, rows, watched
from podium_crds.evidence import Finding
from podium_evaluation.documents import DeploymentEvaluation
from podium_monitor.evaluations.findings import findings, severity_number

MONITORING: dict[str, Any] = {
    "performance": [{"metric": "Auc", "minimum": "0.8"}],
    "fairness": {"protected": ["region"], "minimumRatio": "0.5"},
    "labels": {"lateAfterSeconds": 3600, "minimumCoverage": "0.8"},
    "business": [{"name": "money", "expression": "if(prediction = label, 1, -2)", "minimum": "0", "unit": "EUR"}],
    "drift": {"windowSeconds": 3600},
}


def evaluated(lake: LakeFolder, **monitoring: Any) -> DeploymentEvaluation | None:
    with evaluations_of(lake) as evaluate:
        return evaluate(watched(**(monitoring or MONITORING)))


def by_type(found: list[Finding]) -> dict[str, Finding]:
    return {one.type: one for one in found}


@pytest.fixture
def lake(tmp_path: Path) -> LakeFolder:
    made = LakeFolder(tmp_path)
    made.put_reference(rows(6000, 1))
    return made


def put(lake: LakeFolder, found: Rows, hours: int, key: str, labelled: int | None = None) -> None:
    at = HOUR + timedelta(hours=hours)
    keys = lake.put_predictions(found, at, key=key)
    lake.put_labels(keys[:labelled], found.truth.tolist()[:labelled], at + timedelta(minutes=50))


def test_a_deployment_of_which_nothing_is_known() -> None:
    found = findings(watched(**MONITORING), None)
    assert {one.status for one in found} == {"Unknown"}
    assert {one.type for one in found} == {
        "DriftDetected",
        "PerformanceDegraded",
        "FairnessDegraded",
        "LabelsLate",
        "BusinessValueLow",
    }


def test_what_was_not_asked_for_is_not_told() -> None:
    assert [one.type for one in findings(watched(), None)] == ["DriftDetected", "PerformanceDegraded"]


def test_a_model_that_does_as_it_did(lake: LakeFolder) -> None:
    for hour in range(3):
        put(lake, rows(2000, 10 + hour), hour, f"h{hour}")
    found = by_type(findings(watched(**MONITORING), evaluated(lake)))
    assert {kind: one.status for kind, one in found.items()} == dict.fromkeys(found, "False")
    assert [severity_number(one) for one in found.values()] == [0] * 5
    assert found["DriftDetected"].message == "none of 6 columns drifted in 2000 rows"


def test_a_unit_that_changed_and_what_it_does_to_performance(lake: LakeFolder) -> None:
    put(lake, rows(2000, 10), 0, "a")
    put(lake, rows(2000, 11, unit=60.0), 24, "b")
    document = evaluated(lake)
    found = by_type(findings(watched(**MONITORING), document))
    drift, performance = found["DriftDetected"], found["PerformanceDegraded"]
    assert (drift.status, drift.severity, drift.since) == ("True", "Critical", HOUR + timedelta(hours=24))
    assert "tenure (PSI" in drift.message
    assert (performance.status, performance.severity) == ("True", "Critical")
    assert found["BusinessValueLow"].status == "True"
    assert document is not None
    assert any("60 times" in one and "tenure" in one for one in document.diagnosis), document.diagnosis
    assert any(one.kind == "Drift" and "tenure" in one.text for one in document.timeline)


def test_a_concept_that_changed_without_drift(lake: LakeFolder) -> None:
    put(lake, rows(3000, 10, noise=0.4), 0, "a")
    found = by_type(findings(watched(**MONITORING), evaluated(lake)))
    assert found["DriftDetected"].status == "False"
    assert found["PerformanceDegraded"].status == "True"


def test_a_model_better_than_usual_is_no_trouble(lake: LakeFolder) -> None:
    found = rows(3000, 10)
    put(lake, Rows(found.frame, np.where(found.truth, 0.98, 0.02), found.truth), 0, "a")
    document = evaluated(lake)
    assert document is not None
    assert document.arms[0].days[0].performance["accuracy"].alert
    assert by_type(findings(watched(**MONITORING), document))["PerformanceDegraded"].status == "False"


def test_labels_that_should_have_come(lake: LakeFolder) -> None:
    put(lake, rows(500, 10), 0, "a", labelled=100)
    put(lake, rows(500, 11), 5, "b", labelled=100)
    found = by_type(findings(watched(**MONITORING), evaluated(lake)))["LabelsLate"]
    assert (found.status, found.severity) == ("True", "Warning")
    assert found.message == "20 % of predictions older than 3600 s have labels, at least 80 % should"


def test_groups_that_are_not_treated_alike(lake: LakeFolder) -> None:
    found = rows(3000, 10)
    biased = np.where(found.frame["region"] == "north", 0.05, found.score)
    put(lake, Rows(found.frame, biased, found.truth), 0, "a")
    finding = by_type(findings(watched(**MONITORING), evaluated(lake)))["FairnessDegraded"]
    assert (finding.status, finding.severity) == ("True", "Critical")
    assert "region 0.00, minimum 0.5" in finding.message


def test_money_and_statistics_that_disagree_are_reported_so(lake: LakeFolder) -> None:
    put(lake, rows(3000, 10), 0, "a")
    monitoring = {"business": [{"name": "money", "expression": "if(prediction = label, 1, -9)", "minimum": "0"}]}
    document = evaluated(lake, **monitoring)
    assert document is not None
    [sentence] = [one for one in document.diagnosis if "money" in one]
    assert sentence.endswith("below it, though every statistical figure is within its bounds")


def test_a_document_is_kept_and_only_what_changed_is_computed_again(lake: LakeFolder) -> None:
    put(lake, rows(800, 10), 0, "a")
    put(lake, rows(800, 11), 1, "b")
    with evaluations_of(lake) as evaluate:
        first = evaluate(watched(), HOUR + timedelta(hours=3))
        again = evaluate(watched(), HOUR + timedelta(hours=3, minutes=1))
        assert again == first
        put(lake, rows(800, 12), 2, "c")
        third = evaluate(watched(), HOUR + timedelta(hours=4))
        other = evaluate(watched(drift={"windowSeconds": 3600}), HOUR + timedelta(hours=5))
    assert first is not None
    assert third is not None
    assert other is not None
    assert third.arms[0].hours[:2] == first.arms[0].hours
    assert [arm.days[0].rows for arm in third.arms] == [2400]
    assert third.arms[0].current is not None
    assert other.arms[0].current is not None
    assert (third.arms[0].current.rows, other.arms[0].current.rows) == (2400, 800)
    with evaluations_of(lake) as evaluate:  # another process finds the same
        assert evaluate(watched(), HOUR + timedelta(hours=6)) is not None
    assert third.arms[0].histograms[0].names[-1] == "missing"
    assert third.arms[0].roc is not None


def test_labels_that_come_a_day_late_explain_the_day_that_they_are_of(lake: LakeFolder) -> None:
    for day in range(3):
        at = HOUR + timedelta(days=day)
        keys = lake.put_predictions(rows(2000, 10 + day, noise=0.4 * (day == 1)), at, key=f"d{day}")
        if day < 2:
            truth = rows(2000, 10 + day, noise=0.4 * (day == 1)).truth.tolist()
            lake.put_labels(keys, truth, at + timedelta(hours=20))
    with evaluations_of(lake) as evaluate:
        document = evaluate(watched(**MONITORING), HOUR + timedelta(days=2, hours=2))
    assert document is not None
    assert document.arms[0].days[-1].performance == {}
    assert any(one.startswith("accuracy fell to") and "since 2026-11-22" in one for one in document.diagnosis)
    assert any("decisions are wrong where" in one for one in document.diagnosis)
    assert document.label_delay_p50_seconds == pytest.approx(20 * 3600, rel=0.05)
    found = by_type(findings(watched(**MONITORING), document))
    assert found["PerformanceDegraded"].status == "True"
    assert found["LabelsLate"].status == "False"
