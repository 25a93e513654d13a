"""ModelDeployment: a named endpoint, its champion, its challengers, and how traffic moves between them."""

from typing import Annotated, Literal

from pydantic import Field

from podium_crds.evidence import Decision
from podium_crds.names import MAX_CHALLENGER_NAME
from podium_crds.v1alpha1.capture import Capture
from podium_crds.v1alpha1.meta import ColumnName, Condition, HeaderName, Kubernetes, NameRef, SecretRef, text
from podium_crds.v1alpha1.monitoring import Monitoring, Promotion
from podium_crds.v1alpha1.serving import (
    AccessLog,
    Authentication,
    Batching,
    ExecutionProvider,
    Hooks,
    Tls,
    Tracing,
)

Milliseconds = Annotated[int, Field(ge=1, le=300_000)]
Quantity = Annotated[
    str,
    text(
        r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$",
        "is no quantity: write a number with m, k, Ki, M, Mi, G or Gi behind it if need be: 500m, 2, 512Mi",
        max_length=20,
    ),
]
ChallengerName = Annotated[
    str,
    text(
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        "is no name of a challenger: use lower-case letters, digits and '-', with a letter or digit at both ends",
        max_length=MAX_CHALLENGER_NAME,
    ),
]
LABEL_KEY_PATTERN = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
LABEL_KEY_SAYS = "is no key of a label: write <name> or <domain>/<name>, as in kubernetes.io/arch"
LabelKey = Annotated[str, text(LABEL_KEY_PATTERN, LABEL_KEY_SAYS, max_length=316)]
LabelValue = Annotated[
    str,
    text(
        r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$",
        "is no value of a label: use letters, digits, '-', '_' and '.', with a letter or digit at both ends",
        max_length=63,
    ),
]


class Champion(Kubernetes):
    """The version that answers unless a challenger's turn comes."""

    model_version_ref: NameRef


class ResourceList(Kubernetes):
    """Amounts of what a container may have."""

    cpu: Quantity | None = None
    memory: Quantity | None = None


class ResourceLimits(ResourceList):
    """What a container may have at most."""

    nvidia_gpu: Annotated[int | None, Field(alias="nvidia.com/gpu", ge=1, le=16)] = None
    """Whole GPUs, for the execution providers Cuda and TensorRt. They need an image and nodes that have them."""


class Resources(Kubernetes):
    """What a scoring container asks for and may use."""

    requests: ResourceList | None = None
    limits: ResourceLimits | None = None


class Toleration(Kubernetes):
    """A taint of nodes that the scoring pods put up with."""

    key: LabelKey | None = None
    """Absent, with operator Exists: any taint."""
    operator: Literal["Exists", "Equal"] = "Equal"
    value: LabelValue | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Absent: any effect."""
    toleration_seconds: Annotated[int, Field(ge=0, le=2_147_483_647)] | None = None
    """NoExecute only: how long a pod stays after the taint came. Absent: for ever."""


class EnvironmentVariable(Kubernetes):
    """A variable that a transform hook reads. Not for secrets: whoever may read the ModelDeployment reads it."""

    name: Annotated[
        str,
        text(
            r"^[A-Za-z_][A-Za-z0-9_]*$",
            "is no name of an environment variable: use letters, digits and '_', and no digit in front",
            max_length=128,
        ),
    ]
    value: Annotated[str, Field(max_length=4096)] = ""


class PodTemplate(Kubernetes):
    """The part of the scoring pods that a user may set."""

    resources: Resources | None = None
    """Absent: the operator's settings decide."""
    node_selector: Annotated[dict[Annotated[str, Field(max_length=316)], LabelValue], Field(max_length=20)] = {}
    """Labels of the nodes that the pods may run on."""
    tolerations: Annotated[list[Toleration], Field(max_length=20)] = []
    env: Annotated[list[EnvironmentVariable], Field(max_length=50)] = []
    image_pull_secrets: Annotated[list[SecretRef], Field(max_length=10)] = []


class Challenger(Kubernetes):
    """A version that is measured against the champion on live traffic. It can never fail a request."""

    name: ChallengerName
    """Its arm in answers, metrics and captured predictions."""
    model_version_ref: NameRef
    mode: Literal["Shadow", "Canary"]
    """Shadow: sees a copy of the traffic and answers nobody. Canary: answers `percent` of it."""
    percent: Annotated[int, Field(ge=0, le=100)] | None = None
    """Canary only, and required there."""
    timeout_milliseconds: Milliseconds = 100
    """What it may take of a request's time. Then the champion answers."""
    replicas: Annotated[int, Field(ge=1, le=100)] = 1
    template: PodTemplate | None = None
    """Absent: the deployment's serving.template."""


class StickyBy(Kubernetes):
    """What decides which arm a request has: chance, or a key that always gets the same arm."""

    type: Literal["Header", "Input", "Request"] = "Request"
    header: HeaderName | None = None
    """Header only, and required there: the header that holds the key."""
    input: ColumnName | None = None
    """Input only, and required there: the model's input that holds the key."""


