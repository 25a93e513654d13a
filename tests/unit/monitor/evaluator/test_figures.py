"""What Prometheus is told: no series twice, nothing of a deployment that is gone, nothing that cannot be said."""

from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest

from evaluation_fixtures import watched
from podium_crds.evidence import ChallengerEvidence, DeploymentEvidence, Finding, GuardrailState, SampleRatio
from podium_evaluation.documents import Arm, ColumnDrift, DeploymentEvaluation, Figure, Window
from podium_monitor.evaluator.figures_of import DeploymentFigures
from podium_monitor.world import Watched

AT = datetime(2026, 11, 21, tzinfo=UTC)
ONE = watched()


class World:
    why_not_ready = ""

    def __init__(self) -> None:
        self.there = [ONE]

    def deployments(self) -> list[Watched]:
        return self.there

    def find(self, namespace: str, name: str) -> Watched | None:
        return None


def window(**changes: Any) -> Window:
    return Window(AT, AT, 100, 0, **changes)


def told(figures: DeploymentFigures) -> list[str]:
    registry = CollectorRegistry()
    registry.register(figures)
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_one_version_in_two_arms_of_a_role_is_one_series() -> None:
    arms = [Arm(name, "churn-4", "Canary", current=window()) for name in ("young", "younger")]
    figures = DeploymentFigures(World())
    figures.note(ONE, DeploymentEvaluation("shop", "churn", "uid", AT, arms=arms), [], None)
    assert [line for line in told(figures) if line.startswith("podium_monitor_rows")] == [
        'podium_monitor_rows{deployment="churn",namespace="shop",role="canary",version="churn-4"} 100.0'
    ]


def test_the_fifty_columns_that_drifted_most_are_told_and_what_is_unknown_is_not() -> None:
    drift = {f"c{index}": ColumnDrift(psi=index / 100) for index in range(60)}
    performance = {"auc": Figure(None), "accuracy": Figure(0.9, 0.8, 0.95)}
    arm = Arm("champion", "churn-3", "Champion", current=window(drift=drift, performance=performance))
    figures = DeploymentFigures(World())
    finding = Finding(type="DriftDetected", status="Unknown", reason="NotEnoughData", message="")
    figures.note(ONE, DeploymentEvaluation("shop", "churn", "uid", AT, arms=[arm]), [finding], None)
    lines = told(figures)
    assert sum(line.startswith("podium_monitor_drift_psi") for line in lines) == 50
    assert not any('column="c3"' in line or "finding{" in line for line in lines)
    [accuracy] = [line for line in lines if line.startswith("podium_monitor_performance{")]
    assert 'metric="accuracy"' in accuracy
    assert accuracy.endswith("} 0.9")


def test_evidence_is_told_by_challenger_until_the_deployment_goes() -> None:
    challenger = ChallengerEvidence(
        name="young",
        version="churn-4",
        digest="sha256:4",
        mode="Shadow",
        nth=1,
        metric="LogLoss",
        minimum_improvement=0,
        alpha=0.03,
        tuned_for_units=1000,
        horizon_seconds=0,
        units=12,
        decision="Better",
        guardrails=[GuardrailState(name="slow", type="P99", state="Broken")],
        sample_ratio=SampleRatio(expected={}, observed={}, e_value=1.0, mismatch=False),
    )
    evidence = DeploymentEvidence(namespace="shop", deployment="churn", uid="u", evaluated_at=AT, challengers=[challenger])
    world = World()
    figures = DeploymentFigures(world)
    figures.note(ONE, None, [], evidence)
    place = 'challenger="young",'
    lines = told(figures)
    for wanted in (
        f'podium_monitor_challenger_units{{{place}deployment="churn",namespace="shop"}} 12.0',
        f'podium_monitor_challenger_decision{{{place}decision="Better",deployment="churn",namespace="shop"}} 1.0',
        f'podium_monitor_challenger_guardrail_broken{{{place}deployment="churn",guardrail="slow",namespace="shop"}} 1.0',
        f'podium_monitor_challenger_sample_ratio_mismatch{{{place}deployment="churn",namespace="shop"}} 0.0',
    ):
        assert wanted in lines
    world.there = []
    assert told(figures) == []
