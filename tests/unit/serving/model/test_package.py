"""A package is believed file by file, and a refusal names the file."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from podium_serving.model.package import InvalidPackage, parse_descriptor, parse_golden, read_package
from serving_fixtures import make_package


def test_a_whole_package_is_read(tmp_path: Path) -> None:
    digest = make_package(tmp_path, name="churn", version="3", inputs=3)
    package = read_package(tmp_path)
    assert package.digest == digest
    assert (package.descriptor.name, package.descriptor.version, len(package.descriptor.inputs)) == ("churn", "3", 3)
    assert len(package.golden) == 8
    assert package.size_bytes > 500


def _overwrite(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def _remove(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _forget(name: str) -> Callable[[Path], object]:
    def forget(folder: Path) -> None:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        manifest["layers"] = [
            layer for layer in manifest["layers"] if layer["annotations"]["org.cncf.model.filepath"] != name
        ]
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return forget


@pytest.mark.parametrize(
    ("damage", "reason", "text"),
    [
        pytest.param(_overwrite("model.onnx", b"x"), "DigestMismatch", "model.onnx has 1 bytes with sha256:", id="changed"),
        pytest.param(_remove("model.onnx"), "InvalidPackage", "model.onnx is listed in manifest.json but", id="gone"),
        pytest.param(_remove("manifest.json"), "InvalidPackage", "cannot read manifest.json", id="no-manifest"),
        pytest.param(_overwrite("manifest.json", b"{}"), "InvalidPackage", "not a model package manifest", id="no-json"),
        pytest.param(_forget("model.onnx"), "InvalidPackage", "the manifest lists no model.onnx", id="no-model"),
        pytest.param(
            _forget("transform.py"), "InvalidPackage", "says transform: True, but transform.py is missing", id="no-transform"
        ),
    ],
)
def test_a_damaged_package_is_refused_by_name(
    damage: Callable[[Path], object], reason: str, text: str, tmp_path: Path
) -> None:
    make_package(tmp_path, transform="def before(columns): return columns")
    damage(tmp_path)
    with pytest.raises(InvalidPackage) as refused:
        read_package(tmp_path)
    assert text in str(refused.value)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("content", "text"),
    [
        pytest.param(b"name: [", "podium.yaml is not YAML", id="not-yaml"),
        pytest.param(b"name: A B", "podium.yaml: name: String should match pattern", id="bad-name"),
        pytest.param(b"- a", "podium.yaml: the whole: Input should be", id="no-map"),
    ],
)
def test_a_descriptor_that_does_not_fit_names_the_field(content: bytes, text: str) -> None:
    with pytest.raises(InvalidPackage) as refused:
        parse_descriptor(content)
    assert text in str(refused.value)


def test_a_golden_line_that_does_not_fit_names_the_line() -> None:
    with pytest.raises(InvalidPackage, match=r"golden.jsonl line 3: outputs: Field required"):
        parse_golden(b'{"inputs": {}, "outputs": {}}\n\n{"inputs": {}}\n')
