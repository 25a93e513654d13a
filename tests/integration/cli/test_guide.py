"""docs/guide/package.md as a reader follows it: each file written, each command typed, in order, in an empty folder."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
import yaml

from cli_registry import registry
from ports import free_port

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[3]
_BLOCK = re.compile(r"^```(python|bash)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_STARTS_WITHIN_SECONDS = 120.0


def type_command(command: str, folder: Path) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ended = subprocess.run(
        ["bash", "-ec", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def serves_its_example(package: Path, port: int) -> None:
    """Starts `podium serve`, sends what /docs would show, and stops it."""
    command = [str(Path(sys.executable).parent / "podium"), "serve", str(package), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url = f"http://127.0.0.1:{port}/v2"
        deadline = time.monotonic() + _STARTS_WITHIN_SECONDS
        while not _ready(f"{url}/health/ready"):
            assert server.poll() is None, "the server ended"
            assert time.monotonic() < deadline, "the server did not become ready"
            time.sleep(0.2)
        described = yaml.safe_load((package / "podium.yaml").read_text())
        inputs = [
            {"name": spec["name"], "shape": [1, 1], "datatype": spec["datatype"], "data": [spec["example"]]}
            for spec in described["inputs"]
        ]
        answer = requests.post(f"{url}/models/{described['name']}/infer", json={"inputs": inputs}, timeout=120)
        assert answer.status_code == 200, answer.text
        assert [output["name"] for output in answer.json()["outputs"]] == [spec["name"] for spec in described["outputs"]]
    finally:
        server.terminate()
        server.wait(timeout=120)


def _ready(url: str) -> bool:
    try:
        return requests.get(url, timeout=10).status_code == 200
    except requests.exceptions.RequestException:
        return False


def test_the_guide_works_as_it_is_written(tmp_path: Path) -> None:
    blocks = _BLOCK.findall((ROOT / "docs/guide/package.md").read_text())
    folder = tmp_path / "reader"
    folder.mkdir()
    said = ""
    with registry(tmp_path) as running:
        for language, text in blocks:
            if language == "python":
                (folder / text.splitlines()[0].removeprefix("# ")).write_text(text)
            elif text.startswith("podium serve"):
                serves_its_example(folder / text.split()[2], free_port())
            else:
                said = type_command(text.replace("127.0.0.1:5000", running.host), folder)
        applied = yaml.safe_load((folder / "churn-1.yaml").read_text())
        assert applied["spec"]["artifact"]["digest"] == said.strip()
    assert len(blocks) == 10
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["churn-1", "churn-2", "churn-3", "sum-1"]
