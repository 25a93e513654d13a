"""The demo's watched month, in minutes: an upstream mistake, an alert, late labels, a challenger that bears it better."""

import asyncio
import csv
import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo import endpoint, install, models, prometheus
from demo.kubectl import Kubectl, condition_of
from demo.load import Load, Outcome, Question
from demo.manifests import HEADER, LABEL_HORIZON_SECONDS, NAMESPACE, watched_deployment
from demo.prometheus import Alert, Prometheus
from demo.screen import Screen
from demo.where import ROOT, DemoError, Where

COLLECTOR_PORT, MONITOR_PORT = 18090, 18091
GOOD_ROWS = 350
"""Customers that are asked about before the mistake."""
PLANTED = "total_charges"
RATE = 60.0


@dataclass(frozen=True)
class Watched:
    """Figures for the end-to-end test, and for people."""

    asked: int
    labelled: int
    drift_message: str
    decision: dict[str, Any]
    alerts: list[Alert]
    """Those that fire at the end, about the demo's namespace."""
    dashboard: str


def watch(screen: Screen, where: Where, kubectl: Kubectl, url: str, questions: Sequence[Question], folder: Path) -> Watched:
    """Replays production, with an amount in cents from the 351st customer on, and waits for what the monitor makes of it."""
    kubectl.apply(watched_deployment("churn-2", "churn-1"))
    kubectl.wait_serving("churn", "churn-2")
    kubectl.wait("the former champion sees copies", lambda: _state(kubectl, "former") == "Serving", 240)
    good, wrong = questions[:GOOD_ROWS], models.in_cents(questions[GOOD_ROWS:], PLANTED)
    with _monitor(where), prometheus.reached(where) as watcher:
        asked = _replayed(url, [*good, *wrong])
        screen.say(
            f"{len(asked)} customers were scored; from number {GOOD_ROWS + 1} on {PLANTED} came in cents. Nothing failed."
        )
        drift = kubectl.wait("the monitor finds the drift", lambda: _finding(kubectl, "DriftDetected"), 240, every=1.0)
        screen.good(f"DriftDetected, before any label: {drift}")
        _told(screen, kubectl, watcher, "PodiumDriftDetected")
        labelled = _labels(kubectl, where, folder, {outcome.key for outcome in asked})
        screen.say(f"{labelled} customers turned out to stay or leave: `podium feedback` told the monitor, late")
        screen.say(f"a prediction counts {LABEL_HORIZON_SECONDS} s after it was made: minutes here for weeks elsewhere")
        decision = kubectl.wait("the challenger's evidence suffices", lambda: _decided(kubectl), 420, every=1.0)
        if decision["decision"] != "Better":
            raise DemoError(f"the former champion bears the mistake better, yet the verdict is {decision}")
        screen.good(
            f"evidence: the former champion churn-1 is better by {decision['improvement']} of log loss "
            f"[{', '.join(decision['interval'])}], {decision['labels']} labelled units, valid however often one looks"
        )
        _told(screen, kubectl, watcher, "PodiumChallengerBetter")
        screen.text(kubectl("get", "mdep", "churn", "-o", "wide"))
        page, alerts = _page(), watcher.firing()
        for one in sorted(alerts, key=lambda alert: alert.since):
            screen.say(f"fires since {one.since[11:19]} UTC: {one.name} ({one.labels['severity']}): {one.summary}")
    return Watched(len(asked), labelled, drift, decision, alerts, page)


@contextmanager
def _monitor(where: Where) -> Iterator[None]:
    """Collector and dashboard at ports of this machine while the block runs."""
    system = Kubectl(where, install.SYSTEM)
    with ExitStack() as stack:
        stack.enter_context(system.port_forward("podium-monitor", COLLECTOR_PORT, 8090))
        stack.enter_context(system.port_forward("podium-monitor", MONITOR_PORT, 8091))
        for port in (COLLECTOR_PORT, MONITOR_PORT):
            address = f"http://127.0.0.1:{port}/readyz"
            system.wait(f"{address} answers", lambda at=address: endpoint.get(at).status == 200, 60)  # type: ignore[misc]
        yield


