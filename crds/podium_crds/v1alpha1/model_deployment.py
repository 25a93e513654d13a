"""ModelDeployment: a named endpoint, its champion, its challengers, and how traffic moves between them."""

from typing import Annotated, Literal

from pydantic import Field

from podium_crds.v1alpha1.meta import Condition, DnsLabel, Kubernetes, NameRef

Milliseconds = Annotated[int, Field(ge=1, le=300_000)]
Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$", max_length=20)]


class Champion(Kubernetes):
    model_version_ref: NameRef


class ResourceList(Kubernetes):
    cpu: Quantity | None = None
    memory: Quantity | None = None


class Resources(Kubernetes):
    requests: ResourceList | None = None
    limits: ResourceList | None = None


class Toleration(Kubernetes):
    key: Annotated[str, Field(max_length=316)] | None = None
    operator: Literal["Exists", "Equal"] = "Equal"
    value: Annotated[str, Field(max_length=63)] | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = None


class EnvironmentVariable(Kubernetes):
    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=128)]
    value: Annotated[str, Field(max_length=4096)] = ""


class PodTemplate(Kubernetes):
    """The part of the scoring pods that a user may set."""

    resources: Resources | None = None
    node_selector: Annotated[dict[Annotated[str, Field(max_length=316)], Annotated[str, Field(max_length=63)]], Field(max_length=20)] = {}
    tolerations: Annotated[list[Toleration], Field(max_length=20)] = []
    env: Annotated[list[EnvironmentVariable], Field(max_length=50)] = []
    image_pull_secrets: Annotated[list[NameRef], Field(max_length=10)] = []


class Challenger(Kubernetes):
    name: Annotated[DnsLabel, Field(max_length=20)]
    model_version_ref: NameRef
    mode: Literal["Shadow", "Canary"]
    percent: Annotated[int, Field(ge=0, le=100)] | None = None
    """Canary only, and required there."""
    timeout_milliseconds: Milliseconds = 100
    replicas: Annotated[int, Field(ge=1, le=100)] = 1
    template: PodTemplate | None = None
    """Absent: the deployment's serving.template."""


class StickyBy(Kubernetes):
    type: Literal["Header", "Input", "Request"] = "Request"
    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$", max_length=64)] | None = None
    input: Annotated[str, Field(min_length=1, max_length=128)] | None = None


class Autoscaling(Kubernetes):
    min_replicas: Annotated[int, Field(ge=1, le=1000)] = 1
    max_replicas: Annotated[int, Field(ge=1, le=1000)]
    cpu_percent: Annotated[int, Field(ge=1, le=100)] = 70


class Serving(Kubernetes):
    replicas: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Absent with autoscaling; 1 where both are absent."""
    autoscaling: Autoscaling | None = None
    timeout_milliseconds: Milliseconds = 1000
    template: PodTemplate = PodTemplate()


class Capture(Kubernetes):
    percent: Annotated[int, Field(ge=0, le=100)] = 100


class ModelDeploymentSpec(Kubernetes):
    champion: Champion
    challengers: Annotated[list[Challenger], Field(max_length=10)] = []
    sticky_by: StickyBy = StickyBy()
    serving: Serving = Serving()
    capture: Capture = Capture()


class ChampionStatus(Kubernetes):
    model_version: Annotated[str, Field(max_length=63)]
    digest: Annotated[str, Field(max_length=71)]
    since: Annotated[str, Field(max_length=32)]
    replicas: int
    """Pods that answer with it."""


class ChallengerStatus(Kubernetes):
    name: Annotated[str, Field(max_length=20)]
    model_version: Annotated[str, Field(max_length=63)]
    digest: Annotated[str, Field(max_length=71)] = ""
    mode: Literal["Shadow", "Canary"]
    percent: int = 0
    """As committed."""
    state: Annotated[str, Field(max_length=64)]
    """One word: Serving, Starting, Refused, ..."""
    message: Annotated[str, Field(max_length=1024)] = ""


class Endpoint(Kubernetes):
    url: Annotated[str, Field(max_length=256)]
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
    observed_generation: int | None = None
    conditions: Annotated[list[Condition], Field(max_length=16)] = []
    champion: ChampionStatus | None = None
    challengers: Annotated[list[ChallengerStatus], Field(max_length=20)] = []
    endpoint: Endpoint | None = None
    epoch: int | None = None
    traffic: Annotated[list[TrafficShare], Field(max_length=20)] = []
    last_swap: LastSwap | None = None
    challenger_summary: Annotated[str, Field(max_length=512)] = ""
    """`gradient-boosting Shadow, neural-net 10%`: printer columns cannot format."""
    traffic_summary: Annotated[str, Field(max_length=512)] = ""
    """`churn-3 90%, churn-5 10%`."""
    reason: Annotated[str, Field(max_length=256)] = ""
