"""What Prometheus is told of pods and endpoints: an address for each port, and the labels that configurations ask for."""

from typing import Any

from demo import discovery

Object = dict[str, Any]
PODS = "__meta_kubernetes_pod_"


def pod(name: str, **status: str) -> Object:
    labels = {"podium.dev/deployment": "churn"}
    ports = [{"name": "http", "containerPort": 8080}, {"name": "grpc", "containerPort": 9000}]
    return {
        "metadata": {"name": name, "namespace": "retention", "labels": labels},
        "spec": {"containers": [{"name": "serving", "ports": ports}, {"name": "idle"}]},
        "status": {"phase": "Running", **status},
    }


def test_each_port_of_a_pod_is_a_target() -> None:
    first, second = discovery.of_pods([pod("churn-1", podIP="10.1.2.3")])
    assert (first["targets"], second["targets"]) == (["10.1.2.3:8080"], ["10.1.2.3:9000"])
    assert first["labels"] == {
        "__meta_kubernetes_namespace": "retention",
        f"{PODS}name": "churn-1",
        f"{PODS}phase": "Running",
        f"{PODS}container_name": "serving",
        f"{PODS}container_port_name": "http",
        f"{PODS}label_podium_dev_deployment": "churn",
        f"{PODS}labelpresent_podium_dev_deployment": "true",
    }


def test_a_pod_without_an_address_is_none_and_one_of_ipv6_is_written_in_brackets() -> None:
    found = discovery.of_pods([pod("waits"), pod("churn-1", podIP="fd00::1")])
    assert [group["targets"] for group in found] == [["[fd00::1]:8080"], ["[fd00::1]:9000"]]


SERVICE = {"metadata": {"name": "churn", "namespace": "retention", "labels": {"app": "podium"}}}


def endpoints(**more: Any) -> Object:
    return {
        "metadata": {"name": "churn-x", "namespace": "retention", "labels": {"kubernetes.io/service-name": "churn"}},
        "ports": [{"name": "web", "port": 8080}],
        **more,
    }


def test_an_endpoint_has_the_labels_of_its_service_and_its_pod() -> None:
    found = endpoints(endpoints=[{"addresses": ["10.1.2.3"], "targetRef": {"kind": "Pod", "name": "churn-1"}}])
    [group] = discovery.of_slices([found], [SERVICE], [pod("churn-1", podIP="10.1.2.3")])
    assert group["targets"] == ["10.1.2.3:8080"]
    assert group["labels"] == {
        "__meta_kubernetes_namespace": "retention",
        "__meta_kubernetes_endpointslice_port_name": "web",
        "__meta_kubernetes_service_name": "churn",
        "__meta_kubernetes_service_label_app": "podium",
        "__meta_kubernetes_service_labelpresent_app": "true",
        f"{PODS}name": "churn-1",
        f"{PODS}phase": "Running",
        f"{PODS}container_name": "serving",
        f"{PODS}container_port_name": "http",
        f"{PODS}label_podium_dev_deployment": "churn",
        f"{PODS}labelpresent_podium_dev_deployment": "true",
    }


def test_an_endpoint_without_pod_or_service_keeps_its_address() -> None:
    found = endpoints(endpoints=[{"addresses": ["10.9.9.9"]}])
    [group] = discovery.of_slices([found, endpoints(endpoints=None)], [], [])
    assert group["targets"] == ["10.9.9.9:8080"]
    assert set(group["labels"]) == {"__meta_kubernetes_namespace", "__meta_kubernetes_endpointslice_port_name"}


def test_there_are_two_lists_and_no_others() -> None:
    assert discovery.groups("/metrics") is None
