"""What status says, as metrics: an alert needs no access to the API server."""

from podium_crds.v1alpha1.model_deployment import ModelDeploymentStatus
from podium_operator.conditions import READY, RECONCILING, STALLED, is_true
from podium_operator.kinds import Key
from podium_operator.runtime.metrics import Metrics

_SHOWN = (READY, RECONCILING, STALLED)


def show(metrics: Metrics, key: Key, status: ModelDeploymentStatus) -> None:
    labels = (key.namespace, key.name)
    metrics.champion_pods.labels(*labels).set(status.champion.replicas if status.champion else 0)
    for type_ in _SHOWN:
        metrics.condition.labels(*labels, type_).set(is_true(status.conditions, type_))


def forget(metrics: Metrics, key: Key) -> None:
    """It is gone: a figure that stays would alert for ever."""
    labels = (key.namespace, key.name)
    metrics.champion_pods.remove(*labels)
    for type_ in _SHOWN:
        metrics.condition.remove(*labels, type_)
