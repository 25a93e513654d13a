"""Where the dashboard gets its facts from. Everything blocks: it is called from a thread."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from podium_crds.evidence import DeploymentEvidence, Finding
from podium_crds.package import Descriptor
from podium_evaluation.documents import DeploymentEvaluation
from podium_monitor.dashboard.views.glance import Glance
from podium_monitor.world import Watched


@dataclass(frozen=True)
class Sources:
    evaluation: Callable[[str, str], DeploymentEvaluation | None]
    """By namespace and name."""
    outlined: Callable[[str, str], DeploymentEvaluation | None]
    """The same with outlines in the place of days, which costs little."""
    glance: Callable[[Watched], Glance | None]
    """As much of it as the overview shows."""
    evidence: Callable[[str, str], DeploymentEvidence | None]
    findings: Callable[[Watched, DeploymentEvaluation | None], Sequence[Finding]]
    card: Callable[[str, str, str], Descriptor | None]
    """By namespace, deployment and digest: what a version's makers wrote, once a pod has handed it over."""
