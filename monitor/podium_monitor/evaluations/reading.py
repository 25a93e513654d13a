"""How everybody reads what was evaluated."""

import msgspec

from podium_evaluation.documents import DeploymentEvaluation, evaluation_path
from podium_monitor.lake.store import Store

_decode = msgspec.json.Decoder(DeploymentEvaluation).decode


def latest(store: Store, namespace: str, name: str) -> DeploymentEvaluation | None:
    """The newest evaluation of a deployment. None: it was never evaluated, or by a version of Podium that wrote it in a way
    that this one cannot read, so that it will be evaluated anew."""
    try:
        return _decode(store.read(evaluation_path(namespace, name)))
    except (FileNotFoundError, msgspec.DecodeError):
        return None
