"""Who an arm is: its name, version and role, from what was captured and what is wished. Pure."""

from dataclasses import dataclass

from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec
from podium_evaluation.documents import Role
from podium_monitor.evaluations.keeping import ArmSummary

CHAMPION = "champion"


@dataclass(frozen=True, order=True)
class Place:
    """What windows are kept by."""

    role: Role
    name: str
    version: str
    digest: str


def place_of(spec: ModelDeploymentSpec, one: ArmSummary) -> Place:
    """Captured shadows do not say which challenger they are: its name is that of the wished one with this version, else the
    version's."""
    version = one.arm.version
    if one.shadow:
        named = [challenger.name for challenger in spec.challengers if challenger.model_version_ref.name == version]
        return Place("Shadow", named[0] if named else version, version, one.arm.digest)
    role: Role = "Champion" if one.arm.name == CHAMPION else "Canary"
    return Place(role, one.arm.name, version, one.arm.digest)