class Autoscaling(Kubernetes):
    """Bounds for the champion's HorizontalPodAutoscaler."""

    min_replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    max_replicas: Annotated[int, Field(ge=1, le=1000)]
    cpu_percent: Annotated[int, Field(ge=1, le=100)] = 70
    """Mean CPU use, in percent of the requests, that the autoscaler aims at."""


class Serving(Kubernetes):
    """How the champion is served. What is not about counts and time holds for challengers' pods as well."""

    replicas: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Absent with autoscaling; 1 where both are absent."""
    autoscaling: Autoscaling | None = None
    timeout_milliseconds: Milliseconds = 1000
    """A request's whole time, a forward to a challenger included."""
    template: PodTemplate = PodTemplate()
    workers: Annotated[int, Field(ge=1, le=32)] = 1
    """Processes of each pod that answer, each with its own copy of the model."""
    batching: Batching | None = None
    execution_providers: Annotated[list[ExecutionProvider], Field(max_length=3)] = []
    """Where the model runs, by preference; what one cannot run goes to the next. Cpu is always the last. Absent: Cpu."""
    hooks: Hooks | None = None
    outside_training: Literal["Accept", "Warn", "Refuse"] = "Warn"
    """What /score does with a value outside of the range or the categories that training saw: answer, answer with a
    warning, or refuse the request."""
    tls: Tls | None = None
    """Absent: the public port and gRPC speak plain."""
    authentication: Authentication = Authentication()
    tracing: Tracing | None = None
    access_log: AccessLog | None = None
    """Absent: nothing is written."""


class ModelDeploymentSpec(Kubernetes):
    """What is wished. The operator reads it and never writes it."""

    champion: Champion
    challengers: Annotated[list[Challenger], Field(max_length=10)] = []
    sticky_by: StickyBy = StickyBy()
    serving: Serving = Serving()
    capture: Capture = Capture()
    monitoring: Monitoring = Monitoring()
    promotion: Promotion = Promotion()


class ChampionStatus(Kubernetes):
    """What is committed."""

    model_version: Annotated[str, Field(max_length=63)]
    digest: Annotated[str, Field(max_length=71)]
    since: Annotated[str, Field(max_length=32)]
    replicas: int
    """Pods that answer with it."""


class ChallengerStatus(Kubernetes):
    """How a challenger fares."""

    name: Annotated[str, Field(max_length=20)]
    model_version: Annotated[str, Field(max_length=63)]
    digest: Annotated[str, Field(max_length=71)] = ""
    mode: Literal["Shadow", "Canary"]
    percent: int = 0
    """As committed."""
    state: Annotated[str, Field(max_length=64)]
    """One word: Serving, Starting, Refused, ..."""
    message: Annotated[str, Field(max_length=1024)] = ""
    labels: int | None = None
    """Units (cases, or sticky keys) with a label that the evidence counts. Absent, as all below: no evidence is known."""
    improvement: Annotated[str, Field(max_length=32)] | None = None
    """Mean loss of the champion minus that of the challenger, per unit: above 0 the challenger is better."""
    interval: Annotated[list[Annotated[str, Field(max_length=32)]], Field(max_length=2)] | None = None
    """Lower and upper bound of the improvement. They hold however often one looks."""
    decision: Decision | None = None
    evidence: Annotated[str, Field(max_length=1024)] | None = None
    """The decision in a sentence, with its reasons."""


class Endpoint(Kubernetes):
    """Where to ask."""

    url: Annotated[str, Field(max_length=256)]
    grpc: Annotated[str, Field(max_length=256)] = ""
    """`<host>:<port>`, as gRPC clients take it."""
    docs: Annotated[str, Field(max_length=256)]


class TrafficShare(Kubernetes):
    """Observed at the pods over the last minute, in whole percents."""

    version: Annotated[str, Field(max_length=63)]
    role: Annotated[str, Field(max_length=20)]
    percent: int


class LastSwap(Kubernetes):
    """Figures of the newest hot swap. `flip_milliseconds` is by admission time of requests over all pods."""

    from_version: Annotated[str, Field(max_length=63)]
    to_version: Annotated[str, Field(max_length=63)]
    at: Annotated[str, Field(max_length=32)]
    pods: int
    flip_milliseconds: int


class ModelDeploymentStatus(Kubernetes):
    """What is so. All of it can be deleted: the same champion serves, and the operator writes it again."""

    observed_generation: int | None = None
    conditions: Annotated[list[Condition], Field(max_length=16)] = []
    champion: ChampionStatus | None = None
    challengers: Annotated[list[ChallengerStatus], Field(max_length=20)] = []
    endpoint: Endpoint | None = None
    epoch: int | None = None
    """Counts the plans of this deployment; in every answer as the header Podium-Epoch."""
    traffic: Annotated[list[TrafficShare], Field(max_length=20)] = []
    last_swap: LastSwap | None = None
    challenger_summary: Annotated[str, Field(max_length=512)] = ""
    """`gradient-boosting Shadow, neural-net 10%`: printer columns cannot format."""
    traffic_summary: Annotated[str, Field(max_length=512)] = ""
    """`churn-3 90%, churn-5 10%`."""
    reason: Annotated[str, Field(max_length=256)] = ""
