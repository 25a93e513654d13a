"""What is watched of a deployment: drift, performance, fairness, money, and the evidence for and against challengers.

The monitor reads it; none of it goes to the pods but what `spec.capture` keeps.
"""

from typing import Annotated, Literal

from pydantic import Field

from podium_crds.v1alpha1.meta import ColumnName, Kubernetes, names, text

DECIMAL_PATTERN = r"^-?[0-9]{1,15}(\.[0-9]{1,9})?$"
Fraction = Annotated[
    str,
    text(r"^(0(\.[0-9]{1,9})?|1(\.0{1,9})?)$", "is no fraction: write a number from 0 to 1, as in 0.05", max_length=11),
]
Decimal = Annotated[
    str,
    text(
        DECIMAL_PATTERN,
        "is no decimal number: write digits with at most nine behind the point, as in 0.01 or -12.5",
        max_length=26,
    ),
]
Amount = Annotated[
    str,
    text(
        r"^[0-9]{1,15}(\.[0-9]{1,9})?$",
        "is no amount: write a number that is not below 0, with at most nine digits behind the point, as in 0.25",
        max_length=25,
    ),
]
Chance = Annotated[
    str,
    text(
        r"^0\.[0-9]*[1-9][0-9]*$",
        "is no chance: write a number above 0 and below 1, as in 0.05",
        max_length=11,
    ),
]
EntryName = Annotated[
    str,
    text(
        r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        "is no name: use lower-case letters, digits and '-', with a letter or digit at both ends",
        max_length=40,
    ),
]
Expression = Annotated[str, Field(min_length=1, max_length=1024)]
"""Arithmetic, comparisons, and/or/not, if(…) over columns of a decision: docs/guide/evidence.md has the grammar."""

PerformanceMetric = Literal[
    "Accuracy", "BalancedAccuracy", "F1", "LogLoss", "Brier", "Auc", "Rmse", "Mae", "RSquared", "CalibrationError"
]
Loss = Literal["ZeroOne", "Brier", "LogLoss", "AbsoluteError", "SquaredError"]
LossMetric = Literal[Loss, "Value"]
"""Means of a loss per unit, so that a confidence sequence holds for them. Value: the negative of an expression's value."""


class Prediction(Kubernetes):
    """Which output is compared with the label. Absent: what the package says of its outputs."""

    output: ColumnName | None = None
    """A label, a probability per class, or a number."""
    positive_class: Annotated[str, Field(max_length=128)] | None = None
    """Of two classes, the one whose probability is the score. Absent: the last one."""


class Labels(Kubernetes):
    """What is known of the truth, and when."""

    horizon_seconds: Annotated[int, Field(ge=0, le=31_536_000)] = 86_400
    """Evidence counts predictions older than this only: by then a label that comes has come, whatever it says. A day: labels
    that are sooner lose nothing but the wait, and those that are later are noticed before there is a verdict."""
    late_after_seconds: Annotated[int, Field(ge=60, le=31_536_000)] | None = None
    """LabelsLate is told when predictions of this age lack labels more than `minimumCoverage` allows. Absent: never."""
    minimum_coverage: Fraction = "0.5"
    """Share of an arm's predictions older than the horizon that must have a label before evidence decides anything."""
    selective: Literal["Never", "DecisionHidesOutcome"] = "Never"
    """DecisionHidesOutcome: a rejected loan has no outcome. Then shadows recommend and never decide."""


class Drift(Kubernetes):
    """When a column counts as drifted. PSI in nats, and only beyond what its window's size makes by chance."""

    warning: Amount = "0.1"
    critical: Amount = "0.25"
    window_seconds: Annotated[int, Field(ge=3600, le=2_678_400)] = 86_400
    false_alert_rate: Chance = "0.05"
    """Of one window's columns together (Benjamini-Hochberg)."""


class PerformanceBound(Kubernetes):
    """A metric that must not leave its bounds, by its interval: chance alone raises no alarm."""

    metric: PerformanceMetric
    minimum: Decimal | None = None
    maximum: Decimal | None = None


class Fairness(Kubernetes):
    """Groups that must be treated alike."""

    protected: Annotated[list[ColumnName], names(min_length=1, max_length=10)]
    """Inputs that were captured, redacted ones excepted."""
    minimum_ratio: Fraction = "0.8"
    """Of the lowest to the highest selection rate of a column's groups (four-fifths rule)."""


class Kpi(Kubernetes):
    """What a decision is worth, from its prediction and its outcome."""

    name: EntryName
    expression: Expression
    unit: Annotated[str, Field(max_length=16)] = ""
    minimum: Decimal | None = None
    """Mean per decision, below which BusinessValueLow is told."""


class Monitoring(Kubernetes):
    """Absent parts have their defaults; an empty one watches drift and performance all the same."""

    prediction: Prediction = Prediction()
    labels: Labels = Labels()
    drift: Drift = Drift()
    performance: Annotated[list[PerformanceBound], Field(max_length=10)] = []
    segments: Annotated[list[ColumnName], names(max_length=10)] = []
    """Inputs by whose values performance is told apart; numbers in the reference's quarters."""
    fairness: Fairness | None = None
    business: Annotated[list[Kpi], Field(max_length=10)] = []
    retention_days: Annotated[int, Field(ge=1, le=36_500)] | None = None
    """Whole days (UTC) after which the monitor deletes captured predictions and labels. Absent: as the installation has it,
    whose maximum holds here too."""


class PromotionMetric(Kubernetes):
    """By what a challenger is better."""

    type: LossMetric = "LogLoss"
    expression: Expression | None = None
    """Value only, and required there."""
    minimum_improvement: Decimal = "0"
    """The lower bound of the improvement must lie above it."""
    alpha: Chance = "0.05"
    """Chance of any false verdict over the deployment's life, all its challengers together."""


class Guardrail(Kubernetes):
    """What a better challenger must not pay for with."""

    name: EntryName
    type: Literal["ErrorRate", "P99", "SelectionRateRatio", "Loss"]
    maximum_increase: Amount | None = None
    """Against the champion. ErrorRate: absolute. P99: relative. Loss: absolute, of `loss`. Not for SelectionRateRatio."""
    minimum: Fraction | None = None
    """SelectionRateRatio only, and required there."""
    loss: Loss | None = None
    """Loss only, and required there."""
    column: ColumnName | None = None
    """SelectionRateRatio only, and required there: the protected input."""


class Promotion(Kubernetes):
    """What counts as evidence that a challenger should be champion."""

    metric: PromotionMetric = PromotionMetric()
    guardrails: Annotated[list[Guardrail], Field(max_length=10)] = []
