"""The kinds as `kubectl get` shows them: names, types of spec and status, printer columns."""

from dataclasses import dataclass

from podium_crds.names import GROUP
from podium_crds.v1alpha1.meta import Kubernetes
from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec, ModelDeploymentStatus
from podium_crds.v1alpha1.model_version import ModelVersionSpec, ModelVersionStatus


@dataclass(frozen=True)
class Column:
    """A printer column. Priority 1 shows with `kubectl get -o wide` only."""

    name: str
    path: str
    description: str
    type: str = "string"
    priority: int = 0


@dataclass(frozen=True)
class Kind:
    kind: str
    plural: str
    short: str
    description: str
    spec: type[Kubernetes]
    status: type[Kubernetes]
    columns: tuple[Column, ...]

    @property
    def file_name(self) -> str:
        return f"{GROUP}_{self.plural}.yaml"


_READY = Column("Ready", '.status.conditions[?(@.type=="Ready")].status', "Whether it does what the spec asks for.")
_REASON = Column("Reason", ".status.reason", "Why it is ready or not: the reason of the condition Ready.")
_AGE = Column("Age", ".metadata.creationTimestamp", "Time since it was made.", type="date")

KINDS = (
    Kind(
        kind="ModelVersion",
        plural="modelversions",
        short="mv",
        description="An immutable record of one packaged model: where it lies, what it is, and what verification found.",
        spec=ModelVersionSpec,
        status=ModelVersionStatus,
        columns=(
            Column("Image", ".spec.image.type", "Generic, or Built for this version."),
            _READY,
            _REASON,
            Column("Used by", ".status.usedBy", "ModelDeployments that name it.", priority=1),
            Column("Digest", ".spec.artifact.digest", "The version's identity.", priority=1),
            _AGE,
        ),
    ),
    Kind(
        kind="ModelDeployment",
        plural="modeldeployments",
        short="mdep",
        description="A named endpoint: its champion, its challengers, and how traffic moves between them.",
        spec=ModelDeploymentSpec,
        status=ModelDeploymentStatus,
        columns=(
            Column("Champion", ".spec.champion.modelVersionRef.name", "The version that is asked for."),
            Column("Version", ".status.champion.modelVersion", "The version that answers."),
            Column("Challengers", ".status.challengerSummary", "Who is measured against the champion."),
            Column("Traffic", ".status.trafficSummary", "Who answered in the last minute, in percent."),
            _READY,
            _REASON,
            Column(
                "Replicas", ".status.champion.replicas", "Pods that answer with the champion.", type="integer", priority=1
            ),
            Column("Epoch", ".status.epoch", "Counts the committed plans.", type="integer", priority=1),
            Column(
                "Drifted",
                '.status.conditions[?(@.type=="DriftDetected")].status',
                "Whether inputs or predictions have drifted.",
                priority=1,
            ),
            Column(
                "Degraded",
                '.status.conditions[?(@.type=="PerformanceDegraded")].status',
                "Whether the champion left its bounds.",
                priority=1,
            ),
            Column("URL", ".status.endpoint.url", "Where to ask.", priority=1),
            _AGE,
        ),
    ),
)
