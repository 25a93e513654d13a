"""Each alert fires for what it is meant for and nothing else, leads to its runbook, and asks for metrics that exist."""

import json
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from chart_fixtures import CHART, REPOSITORY
from podium_monitor.evaluator.figures_of import DeploymentFigures
from podium_monitor.evaluator.metrics import EvaluatorMetrics
from podium_monitor.kafka.metrics import KafkaMetrics
from podium_monitor.maintenance import MaintenanceMetrics
from podium_monitor.metrics import Metrics as CollectorMetrics
from podium_monitor.world import Watched
from podium_operator.runtime.metrics import Metrics as OperatorMetrics
from podium_serving.metrics import Metrics as ServingMetrics

ALERTS = CHART / "files" / "alerts.yaml"
DASHBOARDS = sorted((CHART / "files" / "dashboards").glob("*.json"))
CHURN, WELL = 'namespace="retention", deployment="churn"', 'namespace="retention", deployment="well"'
SUFFIX = re.compile(r"_(total|bucket|sum|count)$")

Rule = dict[str, Any]


def rules() -> list[Rule]:
    groups: list[dict[str, Any]] = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


class Fire(NamedTuple):
    """Series as promtool writes them, a value a minute. The alert fires at `minute`, once, and not at the start."""

    alert: str
    minute: int
    series: dict[str, str]
    labels: str = CHURN
    """Of the one that fires. Empty: it has none of a deployment."""


def requests(code: str, of: str, role: str = "champion") -> str:
    return f'podium_requests_total{{{of}, version="churn-3", role="{role}", code="{code}"}}'


def bucket(edge: str, of: str) -> str:
    return f'podium_request_duration_seconds_bucket{{{of}, le="{edge}"}}'


def finding(type_: str, of: str = CHURN) -> str:
    return f'podium_monitor_finding{{{of}, type="{type_}"}}'


def both(name: str, bad: str, good: str, more: str = "") -> dict[str, str]:
    """One deployment in trouble, one that is well."""
    return {f"{name}{{{CHURN}{more}}}": bad, f"{name}{{{WELL}{more}}}": good}


FIRES = [
    Fire("PodiumNoPodAnswers", 3, both("podium_operator_champion_pods", "2 0x30", "2x30")),
    Fire(
        "PodiumErrorRateHigh",
        15,
        {
            requests("200", CHURN): "0x5 0+594x30",
            requests("503", CHURN): "0x5 0+30x30",
            requests("200", WELL): "0+594x35",
            requests("503", WELL): "0+3x35",
        },
    ),
    Fire(
        "PodiumLatencyHigh",
        30,
        {
            **{bucket(edge, CHURN): f"0x5 0+{count}x40" for edge, count in (("0.1", 50), ("0.6", 60), ("+Inf", 60))},
            f"podium_request_duration_seconds_count{{{CHURN}}}": "0x5 0+60x40",
            **{bucket(edge, WELL): "0+60x45" for edge in ("0.1", "0.6", "+Inf")},
            f"podium_request_duration_seconds_count{{{WELL}}}": "0+60x45",
        },
    ),
    Fire("PodiumDeploymentStalled", 6, both("podium_operator_condition", "0 1x30", "0x30", ', type="Stalled"')),
    Fire("PodiumSwapStuck", 21, both("podium_operator_condition", "0 1x40", "1x15 0x30", ', type="Reconciling"')),
    Fire("PodiumAnswersUnderAnOldPlan", 5, both("podium_late_requests_total", "0x4 3x20", "3x30")),
    Fire(
        "PodiumChallengerFallsBack",
        22,
        {
            **both("podium_fallbacks_total", "0x5 0+30x40", "0+1x45", ', challenger="rival", reason="Timeout"'),
            requests("200", CHURN, "challenger"): "0+30x45",
            requests("200", WELL, "challenger"): "0+99x45",
        },
    ),
    Fire("PodiumCertificateEnds", 61, both("podium_certificate_end_timestamp_seconds", "0 604000x90", "9999999999x90")),
    Fire("PodiumNoLeader", 4, {"podium_operator_leader{}": "1 0x20"}, ""),
    Fire(
        "PodiumReconcileErrors",
        38,
        {'podium_operator_reconcile_errors_total{kind="ModelVersion", error="Forbidden"}': "0x5 0+1x60"},
        'kind="ModelVersion"',
    ),
    Fire("PodiumOperatorBehind", 11, {"podium_operator_queue_oldest_seconds{}": "0 90x30"}, ""),
    Fire(
        "PodiumMonitorUnreachable",
        24,
        {
            'podium_operator_monitor_requests_total{outcome="Failed"}': "0x5 0+9x40",
            'podium_operator_monitor_requests_total{outcome="Answered"}': "0+3x45",
        },
        "",
    ),
    Fire(
        "PodiumCaptureDrops",
        22,
        {
            **both("podium_capture_events_total", "0x5 0+9x40", "0x45", ', outcome="Dropped"'),
            **both("podium_capture_events_total", "0+99x45", "0+99x45", ', outcome="Accepted"'),
        },
    ),
    Fire(
        "PodiumCollectorRefuses",
        22,
        {
            'podium_monitor_batches_total{code="429"}': "0x5 0+9x40",
            'podium_monitor_batches_total{code="200"}': "0+90x45",
        },
        'code="429"',
    ),
    Fire("PodiumLakeStuck", 6, {"podium_monitor_oldest_unacknowledged_seconds{}": "0 70x20"}, ""),
    Fire("PodiumLakeNotKept", 4, {"podium_monitor_maintenance_failures_total{}": "0 2 4 6 8 8 8 8"}, ""),
    Fire(
        "PodiumKafkaStalled",
        6,
        {
            'podium_monitor_kafka_stalled_seconds{direction="Sink",topic="a"}': "0 301x20",
            'podium_monitor_kafka_stalled_seconds{direction="Source"}': "0x21",
        },
        "",
    ),
    Fire("PodiumEvaluationLate", 16, both("podium_monitor_evaluation_lag_seconds", "60 4000x30", "60x30")),
    Fire("PodiumEvaluationFails", 4, both("podium_monitor_evaluation_errors_total", "0 1 2 3 4x20", "0 1 1x20")),
    Fire("PodiumDriftDetected", 1, both("podium_monitor_finding", "0 2x5", "0x6", ', type="DriftDetected"')),
    Fire("PodiumPerformanceDegraded", 1, both("podium_monitor_finding", "0 1x5", "0x6", ', type="PerformanceDegraded"')),
    Fire("PodiumFairnessDegraded", 1, both("podium_monitor_finding", "0 2x5", "0x6", ', type="FairnessDegraded"')),
    Fire("PodiumLabelsLate", 61, both("podium_monitor_finding", "0 1x90", "0x90", ', type="LabelsLate"')),
    Fire("PodiumBusinessValueLow", 1, both("podium_monitor_finding", "0 1x5", "0x6", ', type="BusinessValueLow"')),
    Fire("PodiumSampleRatioMismatch", 1, both("podium_monitor_challenger_sample_ratio_mismatch", "0 1x5", "0x6")),
    Fire("PodiumGuardrailBroken", 1, both("podium_monitor_challenger_guardrail_broken", "0 1x5", "0x6")),
    Fire("PodiumChallengerBetter", 1, both("podium_monitor_challenger_decision", "0 1x5", "0x6", ', decision="Better"')),
]


