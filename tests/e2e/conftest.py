"""Podium installed in the local cluster once; a namespace per test; packages pushed once.

Two workers share the cluster: what installs or removes Podium itself is in one worker, one test after the other.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from cluster.build import exclusive
from demo import install, prometheus
from demo.where import ROOT, Where, local
from harness.big import make_big_package
from harness.site import Model, Site, push
from serving_fixtures import make_package

MISCHIEF = """
import os
import time

import numpy as np


def after(outputs, inputs):
    wish = int(inputs["x0"][0, 0])
    if wish == 101:
        time.sleep(60)
    if wish == 102:
        os._exit(1)
    if wish == 103:
        return {"score": np.zeros((3, 7), dtype=np.float32)}
    if wish == 104:
        raise ValueError("as asked")
    return outputs
"""


INSTALLING = ("test_chart.py", "test_story.py", "test_watched.py")


class Scheduling(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    def _split_scope(self, nodeid: str) -> str:
        return "installing" if nodeid.split("::")[0].endswith(INSTALLING) else "using"


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Scheduling:
    return Scheduling(config, log)


@pytest.fixture(scope="session")
def where() -> Where:
    assert os.geteuid() == 0, "the end-to-end tests bring up a cluster: run them as root"
    return local(bring_up=True)


@pytest.fixture(scope="session")
def installed(where: Where, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The images. The first worker of a run installs; by then another must not: tests may have begun."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # all workers' own
    known = folder / "installed.json"
    with exclusive(folder / "installing.lock"):
        if not known.exists():
            images = install.build_images(where)
            install.install(where, images)
            known.write_text(json.dumps(images))
    found: dict[str, str] = json.loads(known.read_text())
    return found


@pytest.fixture(scope="session")
def models(where: Where, installed: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    """sum-1, sum-2 (answer differently), mischief (misbehaves as its input asks), big-1, big-2 (no two fit in a pod)."""
    folder = tmp_path_factory.mktemp("packages")
    found = {}
    for name, weights in (("sum-1", (1.0, 1.0)), ("sum-2", (2.0, 2.0))):
        found[name] = push(
            where, folder / name, name, make_package(folder / name, name="sum", version=name, weights=weights)
        )
    digest = make_package(folder / "mischief", name="sum", version="mischief", weights=(1.0, 1.0), transform=MISCHIEF)
    found["mischief"] = push(where, folder / "mischief", "mischief", digest, built=True)
    for number in (1, 2):
        name = f"big-{number}"
        found[name] = push(where, folder / name, name, make_big_package(folder / name, version=name, factor=float(number)))
    return found


@pytest.fixture(scope="session")
def report(where: Where, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the demo noted. Its endpoint and its Prometheus are there as long as this is asked for."""
    path = tmp_path_factory.mktemp("demo") / "report.json"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DEMO_")}
    environment["PYTHONPATH"] = str(ROOT / "hack")
    done = subprocess.run(
        [sys.executable, "-m", "demo", "up", "--report", str(path)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    yield json.loads(path.read_text())
    where.run("kubectl", "delete", "namespace", "podium-demo", "--wait=false", "--ignore-not-found")
    prometheus.remove(where)


@pytest.fixture
def site(where: Where, installed: dict[str, str], models: dict[str, Model]) -> Iterator[Site]:
    site = Site(where)
    site.up()
    yield site
    site.down()
