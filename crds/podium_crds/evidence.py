"""What the monitor tells the operator and whoever else asks: evidence by challenger, and what it found, by deployment.

`GET /v1/namespaces/<namespace>/deployments/<name>/evidence` on the monitor's port, with `Authorization: Bearer
<monitor_token>`. Numbers are JSON numbers; times are RFC 3339 in UTC.
"""

import base64
import hashlib
import hmac
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Decision = Literal["NotEnoughData", "Undecided", "Better", "NotBetter", "Worse", "Recommended", "Invalid"]
"""NotEnoughData: below the units, classes or coverage that a verdict needs. NotBetter: the upper bound lies below the
minimum improvement. Recommended: Better, but the labels are selective, so people decide. Invalid: the evidence cannot be
used (a sample-ratio mismatch, arms with different label coverage); `reasons` say why."""

FindingType = Literal["DriftDetected", "PerformanceDegraded", "FairnessDegraded", "LabelsLate", "BusinessValueLow"]


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Look(_Wire):
    """One point of a confidence sequence."""

    units: int
    at: datetime
    """Prediction time of the last unit."""
    improvement: float
    low: float
    high: float


class GuardrailState(_Wire):
    name: str
    type: str
    state: Literal["Kept", "Broken", "NotEnoughData"]
    value: float | None = None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    message: str = ""


class SampleRatio(_Wire):
    """Whether units went to the arms as the plan split them (sequential multinomial test, arXiv:2011.03567)."""

    expected: dict[str, float]
    """Units by arm."""
    observed: dict[str, int]
    e_value: float
    mismatch: bool


class ChallengerEvidence(_Wire):
    name: str
    version: str
    digest: str
    mode: Literal["Shadow", "Canary"]
    nth: int
    """It is the nth challenger of this deployment's life; alpha is spent by that."""
    metric: str
    minimum_improvement: float
    alpha: float
    """Its own share."""
    tuned_for_units: int
    horizon_seconds: int
    units: int
    """That count: labelled, older than the horizon, answered by both (Shadow) or as assigned (Canary)."""
    coverage: dict[str, float] = Field(default_factory=dict)
    """Share of units with a label, by arm."""
    improvement: float | None = None
    """Mean loss of the champion minus that of the challenger, per unit."""
    low: float | None = None
    high: float | None = None
    decision: Decision
    decided_at_units: int | None = None
    reasons: list[str] = Field(default_factory=list)
    guardrails: list[GuardrailState] = Field(default_factory=list)
    sample_ratio: SampleRatio | None = None
    path: list[Look] = Field(default_factory=list)
    """At most 300 looks, spaced by the logarithm of the units."""
    data: dict[str, Any] = Field(default_factory=dict)
    """What is needed to compute it again: files, rows, order, digests."""


class Finding(_Wire):
    """Becomes a condition of the ModelDeployment: status True when it is so, False when it was looked at and is not,
    Unknown when there is not enough data to say."""

    type: FindingType
    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str
    severity: Literal["None", "Warning", "Critical"] = "None"
    since: datetime | None = None


class DeploymentEvidence(_Wire):
    namespace: str
    deployment: str
    uid: str
    evaluated_at: datetime
    labels: int = 0
    label_coverage: float | None = None
    challengers: list[ChallengerEvidence] = Field(default_factory=list)
    findings: list[Finding] = Field(default_factory=list)


def monitor_token(collector_key: bytes) -> str:
    """The operator's bearer token at the monitor, base64url(HMAC-SHA256(collector key, "podium monitor api")). Secret."""
    return base64.urlsafe_b64encode(hmac.digest(collector_key, b"podium monitor api", hashlib.sha256)).decode()
