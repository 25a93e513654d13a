"""What a manifest must fulfil beyond the shape of its fields: CEL rules of the API server, and what the user reads.

A rule is refused at `kubectl apply`, before anything runs, so its message is the first thing that a newcomer learns from
us: it says what is wrong, with the value, and what would be right. Rules about one string live with its type (`text`).
Costs are estimated by the API server from the bounds of the types: a rule over an unbounded list is refused there.
"""

from collections.abc import Mapping

from podium_crds.names import MAX_DEPLOYMENT_NAME
from podium_crds.rule import Rule, only_with
from podium_crds.rules_of_monitoring import DROPPED_HEADER, MONITORING_RULES, SPEC_RULES
from podium_crds.rules_of_serving import PROVIDER_RULES, SERVING_RULES
from podium_crds.v1alpha1 import model_deployment as md
from podium_crds.v1alpha1 import model_version as mv
from podium_crds.v1alpha1 import monitoring as mo
from podium_crds.v1alpha1.meta import Condition, Kubernetes, NameRef, SecretRef

ROOT_RULES: Mapping[str, tuple[Rule, ...]] = {
    "ModelDeployment": (
        Rule(
            rule=(
                "self.metadata.name.matches(r'^[a-z]([-a-z0-9]*[a-z0-9])?$')"
                f" && size(self.metadata.name) <= {MAX_DEPLOYMENT_NAME}"
            ),
            message="'{self.metadata.name}' becomes the name of a Service and the front of other names: use at most "
            f"{MAX_DEPLOYMENT_NAME} lower-case letters, digits and '-', with a letter in front and no '-' at the end",
            field=".metadata.name",
        ),
    ),
    "ModelVersion": (
        Rule(
            rule="size(self.metadata.name) <= 63",
            message="'{self.metadata.name}' becomes the value of a label: use at most 63 characters",
            field=".metadata.name",
        ),
    ),
}
"""Rules on the whole object, by kind."""

LIST_RULES: Mapping[type[Kubernetes], tuple[Rule, ...]] = {
    md.Challenger: (
        Rule(
            # A percent above 100 has an answer of its own.
            rule="self.map(c, has(c.percent) && c.percent <= 100 ? c.percent : 0).sum() <= 100",
            message="the percents of the challengers add up to more than 100: give them at most 100 together, "
            "the champion answers the rest",
        ),
        Rule(
            rule="self.all(a, self.exists_one(b, b.modelVersionRef.name == a.modelVersionRef.name))",
            message="two challengers have the same modelVersionRef: let each challenger be another version",
        ),
    ),
}
"""Rules on a list, by the type of its items."""

LIST_KEYS: Mapping[type[Kubernetes], str] = {
    Condition: "type",
    NameRef: "name",
    SecretRef: "name",
    md.Challenger: "name",
    md.ChallengerStatus: "name",
    md.EnvironmentVariable: "name",
    mo.PerformanceBound: "metric",
    mo.Kpi: "name",
    mo.Guardrail: "name",
}
"""Lists of these are list-maps: server-side apply merges them by this key, and the API server refuses a key twice."""


def _limit_covers_request(resource: str) -> Rule:
    """Values that are no quantities pass here: their own rule refuses them."""
    request, limit = f"self.requests.{resource}", f"self.limits.{resource}"
    there = f"has(self.requests) && has({request}) && has(self.limits) && has({limit})"
    readable = f"isQuantity({request}) && isQuantity({limit})"
    return Rule(
        rule=f"!({there} && {readable}) || quantity({limit}).compareTo(quantity({request})) >= 0",
        message=f"the limit of {resource}, {{{limit}}}, is below the request, {{{request}}}: raise it or ask for less",
        field=".limits",
    )


_CHALLENGER = (
    Rule(
        rule="!(self.name in ['champion', 'forward'])",
        message="'{self.name}' is a word of Podium's own: give the challenger another name",
        field=".name",
    ),
    Rule(
        rule="self.mode != 'Canary' || has(self.percent)",
        message="a Canary needs percent, its share of the traffic: 0 to 100",
        reason="FieldValueRequired",
        field=".percent",
    ),
    Rule(
        rule="self.mode != 'Shadow' || !has(self.percent)",
        message="a Shadow sees a copy of the traffic and answers none of it: remove percent, or set mode: Canary",
        reason="FieldValueForbidden",
        field=".percent",
    ),
)

