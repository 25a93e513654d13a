"""Which models a server has beside those in memory, and whether its clients may change that: a pod's may not.

What serves in a cluster is the committed plan's to say, the same for all pods; a client that unloaded a model in one pod
would make pods differ. On one machine there is no plan, and `podium serve --model-control` lets clients load and unload.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from podium_serving.calls import why_not_ready
from podium_serving.exchange import ServingError
from podium_serving.state import ServingState


class Forbidden(ServingError):
    http_status = 403
    reason = "Forbidden"


class Entry(NamedTuple):
    """A line of the repository's index."""

    name: str
    version: str
    """Empty: none is known."""
    state: str
    """READY or UNAVAILABLE."""
    reason: str
    """Why it is unavailable."""


class Repository(Protocol):
    def unloaded(self) -> list[Entry]:
        """Models that are here but not in memory."""

    async def load(self, model: str) -> None:
        """Brings a model into memory, or anew from its folder. Raises ServingError; then what served goes on."""

    async def unload(self, model: str) -> None:
        """Takes it out of memory once its open requests are answered. Raises ServingError."""


class FixedRepository:
    """What is in memory is not for clients to change. `why` is the sentence that they read."""

    def __init__(self, why: str) -> None:
        self._why = why

    def unloaded(self) -> list[Entry]:
        return []

    async def load(self, model: str) -> None:
        raise Forbidden(self._why)

    async def unload(self, model: str) -> None:
        raise Forbidden(self._why)


IN_A_CLUSTER = FixedRepository(
    "clients neither load nor unload models here: what serves is what the deployment's committed plan says; "
    "change the ModelDeployment instead"
)


def index(states: Mapping[str, ServingState], repository: Repository, *, only_ready: bool) -> list[Entry]:
    """Every model that is here, those in memory first."""
    entries = [_entry(name, state) for name, state in states.items()] + repository.unloaded()
    return [entry for entry in entries if entry.state == "READY" or not only_ready]


def _entry(name: str, state: ServingState) -> Entry:
    version = state.current.plan.champion.version.name if state.current else ""
    return Entry(name, version, "READY", "") if state.ready else Entry(name, version, "UNAVAILABLE", why_not_ready(state))
