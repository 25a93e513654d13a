"""What the overview needs of each deployment, kept ready by the rounds, so that no page waits for whole evaluations.

evaluations/namespace=…/deployment=…/glance.json
"""

import msgspec

from podium_crds.evidence import Finding
from podium_evaluation.documents import DeploymentEvaluation
from podium_monitor.dashboard.views.glance import Glance, glance_of
from podium_monitor.lake.store import Store
from podium_monitor.world import Watched

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Glance).decode


class Glances:
    """Written by the evaluator's thread, read by those that make pages."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._noted: dict[tuple[str, str], bytes] = {}
        """Since the start. The store has those of before, too."""

    def note(self, watched: Watched, document: DeploymentEvaluation, findings: list[Finding]) -> None:
        """Raises OSError when the store fails."""
        made, place = _encode(glance_of(watched, document, findings)), (watched.namespace, watched.name)
        if made != self._noted.get(place):
            self._store.replace(_path(*place), made)
            self._noted[place] = made

    def of(self, watched: Watched) -> Glance | None:
        """None: this deployment was not evaluated yet. Raises OSError when the store fails."""
        place = (watched.namespace, watched.name)
        try:
            found = _decode(self._noted.get(place) or self._store.read(_path(*place)))
        except (FileNotFoundError, msgspec.DecodeError):  # DecodeError: of another release; the first round makes it anew
            return None
        return found if found.uid == watched.uid else None


def _path(namespace: str, name: str) -> str:
    return f"evaluations/namespace={namespace}/deployment={name}/glance.json"