_STICKY_BY = (
    *only_with("header", "Header", "the name of the header that holds the key"),
    *only_with("input", "Input", "the name of the model's input that holds the key"),
    DROPPED_HEADER,
)

_TOLERATION = (
    Rule(
        rule="self.operator != 'Exists' || !has(self.value)",
        message="operator: Exists asks for no value: remove value, or set operator: Equal",
        reason="FieldValueForbidden",
        field=".value",
    ),
    Rule(
        rule="has(self.key) || self.operator == 'Exists'",
        message="operator: Equal needs key; to tolerate every taint set operator: Exists",
        reason="FieldValueRequired",
        field=".key",
    ),
    Rule(
        rule="!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
        message="tolerationSeconds has a meaning with effect: NoExecute only: remove it, or set effect: NoExecute",
        reason="FieldValueForbidden",
        field=".tolerationSeconds",
    ),
)

RULES: Mapping[type[Kubernetes], tuple[Rule, ...]] = {
    mv.ModelVersionSpec: (
        Rule(
            rule="self == oldSelf",
            message="the spec of a ModelVersion never changes: apply what you have as a ModelVersion with a new name, "
            "and name that one in the ModelDeployment",
        ),
    ),
    mv.Artifact: (
        Rule(
            rule="!self.uri.contains('@')",
            message="a uri holds neither a digest nor credentials: write the digest into the field digest, and credentials "
            "into a kubernetes.io/dockerconfigjson Secret that pullSecretRef names",
            field=".uri",
        ),
    ),
    md.ModelDeploymentSpec: (
        Rule(
            rule="!has(self.challengers)"
            " || self.challengers.all(c, c.modelVersionRef.name != self.champion.modelVersionRef.name)",
            message="a challenger's modelVersionRef names '{self.champion.modelVersionRef.name}', which is the champion: "
            "let it name another version, or remove the challenger",
            field=".challengers",
        ),
        Rule(
            rule="!has(self.challengers) || self.challengers.all(c, c.mode != 'Canary'"
            " || c.timeoutMilliseconds <= self.serving.timeoutMilliseconds)",
            message="timeoutMilliseconds of a Canary (100 where it is not given) must not exceed that of serving (1000 "
            "where it is not given): else no time is left for the champion to answer in its place",
            field=".challengers",
        ),
        *SPEC_RULES,
    ),
    md.PodTemplate: (
        Rule(
            rule=f"!has(self.nodeSelector) || self.nodeSelector.all(key, key.matches(r'{md.LABEL_KEY_PATTERN}'))",
            message=f"a key of nodeSelector {md.LABEL_KEY_SAYS}",
            field=".nodeSelector",
        ),
    ),
    md.Challenger: _CHALLENGER,
    md.StickyBy: _STICKY_BY,
    md.Serving: (
        Rule(
            rule="!(has(self.replicas) && has(self.autoscaling))",
            message="replicas and autoscaling exclude each other: remove one of them",
            reason="FieldValueForbidden",
            field=".replicas",
        ),
        *PROVIDER_RULES,
    ),
    md.Autoscaling: (
        Rule(
            rule="self.minReplicas <= self.maxReplicas",
            message="minReplicas is greater than maxReplicas: raise maxReplicas or lower minReplicas",
            field=".minReplicas",
        ),
    ),
    md.Resources: (_limit_covers_request("cpu"), _limit_covers_request("memory")),
    md.Toleration: _TOLERATION,
    md.EnvironmentVariable: (
        Rule(
            rule="!self.name.startsWith('PODIUM_')",
            message="'{self.name}' is a name of Podium's own: give the variable a name that does not start with PODIUM_",
            field=".name",
        ),
    ),
    **SERVING_RULES,
    **MONITORING_RULES,
}
"""Rules on an object, by its type."""
