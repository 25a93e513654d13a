"""The whole story, as `make demo` tells it to a newcomer, with its figures asserted."""

from typing import Any

import pytest

pytestmark = pytest.mark.e2e


def test_the_canary_gets_its_share_of_customers_and_no_request_fails(report: dict[str, Any]) -> None:
    arms = report["canary_arms"]
    assert report["canary_failed"] == 0
    assert report["canary_sent"] == sum(arms.values())
    share = arms.get("contract-value", 0) / report["canary_sent"]
    # Customers, not requests, are split: 4 standard deviations of a share of `customers` keys that ask equally often.
    margin = 4 * (0.1 * 0.9 / report["customers"]) ** 0.5
    assert abs(share - 0.1) < margin, arms


def test_a_hot_swap_under_load_loses_nothing_and_only_committed_versions_answer(report: dict[str, Any]) -> None:
    assert report["swap_failed"] == 0
    assert set(report["swap_versions"]) == {"churn-1", "churn-2"}
    assert report["flip_pods"] == 3
    assert report["flip_milliseconds"] <= 20_000  # how fast it is on a free machine, a benchmark measures


def test_broken_versions_are_refused_with_their_reasons(report: dict[str, Any]) -> None:
    assert report["refused_churn-wrong-digest"] == "DigestMismatch"
    assert report["refused_churn-broken"] == "GoldenRowsFailed"


def test_drift_is_found_and_the_challenger_that_bears_it_wins_on_evidence(report: dict[str, Any]) -> None:
    assert report["watched_asked"] == report["watched_labelled"] > 1400
    assert "total_charges" in report["watched_drift"]
    decision = report["watched_decision"]
    assert (decision["name"], decision["decision"]) == ("former", "Better")
    assert decision["labels"] >= 1000
    low, high = (float(bound) for bound in decision["interval"])
    assert 0.01 < low < float(decision["improvement"]) < high


def test_prometheus_fires_the_alert_of_the_drift_and_that_of_the_challenger(report: dict[str, Any]) -> None:
    fired = {alert["name"]: alert for alert in report["watched_alerts"]}
    for name, severity in (("PodiumDriftDetected", "critical"), ("PodiumChallengerBetter", "info")):
        labels = fired[name]["labels"]
        assert (labels["namespace"], labels["deployment"]) == ("podium-demo", "churn")
        assert labels["severity"] == severity
        assert fired[name]["runbook"].endswith(f"#{name.lower()}")
    assert fired["PodiumChallengerBetter"]["labels"]["challenger"] == "former"
