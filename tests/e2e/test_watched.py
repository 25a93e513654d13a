"""The chart's rules and dashboards beside the series that a real Prometheus scraped while the story was told.

promtool tries the rules with series that tests made up; here names and labels are those that pods and processes tell.
"""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from chart_fixtures import CHART
from demo import prometheus
from demo.kubectl import Kubectl
from demo.manifests import NAMESPACE
from demo.prometheus import Prometheus
from demo.prometheus_pod import PLACE
from demo.where import Where
from ports import free_port

pytestmark = pytest.mark.e2e

ON_EVENT = {
    "podium_fallbacks_total": "a challenger fails or is late, or a request has no sticky key",
    "podium_certificate_end_timestamp_seconds": "an endpoint has TLS",
    "podium_operator_reconcile_errors_total": "a reconcile fails",
    "podium_monitor_kafka_stalled_seconds": "Kafka is configured",
    "podium_monitor_evaluation_errors_total": "an evaluation fails",
    "podium_monitor_challenger_sample_ratio_mismatch": "a canary is judged: a shadow has no split",
    "podium_monitor_challenger_guardrail_broken": "spec.promotion has guardrails",
    "podium_monitor_label_coverage": "a whole hour is as old as labels should be: the story takes minutes",
}
"""Series that begin with an event which the story need not have, and the event."""
VARIABLES = {"$namespace": NAMESPACE, "$deployment": "churn", "$metric": ".*", "$__rate_interval": "30s"}
SELECTOR = re.compile(r"\b((?:podium|process)_[a-z0-9_]+)(?:\{([^}]*)\})?")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")

Json = dict[str, Any]


def rules() -> list[Json]:
    groups: list[Json] = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboards() -> list[Json]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted((CHART / "files" / "dashboards").glob("*.json"))]


CHOICES = [
    pytest.param(choice["query"]["query"], id=f"{dashboard['title']} {choice['name']}")
    for dashboard in dashboards()
    for choice in dashboard["templating"]["list"]
    if choice["type"] == "query"
]


def filled(expression: str) -> str:
    """As Grafana asks it, with the demo's deployment chosen."""
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def selected(expression: str) -> list[tuple[str, set[str]]]:
    """Each series' name with the labels that its matchers name."""
    return [(name, set(LABEL.findall(matchers or ""))) for name, matchers in SELECTOR.findall(expression)]


TARGETS = [
    pytest.param(target, id=f"{panel['title']}-{number}")
    for dashboard in dashboards()
    for panel in dashboard["panels"]
    for number, target in enumerate(panel["targets"])
    if not {name for name, _ in selected(target["expr"])} & ON_EVENT.keys()
]


@pytest.fixture(scope="module")
def watcher(where: Where, report: Json) -> Iterator[Prometheus]:
    with prometheus.reached(where, free_port()) as found:
        yield found


@pytest.fixture(scope="module")
def told(watcher: Prometheus) -> dict[str, set[str]]:
    """Names of all series of the last hour, each with its labels."""
    begin = int(time.time()) - 3600
    found: dict[str, set[str]] = {}
    for series in watcher.ask(f"series?match[]=%7B__name__=~%22(podium|process)_.*%22%7D&start={begin}"):
        found.setdefault(series["__name__"], set()).update(series)
    return found


def test_every_part_is_scraped_and_none_fails(where: Where, watcher: Prometheus) -> None:
    def all_up() -> list[Json] | None:
        found: list[Json] = watcher.ask("targets?state=active")["activeTargets"]
        return found if all(target["health"] == "up" for target in found) else None

    targets = Kubectl(where, PLACE).wait("every target answers within the time of a scrape", all_up, 120)
    parts = {(target["labels"]["job"], target["labels"]["endpoint"]) for target in targets}
    assert parts == {
        ("podium-operator", "health"),
        ("podium-monitor", "http"),
        ("podium-monitor", "evaluator"),
        ("podium-system/podium-scoring", "http"),
    }


def test_every_rule_of_the_chart_is_judged_without_an_error(watcher: Prometheus) -> None:
    judged = [rule for group in watcher.ask("rules")["groups"] for rule in group["rules"]]
    assert sorted(rule["name"] for rule in judged) == sorted(rule["alert"] for rule in rules())
    assert [(rule["name"], rule.get("lastError")) for rule in judged if rule["health"] != "ok"] == []


@pytest.mark.parametrize("rule", [pytest.param(rule, id=rule["alert"]) for rule in rules()])
def test_each_rule_names_series_and_labels_that_are_told(told: dict[str, set[str]], rule: Json) -> None:
    asked = selected(rule["expr"])
    assert {name for name, _ in asked} - told.keys() - ON_EVENT.keys() == set()
    present = [(name, labels) for name, labels in asked if name in told]
    assert [(name, labels - told[name]) for name, labels in present if labels - told[name]] == []
    written = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
    known = {label for name, _ in present for label in told[name]}
    assert not present or written <= known


@pytest.mark.parametrize("target", TARGETS)
def test_each_panel_shows_what_happened(watcher: Prometheus, target: Json) -> None:
    now = time.time()
    found = watcher.series(filled(target["expr"]), now - 3600, now)
    assert found
    legend = set(re.findall(r"{{\s*(\w+)\s*}}", target["legendFormat"]))
    assert all(legend <= series["metric"].keys() for series in found)


@pytest.mark.parametrize("query", CHOICES)
def test_each_choice_of_a_dashboard_has_something_to_choose(watcher: Prometheus, query: str) -> None:
    read = re.fullmatch(r"label_values\((.*), (\w+)\)", filled(query))
    assert read
    now = time.time()
    assert all(read[2] in series["metric"] for series in watcher.series(read[1], now - 3600, now))
    assert watcher.series(read[1], now - 3600, now)
