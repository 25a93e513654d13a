"""Rows of the demo's tables: what clients saw per arm, and what the operator scraped per version."""

from collections.abc import Sequence

from prometheus_client.parser import text_string_to_metric_families

from demo.install import SYSTEM
from demo.kubectl import Kubectl
from demo.load import Outcome, quantile
from demo.manifests import NAMESPACE
from demo.where import Where

Rows = list[tuple[str, ...]]


def arm_rows(outcomes: Sequence[Outcome]) -> Rows:
    """Arm, requests, share of all, median and p99 latency as the client measured it."""
    answered = [outcome for outcome in outcomes if outcome.ok]
    rows: Rows = []
    for arm in sorted({outcome.arm for outcome in answered}):
        times = sorted(outcome.milliseconds for outcome in answered if outcome.arm == arm)
        share = f"{100 * len(times) / len(answered):.1f} %"
        rows.append((arm, str(len(times)), share, f"{quantile(times, 0.5):.1f}", f"{quantile(times, 0.99):.1f}"))
    return rows


def scraped_rows(where: Where, *wanted: str) -> Rows | None:
    """Per version and role from the leading operator's /metrics; None until all `wanted` versions are in it."""
    kubectl = Kubectl(where, SYSTEM)
    for pod in kubectl.list("pods", "app.kubernetes.io/component=operator"):
        path = f"/api/v1/namespaces/{SYSTEM}/pods/{pod['metadata']['name']}:8085/proxy/metrics"
        rows = _rows(kubectl("get", "--raw", path, check=False))
        if set(wanted) <= {row[0] for row in rows}:
            return rows
    return None


def _rows(text: str) -> Rows:
    found: dict[tuple[str, str], dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = sample.labels
            if labels.get("deployment") != "churn" or labels.get("namespace") != NAMESPACE or "version" not in labels:
                continue
            name = sample.name + (f"_{labels['quantile']}" if "quantile" in labels else "")
            per_version = found.setdefault((labels["version"], labels.get("role", "")), {})
            per_version[name] = per_version.get(name, 0.0) + sample.value
    return [_row(version, role, seen) for (version, role), seen in sorted(found.items())]


def _row(version: str, role: str, seen: dict[str, float]) -> tuple[str, ...]:
    def milliseconds(share: str) -> str:
        return f"{1000 * seen.get(f'podium_observed_request_duration_seconds_{share}', 0.0):.1f}"

    requests = seen.get("podium_observed_requests_total", 0.0)
    errors = seen.get("podium_observed_errors_total", 0.0)
    return version, role, f"{requests:.0f}", f"{errors:.0f}", milliseconds("0.5"), milliseconds("0.99")
