"""The folder: equal packages are equal bytes, and what was changed after packaging is not pushed."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from sklearn.ensemble import GradientBoostingClassifier

from cli_fixtures import customers, fitted, left
from podium_cli.errors import UserError
from podium_cli.folder import read_package
from podium_cli.package import package_pipeline
from podium_crds.package import sha256_digest

pytestmark = pytest.mark.process

_SCRIPT = """
import pickle, sys
from pathlib import Path
from cli_fixtures import customers, left
from podium_cli.package import package_pipeline
model = pickle.loads(Path(sys.argv[1]).read_bytes())
rows = customers().assign(gone=left(customers()))
packaged = package_pipeline(model, rows, target="gone", name="m", version="1", out=sys.argv[2])
print(packaged.digest)
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("folder") / "package"
    model = fitted(GradientBoostingClassifier(n_estimators=5))
    package_pipeline(model, customers().assign(gone=left(customers())), target="gone", name="m", version="1", out=out)
    return out


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_two_processes_write_equal_bytes(tmp_path: Path) -> None:
    import pickle

    (tmp_path / "model.pkl").write_bytes(pickle.dumps(fitted(GradientBoostingClassifier(n_estimators=5))))
    (tmp_path / "script.py").write_text(_SCRIPT)
    tests = str(Path(__file__).parents[2])
    runs = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": tests, "TZ": f"UTC{seed}"}
        command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "model.pkl"), str(tmp_path / seed)]
        runs.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    digests = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert digests[0] == digests[1]
    assert contents(tmp_path / "1") == contents(tmp_path / "2")


def test_the_digest_is_the_manifests_own(package: Path) -> None:
    read = read_package(package)
    assert read.digest == sha256_digest((package / "manifest.json").read_bytes())
    assert sorted(contents(package)) == [
        "config.json",
        "golden.jsonl",
        "manifest.json",
        "model.onnx",
        "podium.yaml",
        "profile.json",
        "reference.parquet",
    ]


def test_the_description_is_plain_yaml_in_the_order_that_people_read(package: Path) -> None:
    document = yaml.safe_load((package / "podium.yaml").read_text())
    assert list(document)[:6] == ["schema_version", "name", "version", "task", "inputs", "outputs"]
    assert document["training"]["framework"] == "scikit-learn"
    assert set(document["training"]["metrics"]) == {"accuracy", "log_loss", "auc", "brier"}
    assert document["training"]["rows"] == 400


def _damaged(package: Path, tmp_path: Path, name: str, content: bytes | None) -> Path:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file, value in contents(package).items():
        (copy / file).write_bytes(value)
    if content is None:
        (copy / name).unlink()
    else:
        (copy / name).write_bytes(content)
    return copy


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("model.onnx", b"other", "model.onnx was changed after packaging: its digest is not the manifest's"),
        ("golden.jsonl", None, "has no golden.jsonl; it is no whole package"),
        ("manifest.json", None, "has no manifest.json; it is no whole package"),
        ("manifest.json", b"{}", "manifest.json is broken: not a model package manifest"),
        ("config.json", b"{}", "config.json is not the one that the manifest was made with"),
    ],
)
def test_a_damaged_package_is_named_with_the_file(
    package: Path, tmp_path: Path, name: str, content: Any, sentence: str
) -> None:
    with pytest.raises(UserError) as caught:
        read_package(_damaged(package, tmp_path, name, content))
    assert sentence in str(caught.value)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no folder .*gone; make a package with `podium package`"):
        read_package(tmp_path / "gone")
