import json
import os
import subprocess
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import pytest

from podium_crds.package import DESCRIPTOR_FILE
from podium_crds.verification import BuildReport
from podium_operator.build.command import UnusablePackage, build, main, read_recipe
from podium_operator.build.engine import StepFailed, Told
from podium_operator.build.recipe import Recipe

BASE = "registry.example/scoring@sha256:" + "a" * 64
DESCRIPTOR = """
name: churn
version: "4"
inputs: [{name: x, datatype: FP32, shape: [-1, 1]}]
outputs: [{name: y, datatype: FP32, shape: [-1, 1]}]
"""
RECIPE = Recipe(BASE, ["humanize==4.9.0"], b"", b"", pip_conf=b"[global]\nindex-url = https://u:hunter22@index.example/\n")


class Registry:
    """A builder that keeps images by tag: what another implementation of the interface would look like."""

    def __init__(self, output: list[str], fails: bool = False) -> None:
        self.output, self.fails = output, fails
        self.images: dict[str, str] = {}
        self.builds = 0

    def digest_of(self, repository: str, tag: str) -> str | None:
        return self.images.get(f"{repository}:{tag}")

    def build(self, context: bytes, image: str, base_image: str, labels: Mapping[str, str], told: Told) -> int:
        self.builds += 1
        assert labels["dev.podium.inputs"] == image.rsplit(":", 1)[1]
        assert base_image == BASE
        for line in self.output:
            told(line)
        if self.fails:
            raise StepFailed("a step")
        return 1234

    def push(self, repository: str, tag: str) -> str:
        self.images[f"{repository}:{tag}"] = "sha256:1"
        return "sha256:1"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / DESCRIPTOR_FILE).write_text(DESCRIPTOR + 'requirements: ["humanize==4.9.0"]\ntransform: true\n')
    (tmp_path / "transform.py").write_text("import humanize\n")
    return tmp_path


def test_equal_inputs_are_built_once() -> None:
    registry = Registry(["fine"])
    first, second = build(RECIPE, "r/built", registry), build(RECIPE, "r/built", registry)
    assert (first.image, first.reused, first.size_bytes) == ("r/built@sha256:1", False, 1234)
    assert (second.image, second.reused) == ("r/built@sha256:1", True)
    assert registry.builds == 1


def test_a_failed_build_pushes_nothing_and_tells_why_without_credentials(capsys: pytest.CaptureFixture[str]) -> None:
    registry = Registry(["Looking in indexes: https://u:hunter22@index.example/", "ERROR: hunter22 is wrong"], fails=True)
    report = build(RECIPE, "r/built", registry)
    assert report.status == "Failed"
    assert "*** is wrong" in report.message
    assert "hunter22" not in report.message + capsys.readouterr().out
    assert registry.images == {}


def test_a_package_becomes_a_recipe(package: Path) -> None:
    recipe = read_recipe(package, BASE, None, None)
    assert recipe.requirements == ["humanize==4.9.0"]
    assert recipe.transform == b"import humanize\n"
    assert b"def bill_of_materials" in recipe.installer


def test_a_package_that_needs_no_image_is_refused_with_what_would_be_right(package: Path) -> None:
    (package / DESCRIPTOR_FILE).write_text(DESCRIPTOR)
    with pytest.raises(UnusablePackage, match=r"set the ModelVersion's spec\.image\.type to Generic"):
        read_recipe(package, BASE, None, None)


def test_a_folder_without_a_descriptor_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusablePackage, match=r"podium\.yaml"):
        read_recipe(tmp_path, BASE, None, None)


def test_an_engine_that_does_not_answer_is_reported_as_worth_another_try(
    package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:9")
    monkeypatch.delenv("DOCKER_TLS_VERIFY", raising=False)
    report = tmp_path / "report"
    code = main(["--package", str(package), "--base-image", BASE, "--repository", "r/built", "--report", str(report)])
    found = BuildReport.model_validate_json(report.read_bytes())
    assert (code, found.status, found.retryable) == (1, "Failed", True)
    assert "the Docker Engine cannot be reached" in found.message


def test_a_bad_requirement_is_the_packages_fault(package: Path, tmp_path: Path) -> None:
    (package / DESCRIPTOR_FILE).write_text(DESCRIPTOR + 'requirements: ["--index-url http://elsewhere"]\n')
    report = tmp_path / "report"
    assert main(["--package", str(package), "--base-image", BASE, "--repository", "r/built", "--report", str(report)]) == 1
    found = BuildReport.model_validate_json(report.read_bytes())
    assert not found.retryable
    assert "is a pip option" in found.message


def test_the_installer_adds_a_package_beside_the_venv_and_lists_everything(tmp_path: Path) -> None:
    """The script as it runs in a build, with a venv without pip, and a package from a folder instead of an index."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    context, tree = tmp_path / "context", tmp_path / "tree"
    source = context / "tiny"
    source.mkdir(parents=True)
    wheel = make_wheel(context)
    (context / "requirements.txt").write_text(f"{wheel}\n")
    (context / "pip.conf").write_text("[global]\nno-index = true\n")
    script = context / "install.py"
    script.write_bytes((resources.files("podium_operator.build") / "install.py").read_bytes())
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [str(venv / "bin/python"), str(script), str(context), str(tree)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [installed] = tree.glob("opt/podium/extra/lib/python*/site-packages/tiny.py")
    [link] = tree.rglob("podium-extra.pth")
    assert link.read_text() == f"/{installed.parent.relative_to(tree)}\n"
    bill = json.loads((tree / "opt/podium/sbom.json").read_text())
    assert {"type": "library", "name": "tiny", "version": "1.0", "purl": "pkg:pypi/tiny@1.0"} in bill["components"]
    assert list(installed.parent.glob("__pycache__/tiny.*.pyc"))


def make_wheel(folder: Path) -> Path:
    import zipfile

    path = folder / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny.py", "ANSWER = 42\n")
        wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("tiny-1.0.dist-info/RECORD", "tiny.py,,\ntiny-1.0.dist-info/METADATA,,\ntiny-1.0.dist-info/WHEEL,,\n")
    return path
