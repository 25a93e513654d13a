"""The demo's Prometheus looks where the chart's monitors say, with the rights for it and no others."""

from typing import Any

import pytest
import yaml

from demo import scraping
from demo.prometheus_pod import Images, manifests, rights

Manifest = dict[str, Any]


def monitor(kind: str, endpoints: str, selector: Manifest, **more: Any) -> Manifest:
    ports = [{"port": "health", "path": "/metrics", "interval": "5s", "honorLabels": True}]
    return {
        "kind": kind,
        "metadata": {"name": "podium-part", "namespace": "podium-system"},
        "spec": {"selector": selector, endpoints: ports, **more},
    }


OF_SERVICE = monitor("ServiceMonitor", "endpoints", {"matchLabels": {"app.kubernetes.io/name": "podium"}})
EXISTS = {"matchExpressions": [{"key": "podium.dev/deployment", "operator": "Exists"}]}
OF_PODS = monitor("PodMonitor", "podMetricsEndpoints", EXISTS, namespaceSelector={"any": True})
RULES = {"kind": "PrometheusRule", "spec": {"groups": [{"name": "podium", "rules": []}]}}
CONFIG = scraping.configuration([OF_SERVICE, OF_PODS, RULES], ["podium-demo"], 5)


def relabelled(job: Manifest, target: dict[str, str]) -> dict[str, str] | None:
    """Its labels as Prometheus gives them; None where the target is dropped. No rule here needs a real regex."""
    labels = {}
    for rule in job["relabel_configs"]:
        value = target.get(rule.get("source_labels", [""])[0], "")
        matches = value in rule.get("regex", "").replace("\\", "").split("|")
        match rule.get("action", "replace"):
            case "keep" if not matches:
                return None
            case "drop" if matches:
                return None
            case "replace":
                labels[rule["target_label"]] = rule.get("replacement", value)
    return labels


SERVICE_TARGET = {
    "__meta_kubernetes_namespace": "podium-system",
    "__meta_kubernetes_service_name": "podium-operator",
    "__meta_kubernetes_service_label_app_kubernetes_io_name": "podium",
    "__meta_kubernetes_endpointslice_port_name": "health",
    "__meta_kubernetes_pod_name": "podium-operator-1",
    "__meta_kubernetes_pod_container_name": "operator",
    "__meta_kubernetes_pod_phase": "Running",
}
POD_TARGET = {
    "__meta_kubernetes_namespace": "podium-demo",
    "__meta_kubernetes_pod_labelpresent_podium_dev_deployment": "true",
    "__meta_kubernetes_pod_container_port_name": "health",
    "__meta_kubernetes_pod_name": "churn-1",
    "__meta_kubernetes_pod_container_name": "serving",
    "__meta_kubernetes_pod_phase": "Running",
}


def test_targets_have_the_labels_that_the_prometheus_operator_gives_them() -> None:
    of_service, of_pods = CONFIG["scrape_configs"]
    assert relabelled(of_service, SERVICE_TARGET) == {
        "namespace": "podium-system",
        "pod": "podium-operator-1",
        "container": "operator",
        "service": "podium-operator",
        "job": "podium-operator",
        "endpoint": "health",
    }
    assert relabelled(of_pods, POD_TARGET) == {
        "namespace": "podium-demo",
        "pod": "churn-1",
        "container": "serving",
        "job": "podium-system/podium-part",
        "endpoint": "health",
    }


@pytest.mark.parametrize(
    ("job", "target", "changed"),
    [
        (0, SERVICE_TARGET, {"__meta_kubernetes_service_label_app_kubernetes_io_name": "podium2"}),
        (0, SERVICE_TARGET, {"__meta_kubernetes_endpointslice_port_name": "proxy"}),
        (1, POD_TARGET, {"__meta_kubernetes_pod_labelpresent_podium_dev_deployment": ""}),
        (1, POD_TARGET, {"__meta_kubernetes_pod_container_port_name": "grpc"}),
        (1, POD_TARGET, {"__meta_kubernetes_pod_phase": "Succeeded"}),
    ],
)
def test_what_no_monitor_selects_is_not_scraped(job: int, target: dict[str, str], changed: dict[str, str]) -> None:
    assert relabelled(CONFIG["scrape_configs"][job], target | changed) is None


def test_a_series_own_labels_count() -> None:
    assert all(job["honor_labels"] for job in CONFIG["scrape_configs"])


def test_a_selector_that_is_not_understood_is_refused() -> None:
    unknown = {"matchExpressions": [{"key": "podium.dev/role", "operator": "In", "values": ["champion"]}]}
    with pytest.raises(ValueError, match="only Exists"):
        scraping.configuration([monitor("PodMonitor", "podMetricsEndpoints", unknown)], ["podium-demo"], 5)


MANIFESTS = manifests(Images("registry/prometheus:1", "registry/base:1"), CONFIG, scraping.rules([RULES]))


def of_kind(kind: str) -> list[Manifest]:
    return [found for found in MANIFESTS if found["kind"] == kind]


def test_it_may_read_pods_services_and_endpoints_of_the_scraped_namespaces_and_nothing_else() -> None:
    assert scraping.namespaces_of(CONFIG) == ["podium-demo", "podium-system"]
    assert not [found for found in MANIFESTS if "Role" in found["kind"]]
    role, binding = rights("podium-demo")
    assert {found["metadata"]["namespace"] for found in (role, binding)} == {"podium-demo"}
    rules = role["rules"]
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list", "watch"}
    assert {one for rule in rules for one in rule["resources"]} == {"pods", "services", "endpointslices"}


def test_without_discovery_of_its_own_it_asks_its_neighbour_for_the_same_targets() -> None:
    [config] = [found["data"]["prometheus.yml"] for found in of_kind("ConfigMap")]
    jobs = yaml.safe_load(config)["scrape_configs"]
    assert [job["http_sd_configs"] for job in jobs] == [
        [{"url": "http://127.0.0.1:9091/endpointslice/podium-system", "refresh_interval": "5s"}],
        [{"url": "http://127.0.0.1:9091/pod/podium-demo", "refresh_interval": "5s"}],
    ]
    relabelled = [job["relabel_configs"] for job in CONFIG["scrape_configs"]]
    assert [job["relabel_configs"] for job in jobs] == relabelled


def test_the_public_image_discovers_by_itself() -> None:
    found = {one["kind"]: one for one in manifests(Images("prom/prometheus:1"), CONFIG, scraping.rules([RULES]))}
    assert yaml.safe_load(found["ConfigMap"]["data"]["prometheus.yml"]) == CONFIG
    [container] = found["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "prom/prometheus:1"


def test_its_pod_passes_the_restricted_standard_and_is_bounded() -> None:
    [deployment] = of_kind("Deployment")
    pod = deployment["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]["limits"]) == {"cpu", "memory"}
