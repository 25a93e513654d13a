"""What capture, monitoring and promotion must fulfil together: rules on their types, and on the spec that holds them all."""

from collections.abc import Mapping

from podium_crds.rule import Rule, only_with
from podium_crds.v1alpha1 import capture as ca
from podium_crds.v1alpha1 import monitoring as mo
from podium_crds.v1alpha1.meta import Kubernetes

DROPPED_HEADER = Rule(
    rule="!has(self.header) || !self.header.lowerAscii().startsWith('podium-')",
    message="'{self.header}' is dropped from what clients send, as every Podium- header is: use another header",
    field=".header",
)


def _ordered(low: str, high: str, message: str) -> Rule:
    """Both are text. What is no number passes here: its own rule refuses it."""
    readable = " && ".join(f"self.{name}.matches(r'{mo.DECIMAL_PATTERN}')" for name in (low, high))
    there = f"has(self.{low}) && has(self.{high})"
    return Rule(
        rule=f"!({there} && {readable}) || double(self.{low}) <= double(self.{high})", message=message, field=f".{low}"
    )


def _not_redacted(used: str, there: str, field: str, what: str) -> Rule:
    """`used`, a list of the spec's, must be captured."""
    return Rule(
        rule=f"!({there} && has(self.capture.redact)) || !self.{used}.exists(name, name in self.capture.redact)",
        message=f"{what}, and capture.redact keeps one in the pod: take it out of one of the two, or put it into "
        "capture.hash",
        field=field,
    )


def _kept_for(seconds: str, compared: str, must: str, there: str = "") -> Rule:
    """Rows live as long as something is asked of them."""
    return Rule(
        rule=f"!(has(self.retentionDays){there}) || self.retentionDays * 86400 {compared} self.{seconds}",
        message=f"after retentionDays predictions are deleted: {seconds} must {must}",
        field=".retentionDays",
    )


_PROMISED = "has(self.monitoring.fairness)"

SPEC_RULES: tuple[Rule, ...] = (
    _not_redacted(
        "monitoring.fairness.protected",
        _PROMISED,
        ".monitoring.fairness.protected",
        "the monitor compares groups by each name of monitoring.fairness.protected",
    ),
    _not_redacted(
        "monitoring.segments",
        "has(self.monitoring.segments)",
        ".monitoring.segments",
        "the monitor tells performance apart by each name of monitoring.segments",
    ),
    Rule(
        rule="!(has(self.promotion.guardrails) && has(self.capture.redact)) || !self.promotion.guardrails.exists(g, "
        "has(g.column) && g.column in self.capture.redact)",
        message="a guardrail compares groups by its column, and capture.redact keeps that in the pod: take it out of one "
        "of the two, or put it into capture.hash",
        field=".promotion.guardrails",
    ),
    Rule(
        rule="!(has(self.monitoring.prediction) && has(self.monitoring.prediction.output)) || !("
        "(has(self.capture.redact) && self.monitoring.prediction.output in self.capture.redact)"
        " || (has(self.capture.hash) && self.monitoring.prediction.output in self.capture.hash))",
        message="monitoring.prediction.output, '{self.monitoring.prediction.output}', is what labels are compared with, and "
        "capture redacts or hashes it: take it out of capture.redact and capture.hash",
        field=".monitoring.prediction.output",
    ),
    Rule(
        rule="!(self.capture.joinKey.type == 'Sticky' && has(self.stickyBy.input) && has(self.capture.redact))"
        " || !(self.stickyBy.input in self.capture.redact)",
        message="stickyBy.input, '{self.stickyBy.input}', is the key that labels come back by, and capture.redact keeps it "
        "in the pod: put it into capture.hash, or give capture.joinKey another type",
        field=".capture.redact",
    ),
    Rule(
        rule="!has(self.promotion.guardrails) || self.capture.percent > 0",
        message="guardrails need evidence, and capture.percent is 0, so that none is gathered: raise it, or remove "
        "promotion.guardrails",
        field=".capture.percent",
    ),
)
"""On `ModelDeploymentSpec`. An enum and a default apart, lists that are absent hold nothing."""

MONITORING_RULES: Mapping[type[Kubernetes], tuple[Rule, ...]] = {
    ca.JoinKey: (
        *only_with("input", "Input", "the name of the model's input that holds the key"),
        *only_with("header", "Header", "the name of the header that holds the key"),
        DROPPED_HEADER,
    ),
    ca.Capture: (
        Rule(
            rule="!(has(self.redact) && has(self.hash)) || !self.redact.exists(name, name in self.hash)",
            message="a name stands in redact and in hash: what never leaves the pod has no hash either; take it out of one",
            field=".redact",
        ),
        Rule(
            rule="!(has(self.joinKey.input) && has(self.redact)) || !(self.joinKey.input in self.redact)",
            message="joinKey.input, '{self.joinKey.input}', is the key that labels come back by, and redact keeps it in "
            "the pod: put it into hash",
            field=".redact",
        ),
    ),
    mo.Monitoring: (
        _kept_for("labels.horizonSeconds", ">", "be shorter, or no evidence ever counts"),
        _kept_for(
            "labels.lateAfterSeconds",
            ">",
            "be shorter, or late labels are never told",
            there=" && has(self.labels.lateAfterSeconds)",
        ),
        _kept_for("drift.windowSeconds", ">=", "not be longer, or no window is ever whole"),
    ),
    mo.Drift: (
        _ordered(
            "warning",
            "critical",
            "warning, {self.warning}, is above critical, {self.critical}: lower the one or raise the other",
        ),
    ),
    mo.PerformanceBound: (
        Rule(
            rule="has(self.minimum) || has(self.maximum)",
            message="a bound of {self.metric} needs minimum, maximum or both, as in minimum: '0.8'",
            reason="FieldValueRequired",
        ),
        _ordered(
            "minimum", "maximum", "minimum, {self.minimum}, is above maximum, {self.maximum}: nothing lies between them"
        ),
    ),
    mo.PromotionMetric: only_with("expression", "Value", "what a decision is worth, as in if(output.label = 1, 50, 0)"),
    mo.Guardrail: (
        Rule(
            rule="self.type == 'SelectionRateRatio' || has(self.maximumIncrease)",
            message="type: {self.type} needs maximumIncrease, how much worse than the champion a challenger may be",
            reason="FieldValueRequired",
            field=".maximumIncrease",
        ),
        Rule(
            rule="self.type != 'SelectionRateRatio' || !has(self.maximumIncrease)",
            message="maximumIncrease has no meaning with type: {self.type}: remove it; minimum is the bound here",
            reason="FieldValueForbidden",
            field=".maximumIncrease",
        ),
        *only_with("minimum", "SelectionRateRatio", "the lowest ratio of two groups' selection rates, as in 0.8"),
        *only_with("column", "SelectionRateRatio", "the input by which groups are told apart"),
        *only_with("loss", "Loss", "the one that must not rise"),
    ),
}
"""Rules on an object, by its type."""
