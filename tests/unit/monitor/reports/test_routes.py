"""Reports over HTTP, as `podium report` and a signed-in browser ask for them, from a real server."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import requests
import uvicorn
from fastapi import FastAPI

from dashboard_fixtures import StillWorld, Story, sources, watched
from podium_crds.evidence import monitor_token
from podium_evaluation.documents import DeploymentEvaluation
from podium_monitor.access import AccessUnknown, Identity
from podium_monitor.bearers import Bearers
from podium_monitor.dashboard.sources import Sources
from podium_monitor.reports.routes import permit_of, router
from podium_monitor.sign_in.simple import ClosedReception, OpenReception
from podium_monitor.sign_in.visitors import Reception

pytestmark = pytest.mark.process

KEY = b"k" * 32
REPORTS = "/v1/namespaces/retention/deployments/churn/reports"


class Roles:
    """Ada may read retention, Bob nothing; `down` is an API server that does not answer."""

    def __init__(self, *, down: bool = False) -> None:
        self.down = down

    async def who(self, token: str, asker: str = "") -> Identity | None:
        if self.down:
            raise AccessUnknown("no route to host")
        return Identity(token) if token in ("ada", "bob") else None

    async def may(self, user: str, groups: Sequence[str], verb: str, resource: str, namespace: str) -> bool:
        return (user, verb, resource, namespace) == ("ada", "get", "modeldeployments", "retention")


@contextlib.contextmanager
def monitor(reception: Reception | None = None, *, down: bool = False, told: Sources | None = None) -> Iterator[str]:
    roles, stories = Roles(down=down), [Story()]
    app = FastAPI()
    permit = permit_of(Bearers(KEY, roles), reception or ClosedReception(), roles)
    app.include_router(router(StillWorld([watched(one) for one in stories]), told or sources(stories), permit))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def podium_report(url: str, token: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "podium_cli", "report", *arguments, "--url", url],
        env={"PODIUM_MONITOR_TOKEN": token, "PATH": "/usr/bin:/bin", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_command_writes_both_kinds_in_both_forms(tmp_path: Path) -> None:
    with monitor() as url:
        page, printed = tmp_path / "week.html", tmp_path / "model.pdf"
        done = podium_report(url, "ada", "retention/churn", str(page), "--week", "2026-W45")
        assert done.returncode == 0, done.stderr
        assert "churn: health of week 2026-W45" in page.read_text()
        done = podium_report(url, "ada", "retention/churn", str(printed), "--kind", "model", "--version", "churn-3")
        assert done.returncode == 0, done.stderr
        assert printed.read_bytes().startswith(b"%PDF-")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["model.pdf", "week.html"]


@pytest.mark.parametrize(
    ("token", "arguments", "says"),
    [
        ("ada", ["retention/other", "r.html"], "there is no deployment retention/other"),
        ("ada", ["retention/churn", "r.html", "--week", "2026-47"], "as in 2026-W47"),
        ("ada", ["retention/churn", "r.pdf", "--kind", "model", "--version", "churn-9"], "it names churn-3"),
        ("bob", ["retention/churn", "r.html"], "bob may not get modeldeployments in the namespace retention"),
        ("eve", ["retention/churn", "r.html"], "neither the operator's nor one that the API server knows"),
        ("", ["retention/churn", "r.html"], "PODIUM_MONITOR_TOKEN"),
        ("ada", ["churn", "r.html"], "must be NAMESPACE/NAME"),
        ("ada", ["retention/churn", "r.doc"], "must end in .html or .pdf"),
        ("ada", ["retention/churn", "r.html", "--kind", "money"], "must be health"),
        ("ada", ["retention/churn", "r.html", "--version", "churn-3"], "--version is of --kind model"),
    ],
)
def test_what_cannot_be_had_is_said(tmp_path: Path, token: str, arguments: list[str], says: str) -> None:
    with monitor() as url:
        done = podium_report(url, token, arguments[0], str(tmp_path / arguments[1]), *arguments[2:])
    assert done.returncode == 2
    assert says in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_monitor_that_is_away_is_said(tmp_path: Path) -> None:
    done = podium_report("http://127.0.0.1:1", "ada", "retention/churn", str(tmp_path / "r.html"))
    assert done.returncode == 2
    assert "does not answer" in done.stderr


def test_the_operator_may_and_nobody_else_without_a_name() -> None:
    operator = {"Authorization": f"Bearer {monitor_token(KEY)}"}
    with monitor() as url:
        assert requests.get(f"{url}{REPORTS}/health.html", headers=operator, timeout=180).status_code == 200
        assert requests.get(f"{url}{REPORTS}/health.html", timeout=180).status_code == 401
        assert requests.get(f"{url}{REPORTS}/money.html", headers=operator, timeout=180).status_code == 404
    with monitor(down=True) as url:
        asked = requests.get(f"{url}{REPORTS}/health.html", headers={"Authorization": "Bearer ada"}, timeout=180)
        assert (asked.status_code, asked.headers["Retry-After"]) == (503, "5")
        assert "no route" not in asked.text, "addresses are for the log"


def test_so_many_reports_are_waited_for_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podium_monitor.reports.routes._MOST_WAITING", 1)
    gate, known = threading.Event(), sources([Story()])

    def late(namespace: str, name: str) -> DeploymentEvaluation | None:
        gate.wait(300)
        return known.evaluation(namespace, name)

    with monitor(OpenReception(), told=replace(known, evaluation=late)) as url, ThreadPoolExecutor(8) as readers:
        asked = [readers.submit(requests.get, f"{url}{REPORTS}/health.pdf", timeout=300) for _ in range(8)]
        refused = [one.result().status_code for one in islice(as_completed(asked, timeout=240), 7)]
        gate.set()
        found = Counter(one.result().status_code for one in asked)
    assert refused == [503] * 7
    assert found == {200: 1, 503: 7}


def test_whoever_is_signed_in_reads_it_in_the_browser() -> None:
    with monitor(OpenReception()) as url:
        page = requests.get(f"{url}{REPORTS}/model.html", timeout=180)
        printed = requests.get(f"{url}{REPORTS}/health.pdf", timeout=180)
    assert page.headers["Content-Disposition"] == 'inline; filename="churn-3-model.html"'
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert printed.headers["Content-Type"] == "application/pdf"
    assert printed.headers["Content-Disposition"].startswith('attachment; filename="churn-health-20')
