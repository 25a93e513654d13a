"""What Prometheus is told of deployments: figures of their documents, kept when they are evaluated, told at each scrape.
Names: docs/guide/monitoring.md."""

import time
from collections.abc import Iterator, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from podium_crds.evidence import DeploymentEvidence, Finding
from podium_evaluation.documents import Arm, DeploymentEvaluation, Figure, Window
from podium_monitor.evaluations.findings import severity_number
from podium_monitor.world import Watched, World

_MOST_COLUMNS = 50
_OF_VERSION = ["namespace", "deployment", "version", "role"]
_OF_DEPLOYMENT = ["namespace", "deployment"]
_PREFIX = "podium_monitor_"
_FAMILIES: dict[str, tuple[str, list[str]]] = {
    "evaluated_timestamp_seconds": ("When it was last evaluated, unix time.", _OF_DEPLOYMENT),
    "evaluation_lag_seconds": ("How long ago it was last evaluated.", _OF_DEPLOYMENT),
    "label_coverage": ("Share of predictions that should have a label by now and have one.", _OF_DEPLOYMENT),
    "label_delay_seconds": ("From prediction to label.", [*_OF_DEPLOYMENT, "quantile"]),
    "finding": ("0: not so, 1: warning, 2: critical.", [*_OF_DEPLOYMENT, "type"]),
    "rows": ("Predictions of the window.", _OF_VERSION),
    "labelled_rows": ("Predictions of the window with a known truth.", _OF_VERSION),
    "drift_psi": ("Population stability index, in nats.", [*_OF_VERSION, "column"]),
    "drift_alert": ("1 where the drift is an alert.", [*_OF_VERSION, "column"]),
    "missing_share": ("Share of rows without a value.", [*_OF_VERSION, "column"]),
    "performance": ("A figure of performance.", [*_OF_VERSION, "metric"]),
    "performance_low": ("Its 95 % interval.", [*_OF_VERSION, "metric"]),
    "performance_high": ("Its 95 % interval.", [*_OF_VERSION, "metric"]),
    "performance_alert": ("1 where it left its bounds or its usual range.", [*_OF_VERSION, "metric"]),
    "estimated_performance": ("Before labels; valid only if calibrated, without concept drift.", [*_OF_VERSION, "metric"]),
    "fairness_ratio": ("Lowest over highest selection rate.", [*_OF_VERSION, "column"]),
    "fairness_ratio_low": ("Its 95 % interval.", [*_OF_VERSION, "column"]),
    "fairness_ratio_high": ("Its 95 % interval.", [*_OF_VERSION, "column"]),
    "business_value": ("Mean value per decision.", [*_OF_VERSION, "kpi"]),
    "business_value_low": ("Its 95 % interval.", [*_OF_VERSION, "kpi"]),
    "business_value_high": ("Its 95 % interval.", [*_OF_VERSION, "kpi"]),
    "challenger_units": ("Units that count as evidence.", [*_OF_DEPLOYMENT, "challenger"]),
    "challenger_improvement": ("Mean loss of the champion minus that of the challenger.", [*_OF_DEPLOYMENT, "challenger"]),
    "challenger_improvement_low": ("Its confidence sequence.", [*_OF_DEPLOYMENT, "challenger"]),
    "challenger_improvement_high": ("Its confidence sequence.", [*_OF_DEPLOYMENT, "challenger"]),
    "challenger_decision": ("1 for the decision that stands.", [*_OF_DEPLOYMENT, "challenger", "decision"]),
    "challenger_guardrail_broken": ("1 where it is.", [*_OF_DEPLOYMENT, "challenger", "guardrail"]),
    "challenger_sample_ratio_mismatch": ("1 where units went elsewhere.", [*_OF_DEPLOYMENT, "challenger"]),
}

_Sample = tuple[str, Sequence[str], float | None]
"""Family, label values behind those of the deployment, value; None is left out."""


