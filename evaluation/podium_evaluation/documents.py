"""Evaluations as they are kept and read: by the dashboard, the reports, the metrics, and the findings.

JSON under `evaluations/namespace=…/deployment=…/` in the lake's store: a head, whose days are outlines, and the days whole
in parts of a week each, which never change. None stands for "cannot be said" (no label, one class, too few rows), never 0.

A document of 90 days has tens of thousands of figures: those that hold no container are left out of garbage collection
(`gc=False`), which makes reading one twice as fast.
"""

from datetime import datetime
from typing import Literal

import msgspec

Severity = Literal["None", "Warning", "Critical"]
Role = Literal["Champion", "Canary", "Shadow"]
Period = Literal["Hour", "Day"]


class Figure(msgspec.Struct, omit_defaults=True, gc=False):
    """A number with its 95 % interval where it has one."""

    value: float | None
    low: float | None = None
    high: float | None = None
    alert: bool = False
    """It left its bounds, or the band of the reference."""
    worse: bool = False
    """It is an alert, on the side that harms."""


class ColumnDrift(msgspec.Struct, omit_defaults=True, gc=False):
    psi: float | None
    psi_threshold: float | None = None
    severity: Severity = "None"
    alert: bool = False
    """Severity, after the multiplicity of the window's columns was taken into account."""
    statistic: float | None = None
    """Kolmogorov-Smirnov's D of a number, chi-square of a category."""
    p_value: float | None = None
    """That neither the values nor the share of missing ones moved."""
    jensen_shannon: float | None = None
    wasserstein: float | None = None


class ColumnQuality(msgspec.Struct, omit_defaults=True, gc=False):
    """Shares of the window's rows."""

    missing: float = 0.0
    out_of_range: float = 0.0
    unseen: float = 0.0
    wrong_type: float = 0.0


class Group(msgspec.Struct, omit_defaults=True):
    name: str
    rows: int
    labelled: int
    selection_rate: Figure
    true_positive_rate: Figure
    false_positive_rate: Figure


class ColumnFairness(msgspec.Struct, omit_defaults=True):
    column: str
    groups: list[Group]
    selection_rate_ratio: Figure
    equal_opportunity_difference: Figure
    equalized_odds_difference: Figure
    alert: bool = False


class Segment(msgspec.Struct, omit_defaults=True):
    column: str
    value: str
    rows: int
    labelled: int
    performance: dict[str, Figure]


class Histogram(msgspec.Struct, omit_defaults=True):
    """A column then and now, in the reference's bins; `names`, `reference` and `current` have one entry per bin."""

    column: str
    names: list[str]
    reference: list[int]
    current: list[int]


class Curve(msgspec.Struct, omit_defaults=True):
    """At most 101 points."""

    x: list[float]
    y: list[float]


class Window(msgspec.Struct, omit_defaults=True):
    """One version in one role, from `start` to before `end`, by prediction time."""

    start: datetime
    end: datetime
    rows: int
    labelled: int
    performance: dict[str, Figure] = {}
    """Keyed accuracy, balanced_accuracy, f1, log_loss, brier, auc, gini, calibration_error, lift; rmse, mae, r_squared, …;
    aic and bic where the package says the number of parameters."""
    estimated: dict[str, Figure] = {}
    """Before labels: valid only if calibrated and without concept drift."""
    drift: dict[str, ColumnDrift] = {}
    """By input column."""
    prediction_drift: dict[str, ColumnDrift] = {}
    """By output column; a probability per class is `output[class]`."""
    quality: dict[str, ColumnQuality] = {}
    fairness: list[ColumnFairness] = []
    segments: list[Segment] = []
    business: dict[str, Figure] = {}
    """Mean value per decision, by name of the KPI."""
    totals: dict[str, float] = {}
    """Sum of the value over the window's decisions with an outcome, by name of the KPI."""
    importance_shift: float | None = None
    """1 - Spearman's rank correlation of the features' importance, reference against window. Of days; the current window has
    that of the newest day."""
    diagnosis: list[str] = []
    """Of days: what explains this one, from its own rows, in sentences."""
    latency_p50_seconds: float | None = None
    latency_p99_seconds: float | None = None
    fallbacks: int = 0


