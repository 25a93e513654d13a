"""Which deployments there are, as the monitor sees them: from the API server, or from a folder of manifests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec, ModelDeploymentStatus
from podium_crds.v1alpha1.model_version import ModelVersionSpec, ModelVersionStatus


@dataclass(frozen=True)
class WatchedVersion:
    """A ModelVersion."""

    name: str
    spec: ModelVersionSpec
    status: ModelVersionStatus | None = None


@dataclass(frozen=True)
class Watched:
    """A ModelDeployment with the versions that it names."""

    namespace: str
    name: str
    uid: str
    created_at: str
    """RFC 3339."""
    spec: ModelDeploymentSpec
    status: ModelDeploymentStatus | None = None
    versions: Mapping[str, WatchedVersion] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


class World(Protocol):
    """Answers from memory, at once."""

    @property
    def why_not_ready(self) -> str:
        """Empty once all deployments are known."""

    def deployments(self) -> Sequence[Watched]:
        """By namespace and name."""

    def find(self, namespace: str, name: str) -> Watched | None:
        """None: there is none, or none any more."""


class FollowedWorld(World, Protocol):
    """A World that says how good its knowledge is."""

    @property
    def age_seconds(self) -> float:
        """How old what it says may be. Infinite before all deployments are known."""

    @property
    def unreadable(self) -> Mapping[str, str]:
        """Objects that do not fit their kind, `ModelDeployment shop/churn`, and why."""