def _replayed(url: str, questions: Sequence[Question]) -> list[Outcome]:
    """Each question once, at a steady rate."""

    async def replay() -> list[Outcome]:
        load = Load(f"{url}/v2/models/churn/infer", questions, rate=RATE, key_header=HEADER, once=True)
        async with load:
            await asyncio.wait_for(load.sent(), len(questions) / RATE + 30)
        return load.outcomes

    outcomes = asyncio.run(replay())
    failed = [one for one in outcomes if not one.ok]
    if failed or len(outcomes) < len(questions):
        raise DemoError(
            f"{len(failed)} of {len(outcomes)} requests failed: {failed[0].error if failed else 'some never came'}"
        )
    return outcomes


def _told(screen: Screen, kubectl: Kubectl, watcher: Prometheus, name: str) -> None:
    """Waits until Prometheus fires the alert about the demo's deployment, and shows it."""
    alert = kubectl.wait(f"Prometheus fires {name}", lambda: watcher.alert(name), 120, every=1.0)
    of = ", ".join(f"{label}={alert.labels[label]}" for label in ("namespace", "deployment", "severity"))
    screen.good(f"Prometheus fires [bold]{alert.name}[/] ({of}) since {alert.since[11:19]} UTC: {alert.summary}")
    screen.say(f"what to do: {alert.runbook}")


def _labels(kubectl: Kubectl, where: Where, folder: Path, customers: set[str]) -> int:
    """What became of the customers, sent as a data team would send it."""
    path = folder / "labels-known.csv"
    with (folder / "labels.csv").open() as source, path.open("w", newline="") as target:
        rows = [row for row in csv.DictReader(source) if row["customer_id"] in customers]
        writer = csv.DictWriter(target, ["customer_id", "churn"])
        writer.writeheader()
        writer.writerows(rows)
    [secret] = [one for one in kubectl.list("secrets") if one["metadata"]["name"].startswith("churn-labels-")]
    token = b64decode(secret["data"]["token"]).decode()
    address = f"http://127.0.0.1:{COLLECTOR_PORT}/v1/labels"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "podium_cli",
            "feedback",
            str(path),
            "--key",
            "customer_id",
            "--label",
            "churn",
            "--url",
            address,
        ],
        env={**where.environment, "PODIUM_LABEL_TOKEN": token, "PATH": os.environ["PATH"]},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise DemoError(f"podium feedback failed: {done.stderr[-800:]}")
    return len(rows)


def _state(kubectl: Kubectl, challenger: str) -> str:
    return str(_challenger(kubectl, challenger).get("state", ""))


def _challenger(kubectl: Kubectl, name: str) -> dict[str, Any]:
    found = (kubectl.get("mdep", "churn") or {}).get("status", {}).get("challengers", [])
    return next((one for one in found if one["name"] == name), {})


def _finding(kubectl: Kubectl, kind: str) -> str | None:
    """The condition's message once it is so and names the column that was planted."""
    status, _, message = condition_of(kubectl.get("mdep", "churn"), kind)
    return message if status == "True" and PLANTED in message else None


def _decided(kubectl: Kubectl) -> dict[str, Any] | None:
    """The challenger's status once the evidence says something final."""
    found = _challenger(kubectl, "former")
    return found if found.get("decision", "") in ("Better", "NotBetter", "Worse", "Invalid", "Recommended") else None


def _page() -> str:
    """The dashboard's page of the deployment, as a browser gets it."""
    address = f"http://127.0.0.1:{MONITOR_PORT}/deployments/{NAMESPACE}/churn"
    reply = endpoint.get(address, timeout=20)
    if reply.status != 200 or PLANTED not in reply.text:
        raise DemoError(f"{address} answers {reply.status} and does not show the drift of {PLANTED}")
    return reply.text
