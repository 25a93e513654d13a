"""What the demo's Prometheus is told, made of the chart's monitors and rules, is what Prometheus reads."""

import subprocess
from pathlib import Path

import pytest
import yaml

from chart_fixtures import CHART, KUBERNETES
from demo import discovery, scraping
from program_fixtures import Run


@pytest.fixture
def folder(helm: Run, tmp_path: Path) -> Path:
    """prometheus.yml and rules.yml."""
    made = helm(
        *("template", "podium", str(CHART), "-n", "podium-system", "--kube-version", KUBERNETES),
        *("-f", str(CHART / "ci" / "all-values.yaml"), "--set", "prometheus.monitors=true,prometheus.rules=true"),
    )
    assert made.returncode == 0, made.stderr
    rendered = [found for found in yaml.safe_load_all(made.stdout) if found]
    # Debian's Prometheus and promtool know no Kubernetes discovery.
    config = scraping.told_by_http(scraping.configuration(rendered, ["podium-demo"], 5), discovery.PORT)
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(scraping.rules(rendered)))
    return tmp_path


def test_prometheus_reads_what_the_chart_says_to_its_operator(folder: Path) -> None:
    """Debian's promtool; `python hack/cluster packages` installs it."""
    ran = subprocess.run(
        ["promtool", "check", "config", str(folder / "prometheus.yml")], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    written = yaml.safe_load((CHART / "files" / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    count = sum(len(group["rules"]) for group in written)
    assert f"{count} rules found" in ran.stdout


def test_each_part_is_scraped_at_each_of_its_ports(folder: Path) -> None:
    jobs = yaml.safe_load((folder / "prometheus.yml").read_text())["scrape_configs"]
    targets = {(job["job_name"], job["relabel_configs"][-1]["replacement"]) for job in jobs if "Service" in job["job_name"]}
    assert targets == {
        ("ServiceMonitor/podium-system/podium-monitor/0", "http"),
        ("ServiceMonitor/podium-system/podium-monitor/1", "evaluator"),
        ("ServiceMonitor/podium-system/podium-operator/0", "health"),
    }
    assert [job["job_name"] for job in jobs if "Service" not in job["job_name"]] == [
        "PodMonitor/podium-system/podium-scoring/0"
    ]
    assert all(job["honor_labels"] for job in jobs)
