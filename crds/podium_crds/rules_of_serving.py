"""What the settings of scoring pods must fulfil together: rules on the types of `v1alpha1.serving`."""

from collections.abc import Mapping

from podium_crds.rule import Rule, only_with
from podium_crds.v1alpha1 import serving as sv
from podium_crds.v1alpha1.meta import Kubernetes

PROVIDER_RULES: tuple[Rule, ...] = (
    Rule(
        rule="!has(self.executionProviders)"
        " || self.executionProviders.all(a, self.executionProviders.exists_one(b, a == b))",
        message="executionProviders names one of them twice: name each once, the preferred one first",
        field=".executionProviders",
    ),
    Rule(
        rule="!has(self.executionProviders) || !('Cpu' in self.executionProviders)"
        " || self.executionProviders[size(self.executionProviders) - 1] == 'Cpu'",
        message="Cpu runs every model, so what stands after it in executionProviders is never used: put Cpu last, or "
        "leave it out: it is always the last",
        field=".executionProviders",
    ),
)
"""On `Serving`, which has the list."""

SERVING_RULES: Mapping[type[Kubernetes], tuple[Rule, ...]] = {
    sv.Batching: (
        Rule(
            rule="(has(self.maxQueueRows) ? self.maxQueueRows : 4096) >= (has(self.maxBatchRows) ? self.maxBatchRows : 256)",
            message="maxQueueRows (4096 where it is not given) is below maxBatchRows (256 where it is not given): so many "
            "rows could never wait to be joined; raise maxQueueRows or lower maxBatchRows",
            field=".maxQueueRows",
        ),
    ),
    sv.Authentication: (
        *only_with("apiKey", "ApiKey", "with the secretRef of the Secret that holds the keys"),
        *only_with("jwt", "Jwt", "with issuer and audiences"),
    ),
}
