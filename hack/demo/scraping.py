"""Scrape configurations and rules for a Prometheus without an operator, made of what the chart says to one with it.

The targets, their names and honorLabels are those that the Prometheus operator makes of a ServiceMonitor and a PodMonitor,
so that what the chart's users get is what the demo tries:
https://prometheus-operator.dev/docs/api-reference/api/ (ServiceMonitor, PodMonitor).
"""

import re
from collections.abc import Iterable, Sequence

from demo.manifests import Manifest

SERVICE, POD = "__meta_kubernetes_service_label", "__meta_kubernetes_pod_label"
SERVICE_NAME = "__meta_kubernetes_service_name"
ROLES = {"ServiceMonitor": "endpointslice", "PodMonitor": "pod"}


def configuration(rendered: Iterable[Manifest], namespaces: Sequence[str], seconds: int) -> Manifest:
    """prometheus.yml for the monitors among what the chart renders. Those of any namespace look into `namespaces` alone."""
    monitors = [found for found in rendered if found["kind"] in ROLES]
    return {
        "global": {"scrape_interval": f"{seconds}s", "evaluation_interval": f"{seconds}s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [job for monitor in monitors for job in jobs(monitor, namespaces)],
    }


def told_by_http(config: Manifest, port: int) -> Manifest:
    """The same for a Prometheus without Kubernetes discovery: discovery.py, at a port of its pod, tells it the targets."""

    def job(found: Manifest) -> Manifest:
        [asked] = found["kubernetes_sd_configs"]
        places = [f"http://127.0.0.1:{port}/{asked['role']}/{name}" for name in asked["namespaces"]["names"]]
        every = {"refresh_interval": found["scrape_interval"]}
        kept = {name: value for name, value in found.items() if name != "kubernetes_sd_configs"}
        return kept | {"http_sd_configs": [{"url": url} | every for url in places]}

    return config | {"scrape_configs": [job(found) for found in config["scrape_configs"]]}


def namespaces_of(config: Manifest) -> list[str]:
    """Where its Kubernetes discovery looks."""
    asked = [one for job in config["scrape_configs"] for one in job["kubernetes_sd_configs"]]
    return sorted({name for one in asked for name in one["namespaces"]["names"]})


def rules(rendered: Iterable[Manifest]) -> Manifest:
    """The rule file: the spec of the chart's PrometheusRule, as it is."""
    [found] = [found for found in rendered if found["kind"] == "PrometheusRule"]
    spec: Manifest = found["spec"]
    return spec


def jobs(monitor: Manifest, namespaces: Sequence[str]) -> list[Manifest]:
    """One for each endpoint of the monitor."""
    kind, spec, metadata = monitor["kind"], monitor["spec"], monitor["metadata"]
    anywhere = spec.get("namespaceSelector", {}).get("any", False)
    endpoints = spec["endpoints"] if kind == "ServiceMonitor" else spec["podMetricsEndpoints"]
    return [
        {
            "job_name": f"{kind}/{metadata['namespace']}/{metadata['name']}/{number}",
            "honor_labels": endpoint["honorLabels"],
            "metrics_path": endpoint["path"],
            "scrape_interval": endpoint["interval"],
            "kubernetes_sd_configs": [
                {
                    "role": ROLES[kind],
                    "namespaces": {"names": list(namespaces) if anywhere else [metadata["namespace"]]},
                }
            ],
            "relabel_configs": [*_kept(kind, spec["selector"], endpoint["port"]), *_named(monitor, endpoint["port"])],
        }
        for number, endpoint in enumerate(endpoints)
    ]


def _kept(kind: str, selector: Manifest, port: str) -> list[Manifest]:
    """Which targets stay: those of the selector, at the named port, in pods that have not ended."""
    prefix = SERVICE if kind == "ServiceMonitor" else POD
    ports = "endpointslice_port_name" if kind == "ServiceMonitor" else "pod_container_port_name"
    wanted = {f"{prefix}_{_label(key)}": re.escape(value) for key, value in selector.get("matchLabels", {}).items()}
    for one in selector.get("matchExpressions", []):
        if one["operator"] != "Exists":
            raise ValueError(f"{one['operator']} in a monitor's selector: only Exists is read here")
        wanted[f"{prefix}present_{_label(one['key'])}"] = "true"
    wanted[f"__meta_kubernetes_{ports}"] = re.escape(port)
    keep = [{"action": "keep", "source_labels": [label], "regex": regex} for label, regex in wanted.items()]
    return [
        {"action": "drop", "source_labels": ["__meta_kubernetes_pod_phase"], "regex": "Failed|Succeeded"},
        *keep,
    ]


def _named(monitor: Manifest, port: str) -> list[Manifest]:
    """The labels of a target. With honor_labels a series' own label of the same name counts."""
    of_service = monitor["kind"] == "ServiceMonitor"
    copied = {
        "namespace": "__meta_kubernetes_namespace",
        "pod": "__meta_kubernetes_pod_name",
        "container": "__meta_kubernetes_pod_container_name",
    }
    copied |= {"service": SERVICE_NAME, "job": SERVICE_NAME} if of_service else {}
    said = {"endpoint": port}
    said |= {} if of_service else {"job": f"{monitor['metadata']['namespace']}/{monitor['metadata']['name']}"}
    return [
        *({"source_labels": [source], "target_label": label} for label, source in copied.items()),
        *({"target_label": label, "replacement": value} for label, value in said.items()),
    ]


def _label(name: str) -> str:
    """A Kubernetes label's name as Prometheus writes it."""
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)