class Arm(msgspec.Struct, omit_defaults=True):
    """A version in a role."""

    name: str
    """`champion` or the challenger's name."""
    version: str
    role: Role
    digest: str = ""
    days: list[Window] = []
    """The newest last, at most 90."""
    hours: list[Window] = []
    """The newest last, at most 72."""
    current: Window | None = None
    """The newest spec.monitoring.drift.windowSeconds up to the newest hour that has rows: what alerts and conditions are of.
    None: it has no row in them."""
    histograms: list[Histogram] = []
    """Of the newest day."""
    calibration: Curve | None = None
    """x predicted, y observed, over the newest labelled days."""
    roc: Curve | None = None
    lift: Curve | None = None


class Happening(msgspec.Struct, omit_defaults=True):
    """A point of the timeline."""

    at: datetime
    kind: Literal["Version", "Traffic", "Drift", "Performance", "Fairness", "Evidence", "Labels"]
    text: str
    severity: Severity = "None"


class DeploymentEvaluation(msgspec.Struct, omit_defaults=True):
    """`evaluations/namespace=<namespace>/deployment=<name>/latest.json`."""

    namespace: str
    deployment: str
    uid: str
    evaluated_at: datetime
    arms: list[Arm] = []
    label_coverage: float | None = None
    label_delay_p50_seconds: float | None = None
    label_delay_p90_seconds: float | None = None
    diagnosis: list[str] = []
    timeline: list[Happening] = []
    """The newest first, at most 200."""
    judged_by: str = ""
    """Digest of the wishes that alerts are by."""
    format: int = 0
    """DOCUMENT_FORMAT. Another one is not read: all is evaluated anew."""
    parts: dict[str, str] = {}
    """By ISO week, `2026-W47`, the name of the file below `days/` that has its days whole."""
    seen: dict[str, int] = {}
    """Digests of the summaries that it was made of: by date, `2026-11-21`, and of the newest 72 hours by `2026-11-21T13`."""


class DayOfArm(msgspec.Struct, omit_defaults=True):
    """A day of one version in one role, whole. A part is a JSON object with a list of them by date."""

    role: Role
    name: str
    version: str
    digest: str
    window: Window


DOCUMENT_FORMAT = 2


def evaluation_path(namespace: str, deployment: str) -> str:
    """Of the head, below the lake's root."""
    return f"evaluations/namespace={namespace}/deployment={deployment}/latest.json"


def days_folder(namespace: str, deployment: str) -> str:
    """Of the parts, below the lake's root."""
    return f"evaluations/namespace={namespace}/deployment={deployment}/days"


def with_outlines(document: DeploymentEvaluation) -> DeploymentEvaluation:
    """As the head has it: the newest day of each arm stays whole."""
    arms = [msgspec.structs.replace(arm, days=[*map(outline, arm.days[:-1]), *arm.days[-1:]]) for arm in document.arms]
    return msgspec.structs.replace(document, arms=arms)


def outline(day: Window) -> Window:
    """What is needed of a day for the story of all of them: without segments, groups, quality and totals, and of drift the
    alerts and what moved most."""
    return Window(
        day.start,
        day.end,
        day.rows,
        day.labelled,
        performance=day.performance,
        estimated=day.estimated,
        drift=_outlined(day.drift),
        prediction_drift=_outlined(day.prediction_drift),
        fairness=[msgspec.structs.replace(one, groups=[]) for one in day.fairness],
        business=day.business,
        importance_shift=day.importance_shift,
        diagnosis=day.diagnosis,
    )


def _outlined(columns: dict[str, ColumnDrift]) -> dict[str, ColumnDrift]:
    most = max(columns, key=lambda name: -1.0 if (psi := columns[name].psi) is None else psi, default=None)
    return {
        name: ColumnDrift(one.psi, severity=one.severity, alert=one.alert)
        for name, one in columns.items()
        if one.alert or name == most
    }
