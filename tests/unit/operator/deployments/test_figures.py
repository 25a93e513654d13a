"""What status says, as metrics."""

from datetime import UTC, datetime

from deployment_fixtures import OWNER, observed, plan
from podium_operator.deployments.figures import forget, show
from podium_operator.deployments.status import Outcome, status_for
from podium_operator.deployments.steps import Settled
from podium_operator.deployments.wish import Wish
from podium_operator.kinds import Key
from podium_operator.runtime.metrics import Metrics

CHURN = Key("ModelDeployment", OWNER.namespace, OWNER.name)
LABELS = {"namespace": OWNER.namespace, "deployment": OWNER.name}


def conditions(metrics: Metrics) -> list[float | None]:
    return [
        metrics.registry.get_sample_value("podium_operator_condition", {**LABELS, "type": type_})
        for type_ in ("Ready", "Reconciling", "Stalled")
    ]


def test_what_status_says_is_a_figure_until_the_deployment_goes() -> None:
    metrics = Metrics()
    forget(metrics, CHURN)
    committed = plan("churn-3", epoch=4)
    outcome = Outcome(Settled())
    show(metrics, CHURN, status_for(observed(committed), Wish(committed, None), outcome, datetime(2026, 11, 21, tzinfo=UTC)))
    assert conditions(metrics) == [1, 0, 0]
    assert metrics.registry.get_sample_value("podium_operator_champion_pods", LABELS) == 2
    forget(metrics, CHURN)
    assert conditions(metrics) == [None, None, None]
    assert metrics.registry.get_sample_value("podium_operator_champion_pods", LABELS) is None
