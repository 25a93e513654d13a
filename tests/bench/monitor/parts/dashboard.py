"""How long a page takes at 200 deployments of 90 days with 30 columns, over HTTP, from the request to the last byte.

The overview beside one that reads every document for every page; and the page of the deployment that has most to tell.
"""

import json
import statistics
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from bench.serving.judgement import Row
from bench.serving.processes import Started, answers_http, cores, started, wait_until
from dashboard_fixtures import Story, evaluation, fleet, kept, watched
from podium_evaluation.documents import evaluation_path
from podium_monitor.dashboard.glances import Glances
from podium_monitor.evaluations.findings import findings
from podium_monitor.evaluations.reading import outlined
from podium_monitor.lake.store import FolderStore
from ports import free_port

MUST_MILLISECONDS = 300
DEPLOYMENTS = 200
PAGES = 40
NAIVE_PAGES = 2
PAGE = "/deployments/retention/churn"


def run(folder: Path, quick: bool) -> list[Row]:
    """Writes documents and manifests below `folder`, serves them, and asks."""
    stories = fleet(DEPLOYMENTS // (10 if quick else 1))
    size = sum(_written(folder, story) for story in stories)
    port = free_port()
    program = Path(__file__).parents[1] / "dashboard_server.py"
    command: list[str | Path] = [sys.executable, program, folder, str(port)]
    with started("dashboard", command, cores().server, folder) as process:
        wait_until(lambda: answers_http("127.0.0.1", port, "/static/podium.css"), process, "it answers")
        first = _asked(process, port, "/", 1)
        begun = time.monotonic()
        while b"still being read" in _page(port, "/"):
            time.sleep(0.1)
        filled = time.monotonic() - begun + first.wall[0] / 1000
        overview = _asked(process, port, "/", PAGES)
        naive = _asked(process, port, "/naive", NAIVE_PAGES)
        evaluated = _asked(process, port, PAGE, PAGES, partial(_evaluate, folder))
        deployment = _asked(process, port, PAGE, PAGES)
        memory = process.resident_bytes()
    shown = f"{len(stories)} deployments x 90 days ({size / 2**20:.0f} MiB of documents)"
    return [
        _judged("overview, first look after a start", first, shown),
        Row("dashboard", "overview, until every deployment is on it (s)", f"{filled:.1f}", note="once, after a start"),
        _judged("overview", overview, f"{naive.cpu / overview.cpu:.0f} times less CPU than the naive one"),
        Row("dashboard", "overview, naive (ms)", str(naive), note="every document is read for every page"),
        _judged("one deployment, first look after an evaluation", evaluated, "30 columns, three arms"),
        _judged("one deployment, looked at again", deployment, "as browsers do every ten seconds"),
        Row("dashboard", "memory of the process (MiB)", f"{memory / 2**20:.0f}", note=shown),
    ]


def _written(folder: Path, story: Story) -> int:
    """Its manifest and its evaluation. The latter's bytes."""
    one = watched(story)
    status = one.status.model_dump(by_alias=True, exclude_none=True) if one.status else {}
    manifest: dict[str, Any] = {
        "apiVersion": "podium.dev/v1alpha1",
        "kind": "ModelDeployment",
        "metadata": {"name": one.name, "namespace": one.namespace, "uid": one.uid, "creationTimestamp": one.created_at},
        "spec": one.spec.model_dump(by_alias=True, exclude_none=True),
        "status": status,
    }
    path = folder / "manifests" / f"{one.namespace}-{one.name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(manifest))
    store, document = FolderStore(folder / "lake"), evaluation(story)
    Glances(store).note(one, document, findings(one, document))
    return kept(store, document)


@dataclass(frozen=True)
class Asked:
    """Milliseconds of each page, and of CPU per page."""

    wall: Sequence[float]
    cpu: float

    @property
    def p95(self) -> float:
        return sorted(self.wall)[max(0, round(0.95 * len(self.wall)) - 1)]

    def __str__(self) -> str:
        return f"{statistics.median(self.wall):.0f} (p95 {self.p95:.0f}, CPU {self.cpu:.0f})"


def _page(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as response:
        found: bytes = response.read()
    return found


def _evaluate(folder: Path, number: int) -> None:
    """As after an evaluation: the head says something else."""
    store = FolderStore(folder / "lake")
    document = outlined(store, "retention", "churn")
    assert document is not None
    document.label_coverage = number / 1000
    store.replace(evaluation_path("retention", "churn"), msgspec.json.encode(document))


def _asked(
    process: Started, port: int, path: str, times: int, before: Callable[[int], None] = lambda _number: None
) -> Asked:
    found, cpu = [], process.cpu_seconds()
    for number in range(times):
        before(number)
        begun = time.perf_counter()
        _page(port, path)
        found.append(1000 * (time.perf_counter() - begun))
    return Asked(found, 1000 * (process.cpu_seconds() - cpu) / times)


def _judged(name: str, found: Asked, note: str) -> Row:
    reached = found.p95 <= MUST_MILLISECONDS
    return Row(
        "dashboard",
        f"{name}, median (p95, CPU) (ms)",
        str(found),
        f"<= {MUST_MILLISECONDS}",
        found.p95 / MUST_MILLISECONDS,
        "reached" if reached else "missed",
        note,
        {"milliseconds": list(found.wall), "cpu": found.cpu},
    )
