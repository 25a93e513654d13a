"""The monitor as the chart renders it: two processes in one pod, of which one asks the API server; and its watchers."""

import json
import re
from typing import Any

import pytest
import yaml

from chart_fixtures import CHART, REPOSITORY
from podium_monitor.kafka.settings import kafka_settings
from podium_monitor.lake.opening import lake_settings

Manifest = dict[str, Any]


@pytest.fixture(scope="session")
def monitor(manifests: list[Manifest]) -> Manifest:
    [found] = [found for found in manifests if found["kind"] == "StatefulSet"]
    return dict(found["spec"]["template"]["spec"])


def containers(monitor: Manifest) -> dict[str, Manifest]:
    return {container["name"]: container for container in monitor["containers"]}


def environment(container: Manifest) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "from-a-secret") for entry in container["env"]}


def test_every_variable_is_one_that_the_monitor_reads(monitor: Manifest) -> None:
    code = "".join(path.read_text("utf-8") for path in (REPOSITORY / "monitor" / "podium_monitor").rglob("*.py"))
    known = set(re.findall(r"PODIUM_[A-Z0-9_]+", code))
    for name, container in containers(monitor).items():
        assert {key for key in environment(container) if key.startswith("PODIUM_")} - known == set(), name


def test_both_processes_read_one_lake(monitor: Manifest) -> None:
    collector, evaluator = (lake_settings(environment(found)) for found in containers(monitor).values())
    assert collector == evaluator
    mounts = {name: {m["name"] for m in found["volumeMounts"]} for name, found in containers(monitor).items()}
    wanted = "cache" if collector.address.startswith("s3://") else "lake"
    assert wanted in mounts["collector"] & mounts["evaluator"]


def test_the_collector_has_no_token_of_the_api_server(monitor: Manifest) -> None:
    assert monitor["automountServiceAccountToken"] is False
    [api] = [volume for volume in monitor["volumes"] if "projected" in volume]
    holders = [
        name
        for name, found in containers(monitor).items()
        if any(mount["name"] == api["name"] for mount in found["volumeMounts"])
    ]
    assert holders == ["evaluator"]


def test_each_mounted_volume_is_there_and_no_other(manifests: list[Manifest], monitor: Manifest) -> None:
    [whole] = [found for found in manifests if found["kind"] == "StatefulSet"]
    claims = {claim["metadata"]["name"] for claim in whole["spec"].get("volumeClaimTemplates", [])}
    mounted = {mount["name"] for found in monitor["containers"] for mount in found["volumeMounts"]}
    assert mounted == claims | {volume["name"] for volume in monitor["volumes"]}


def test_files_that_the_environment_names_are_mounted(monitor: Manifest) -> None:
    for container in monitor["containers"]:
        folders = tuple(mount["mountPath"] + "/" for mount in container["volumeMounts"])
        named = [value for name, value in environment(container).items() if name.endswith("_FILE")]
        assert named
        assert all(value.startswith(folders) for value in named)


def test_the_service_leads_to_each_port_whatever_the_other_does(manifests: list[Manifest], monitor: Manifest) -> None:
    [service] = [found for found in manifests if found["kind"] == "Service" and "-monitor" in found["metadata"]["name"]]
    ports = {port["name"]: port["containerPort"] for found in monitor["containers"] for port in found["ports"]}
    assert {port["targetPort"]: port["port"] for port in service["spec"]["ports"]} == ports
    assert service["spec"]["publishNotReadyAddresses"] is True