class DeploymentFigures(Collector):
    """Written by the evaluator's thread, read by the scraper's."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._samples: dict[tuple[str, str], list[tuple[str, Sequence[str], float]]] = {}

    def note(
        self,
        watched: Watched,
        document: DeploymentEvaluation | None,
        findings: Sequence[Finding],
        evidence: DeploymentEvidence | None,
    ) -> None:
        """What is known of a deployment now. Documents are large: of them only what is told is kept."""
        found = [*_of_document(document), *_of_findings(findings), *_of_evidence(evidence)]
        samples = {(name, *labels): value for name, labels, value in found if value is not None}
        # By labels: one version in two arms of one role would be one series twice, which no scraper takes.
        self._samples[watched.namespace, watched.name] = [
            (name, labels, float(value)) for (name, *labels), value in samples.items()
        ]

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        families = {
            name: GaugeMetricFamily(_PREFIX + name, help_text, labels=labels)
            for name, (help_text, labels) in _FAMILIES.items()
        }
        for watched in self._world.deployments():
            place = (watched.namespace, watched.name)
            for name, labels, value in self._samples.get(place, ()):
                families[name].add_metric([*place, *labels], value)
                if name == "evaluated_timestamp_seconds":
                    families["evaluation_lag_seconds"].add_metric(place, max(0.0, time.time() - value))
        yield from families.values()


def _of_document(document: DeploymentEvaluation | None) -> Iterator[_Sample]:
    if document is None:
        return
    yield "evaluated_timestamp_seconds", (), document.evaluated_at.timestamp()
    yield "label_coverage", (), document.label_coverage
    yield "label_delay_seconds", ("0.5",), document.label_delay_p50_seconds
    yield "label_delay_seconds", ("0.9",), document.label_delay_p90_seconds
    for arm in document.arms:
        if arm.current is not None:
            yield from _of_window(arm, arm.current)


def _of_window(arm: Arm, window: Window) -> Iterator[_Sample]:
    place = (arm.version, arm.role.lower())
    yield "rows", place, window.rows
    yield "labelled_rows", place, window.labelled
    drifts = {**window.drift, **window.prediction_drift}
    for name in sorted(drifts, key=lambda one: -(drifts[one].psi or 0.0))[:_MOST_COLUMNS]:
        yield "drift_psi", (*place, name), drifts[name].psi
        yield "drift_alert", (*place, name), drifts[name].alert
    for name in sorted(window.quality, key=lambda one: -window.quality[one].missing)[:_MOST_COLUMNS]:
        yield "missing_share", (*place, name), window.quality[name].missing
    for name, figure in window.performance.items():
        yield from _bounded("performance", (*place, name), figure)
        yield "performance_alert", (*place, name), figure.alert
    for name, figure in window.estimated.items():
        yield "estimated_performance", (*place, name), figure.value
    for one in window.fairness:
        yield from _bounded("fairness_ratio", (*place, one.column), one.selection_rate_ratio)
    for name, figure in window.business.items():
        yield from _bounded("business_value", (*place, name), figure)


def _bounded(family: str, labels: Sequence[str], figure: Figure) -> Iterator[_Sample]:
    yield family, labels, figure.value
    yield f"{family}_low", labels, figure.low
    yield f"{family}_high", labels, figure.high


def _of_findings(findings: Sequence[Finding]) -> Iterator[_Sample]:
    for finding in findings:
        yield "finding", (finding.type,), severity_number(finding)


def _of_evidence(evidence: DeploymentEvidence | None) -> Iterator[_Sample]:
    for one in evidence.challengers if evidence else ():
        yield "challenger_units", (one.name,), one.units
        yield "challenger_improvement", (one.name,), one.improvement
        yield "challenger_improvement_low", (one.name,), one.low
        yield "challenger_improvement_high", (one.name,), one.high
        yield "challenger_decision", (one.name, one.decision), 1.0
        for guardrail in one.guardrails:
            yield "challenger_guardrail_broken", (one.name, guardrail.name), guardrail.state == "Broken"
        if one.sample_ratio is not None:
            yield "challenger_sample_ratio_mismatch", (one.name,), one.sample_ratio.mismatch
