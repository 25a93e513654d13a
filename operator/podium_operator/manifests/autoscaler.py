"""The HorizontalPodAutoscaler of the champion's pool."""

from podium_crds.v1alpha1.model_deployment import Autoscaling
from podium_operator.kinds import Manifest
from podium_operator.manifests.identity import Owner, Pool, child_metadata


def autoscaler(owner: Owner, pool: Pool, autoscaling: Autoscaling) -> Manifest:
    """It targets the pool that serves; with another pool it moves there."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": child_metadata(owner, owner.child("autoscaler")),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": owner.child(pool.role)},
            "minReplicas": autoscaling.min_replicas,
            "maxReplicas": autoscaling.max_replicas,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {"type": "Utilization", "averageUtilization": autoscaling.cpu_percent},
                    },
                }
            ],
        },
    }