def test_only_the_operator_and_who_is_named_reach_the_evaluator(manifests: list[Manifest]) -> None:
    policies = {found["metadata"]["name"]: found["spec"] for found in manifests if found["kind"] == "NetworkPolicy"}
    [rule] = [rule for rule in policies["podium-monitor"]["ingress"] if rule["ports"][0]["port"] == 8091]
    assert rule["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "operator"
    assert len(rule["from"]) == 2
    outwards = [port["port"] for rule in policies["podium-operator"]["egress"] for port in rule["ports"]]
    assert 8091 in outwards


def test_the_monitor_may_call_what_it_is_told_to_call(manifests: list[Manifest], monitor: Manifest) -> None:
    policies = {found["metadata"]["name"]: found["spec"] for found in manifests if found["kind"] == "NetworkPolicy"}
    open_ports = {port["port"] for rule in policies["podium-monitor"]["egress"] for port in rule["ports"]}
    told = environment(containers(monitor)["evaluator"])
    called = [told[name] for name in ("PODIUM_LAKE_S3_ENDPOINT", "PODIUM_OIDC_ISSUER") if name in told]
    ports = {int(found[1]) for url in called if (found := re.search(r":([0-9]+)(/|$)", url))}
    webhooks = {443, 8080} if "PODIUM_RECEIVERS_FILE" in told else set()
    kafka = kafka_settings(without_files(environment(containers(monitor)["collector"])))
    brokers = {int(one.rpartition(":")[2]) for one in kafka.access.brokers.split(",")} | {8444} if kafka else set()
    assert open_ports == {53, 443, 6443} | ports | webhooks | brokers


def without_files(told: dict[str, str]) -> dict[str, str]:
    """What the collector is told of Kafka, as far as it can be read without its pod's files."""
    return {name: value for name, value in told.items() if not name.endswith(("_FILE", "_DIR", "_SASL"))}


def test_what_the_chart_says_of_kafka_is_what_the_collector_reads(monitor: Manifest) -> None:
    collector = containers(monitor)["collector"]
    kafka = kafka_settings(without_files(environment(collector)))
    if kafka is None:
        assert not [name for name in environment(collector) if "KAFKA" in name]
        return
    assert kafka.access.tls
    assert [(one.topic, one.deployments, one.holds) for one in kafka.sources] == [
        ("churn-labels", ("retention/churn",), ("Labels",))
    ]
    assert [(one.topic, one.covers("retention", "churn")) for one in kafka.sinks] == [("podium-retention", True)]
    assert (kafka.group, kafka.start, kafka.dead_letter_topic) == ("podium-collector", "Earliest", "podium-dead-letters")
    folders = {mount["mountPath"] for mount in collector["volumeMounts"]}
    assert {value for name, value in environment(collector).items() if name.endswith("_DIR") and "KAFKA" in name} <= folders
    assert environment(collector)["PODIUM_KAFKA_TOKEN_URL"] == "https://id.example.com:8444/token"


def test_each_alert_leads_to_its_runbook(manifests: list[Manifest]) -> None:
    written = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    for manifest in (found for found in manifests if found["kind"] == "PrometheusRule"):
        for group, source in zip(manifest["spec"]["groups"], written, strict=True):
            for rule, plain in zip(group["rules"], source["rules"], strict=True):
                link = f"https://docs.example.com/podium/alerts#{plain['alert'].lower()}"
                assert rule == {**plain, "annotations": {**plain["annotations"], "runbook_url": link}}


def test_dashboards_are_what_grafana_reads(manifests: list[Manifest]) -> None:
    for manifest in (found for found in manifests if found["metadata"]["name"].endswith("-dashboards")):
        assert manifest["metadata"]["labels"]["grafana_dashboard"] == "1"
        read = {name: json.loads(text)["title"] for name, text in manifest["data"].items()}
        assert read == {"podium-monitor.json": "Podium: monitor", "podium-serving.json": "Podium: serving"}


def test_rules_and_dashboards_come_where_they_are_asked_for(manifests: list[Manifest], monitor: Manifest) -> None:
    """`monitor` stands for the values: with all of them, people sign in by OpenID Connect."""
    kinds = [found["kind"] for found in manifests]
    all_values = "PODIUM_OIDC_ISSUER" in environment(containers(monitor)["evaluator"])
    assert ("PrometheusRule" in kinds, "ConfigMap" in kinds) == (all_values, all_values)
