"""How many champion pods a node drain may take at once."""

from podium_operator.kinds import Manifest
from podium_operator.manifests.identity import Owner, champion_selector, child_metadata


def disruption_budget(owner: Owner) -> Manifest:
    """One at a time. With a single replica a drain interrupts: the other choice would block every drain for ever."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": child_metadata(owner, owner.child("pdb")),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": champion_selector(owner)},
            # A pod that serves nobody must not hold a drain up.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
