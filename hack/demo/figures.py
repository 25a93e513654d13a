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
    """Gauges of the last minute: version, role, requests per second, errors, p50 and p99 in milliseconds."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = sample.labels
            if labels.get("deployment") == "churn" and labels.get("namespace") == NAMESPACE and "version" in labels:
                per_version = found.setdefault((labels["version"], labels["role"]), {})
                per_version[sample.name.removeprefix("podium_operator_") + labels.get("quantile", "")] = sample.value
    return [_row(version, role, seen) for (version, role), seen in sorted(found.items())]


def _row(version: str, role: str, seen: dict[str, float]) -> tuple[str, ...]:
    rate = f"{seen.get('version_requests_per_second', 0.0):.1f}"
    errors = f"{100 * seen.get('version_error_ratio', 0.0):.1f} %"
    median, late = (f"{1000 * seen.get(f'version_latency_seconds{share}', 0.0):.1f}" for share in ("0.5", "0.99"))
    return version, role, rate, errors, median, late
