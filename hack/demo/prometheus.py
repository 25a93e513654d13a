"""A Prometheus beside Podium, as users have one: it scrapes what the chart's monitors name and judges by its rules."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import yaml

from demo import endpoint, scraping
from demo.install import SYSTEM, VALUES
from demo.kubectl import Kubectl
from demo.manifests import NAMESPACE, Manifest
from demo.prometheus_pod import PLACE, Images, manifests, rights
from demo.where import ROOT, DemoError, Where

PORT = 19090
"""Of this machine, where people look while it is forwarded."""
PUBLIC_IMAGE = "docker.io/prom/prometheus:v2.42.0"
"""For a cluster of the user's own; the version that Debian 12 has, too."""
SECONDS = 5
"""Between scrapes, and between looks at the rules: the story takes minutes."""


@dataclass(frozen=True)
class Alert:
    """One that fires."""

    name: str
    labels: dict[str, str]
    since: str
    """When the rule was first so: RFC 3339."""
    summary: str
    runbook: str


class Prometheus:
    """Its HTTP API at a forwarded port: https://prometheus.io/docs/prometheus/latest/querying/api/."""

    def __init__(self, address: str) -> None:
        self.address = address

    def ask(self, path: str) -> Any:
        reply = endpoint.get(f"{self.address}/api/v1/{path}", timeout=20)
        if reply.status != 200:
            raise DemoError(f"Prometheus answers /api/v1/{path} with {reply.status}: {reply.text[:300]}")
        return reply.json()["data"]

    def firing(self) -> list[Alert]:
        """Alerts about the demo's namespace."""
        found = [one for one in self.ask("alerts")["alerts"] if one["state"] == "firing"]
        return [_alert(one) for one in found if one["labels"].get("namespace") == NAMESPACE]

    def alert(self, name: str) -> Alert | None:
        return next((one for one in self.firing() if one.name == name), None)

    def series(self, expression: str, begin: float, end: float, step: int = SECONDS) -> list[dict[str, Any]]:
        """Each with its labels ("metric") and values between two Unix times; `step` is in seconds."""
        query = f"query_range?query={quote(expression, safe='')}&start={begin:.0f}&end={end:.0f}&step={step}"
        found: list[dict[str, Any]] = self.ask(query)["result"]
        return found


def _alert(told: dict[str, Any]) -> Alert:
    notes = told["annotations"]
    labels = {name: value for name, value in told["labels"].items() if name != "alertname"}
    return Alert(told["labels"]["alertname"], labels, told["activeAt"], notes["summary"], notes["runbook_url"])


@contextmanager
def reached(where: Where, port: int = PORT) -> Iterator[Prometheus]:
    """Prometheus at a port of this machine while the block runs."""
    kubectl = Kubectl(where, PLACE)
    kubectl("rollout", "status", "deployment/prometheus", "--timeout=180s", timeout=200)
    with kubectl.port_forward("prometheus", port, 9090):
        address = f"http://127.0.0.1:{port}"
        kubectl.wait("Prometheus answers", lambda: endpoint.get(f"{address}/-/ready").status == 200, 120)
        yield Prometheus(address)


def install(where: Where) -> None:
    """Starts it and does not wait: what it needs to be of use comes later in the story."""
    rendered = _chart(where)
    config = scraping.configuration(rendered, [NAMESPACE], SECONDS)
    images = Images(PUBLIC_IMAGE)
    if where.local:
        own = where.run(sys.executable, str(ROOT / "hack" / "cluster"), "prometheus").strip()
        images = Images(own, where.environment["PODIUM_BASE_IMAGE"])
    for namespace in scraping.namespaces_of(config):
        Kubectl(where, namespace).apply(*rights(namespace))
    Kubectl(where, PLACE).apply(*manifests(images, config, scraping.rules(rendered)))


def remove(where: Where) -> None:
    """All of it. Without Podium's namespace there is nothing of it there either."""
    where.run("kubectl", "delete", "namespace", PLACE, "--ignore-not-found", "--timeout=120s")
    Kubectl(where, SYSTEM)("delete", "role,rolebinding", "prometheus", "--ignore-not-found")


def _chart(where: Where) -> list[Manifest]:
    """What the chart renders for the Prometheus operator, with the values that Podium was installed with."""
    version = json.loads(where.run("kubectl", "version", "-o", "json"))["serverVersion"]["gitVersion"]
    said = where.run(
        *("helm", "template", "podium", "charts/podium", "--namespace", SYSTEM, "--values", str(VALUES)),
        *("--kube-version", version),
        *("--show-only", "templates/prometheus.yaml", "--show-only", "templates/prometheus-rules.yaml"),
        *("--set", f"prometheus.monitors=true,prometheus.rules=true,prometheus.intervalSeconds={SECONDS}"),
    )
    return [found for found in yaml.safe_load_all(said) if found]
