"""The manifests of the add-ons."""

from typing import Any, cast

import pytest

from cluster import addons

ITEMS = [*addons.coredns("r/coredns:1", True), *addons.metrics_server("r/metrics-server:1")]
DEPLOYMENTS = [cast("dict[str, Any]", item) for item in ITEMS if item["kind"] == "Deployment"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda item: item["metadata"]["name"])
def test_every_pod_passes_the_restricted_standard(deployment: dict[str, Any]) -> None:
    pod = deployment["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_cluster_dns_answers_where_the_kubelet_says() -> None:
    service = cast("dict[str, Any]", next(item for item in ITEMS if item["kind"] == "Service"))
    assert service["spec"]["clusterIP"] == "10.96.0.10"
    assert [port["port"] for port in service["spec"]["ports"]] == [53, 53]


def test_without_a_resolver_nothing_is_forwarded() -> None:
    assert "forward ." in addons.corefile(has_upstream=True)
    assert "forward ." not in addons.corefile(has_upstream=False)