def scraped(series: str) -> str:
    """With a label of the target that told it."""
    name, _, labels = series.removesuffix("}").partition("{")
    every = ", ".join(word for word in (labels, 'pod="podium-1"') if word)
    return f"{name}{{{every}}}"


def promtool_test(case: Fire) -> dict[str, Any]:
    """Which deployments the alert fires for: none before, one then, and not as the matter of the pod that told."""
    of = "alertname, namespace, deployment, kind, code, pod"
    asked = f'count by ({of}) (ALERTS{{alertname="{case.alert}", alertstate="firing"}})'
    labels = ", ".join(word for word in (f'alertname="{case.alert}"', case.labels) if word)
    return {
        "name": case.alert,
        "interval": "1m",
        "input_series": [{"series": scraped(series), "values": values} for series, values in case.series.items()],
        "promql_expr_test": [
            {"expr": asked, "eval_time": "0m", "exp_samples": []},
            {"expr": asked, "eval_time": f"{case.minute}m", "exp_samples": [{"labels": f"{{{labels}}}", "value": 1}]},
        ],
    }


def test_each_alert_fires_for_the_deployment_in_trouble_alone(tmp_path: Path) -> None:
    """Debian's promtool; `python hack/cluster packages` installs it."""
    shutil.copy(ALERTS, tmp_path)
    tests = {"rule_files": ["alerts.yaml"], "evaluation_interval": "1m", "tests": [promtool_test(case) for case in FIRES]}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(tests))
    ran = subprocess.run(
        ["promtool", "test", "rules", str(tmp_path / "tests.yaml")], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_no_alert_goes_untried() -> None:
    assert {case.alert for case in FIRES} == {rule["alert"] for rule in rules()}


def test_each_alert_has_its_runbook_and_no_runbook_is_left_over() -> None:
    page = (REPOSITORY / "docs" / "guide" / "alerts.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (Podium\w+)$", page, re.MULTILINE) == list(dict.fromkeys(rule["alert"] for rule in rules()))
    links = re.findall(r"\[(Podium\w+)\]\(#(\w+)\)", page)
    assert links
    assert all(anchor == name.lower() and f"## {name}\n" in page for name, anchor in links)


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in rules()])
def test_each_alert_says_how_bad_it_is_and_what_happened(rule: Rule) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert set(rule["annotations"]) == {"summary", "description"}


def metrics_of(expression: str) -> set[str]:
    return {SUFFIX.sub("", name) for name in re.findall(r"\b(?:podium|process)_[a-z0-9_]+", expression)}


class Nothing:
    """A world without deployments: what is told of them is named all the same."""

    why_not_ready = ""

    def deployments(self) -> list[Watched]:
        return []

    def find(self, namespace: str, name: str) -> None:
        return None


@cache
def metrics_told() -> set[str]:
    """By scoring pods, operator, collector and evaluator, as each of them makes its own."""
    collector, evaluator = CollectorMetrics(), EvaluatorMetrics()
    MaintenanceMetrics(collector.registry)
    KafkaMetrics(collector.registry)
    figures = DeploymentFigures(Nothing())
    evaluator.registry.register(figures)
    registries = [OperatorMetrics().registry, collector.registry, evaluator.registry]
    names = {family.name for registry in registries for family in registry.collect()}
    return names | {family.name for family in ServingMetrics("retention", "churn").families()}


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in rules()])
def test_each_alert_asks_for_metrics_that_exist(rule: Rule) -> None:
    assert metrics_of(rule["expr"]) - metrics_told() == set()


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_each_panel_asks_for_metrics_that_exist_and_overlaps_no_other(path: Path) -> None:
    dashboard = json.loads(path.read_text(encoding="utf-8"))
    places: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            assert metrics_of(target["expr"]), panel["title"]
            assert metrics_of(target["expr"]) - metrics_told() == set()
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not places & cells
        places |= cells
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    assert all(x < 24 for x, _ in places)
