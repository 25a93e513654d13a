"""Pushing to a real registry: open, with passwords, behind a token server, and where something is wrong."""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cli_fixtures import sum_model
from cli_registry import RunningRegistry, docker_config, password_auth, registry, token_auth
from podium_cli.folder import PackageFolder
from podium_cli.main import main
from podium_cli.onnx_file import package_onnx
from podium_cli.package import Identity
from ports import free_port

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> PackageFolder:
    folder = tmp_path_factory.mktemp("package")
    return package_onnx(sum_model(folder / "model.onnx"), Identity("sum", "1"), folder / "sum-1").folder


@pytest.fixture(autouse=True)
def _no_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may be logged in somewhere."""
    (tmp_path / "nobody").mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "nobody"))
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))


@pytest.fixture
def open_registry(tmp_path: Path) -> Iterator[RunningRegistry]:
    with registry(tmp_path) as running:
        yield running


def push(monkeypatch: pytest.MonkeyPatch, package: PackageFolder, address: str, *options: str) -> int:
    monkeypatch.setattr(sys, "argv", ["podium", "push", str(package.path), address, "--insecure", *options])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_the_registry_holds_the_exact_manifest_under_the_printed_digest(
    open_registry: RunningRegistry,
    package: PackageFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert push(monkeypatch, package, f"oci://{open_registry.host}/models/sum:1") == 0
    printed = capsys.readouterr().out.strip()
    stored = open_registry.manifest("models/sum", "1").content
    assert stored == (package.path / "manifest.json").read_bytes()
    assert printed == package.digest == "sha256:" + hashlib.sha256(stored).hexdigest()
    for layer in json.loads(stored)["layers"]:
        assert (
            open_registry.folder / "storage/docker/registry/v2/blobs/sha256" / layer["digest"][7:9] / layer["digest"][7:]
        ).is_dir()


def test_a_second_push_uploads_nothing(
    open_registry: RunningRegistry,
    package: PackageFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    address = f"oci://{open_registry.host}/models/sum:1"
    assert push(monkeypatch, package, address) == 0
    assert "4 files uploaded, 0 were there" in capsys.readouterr().err
    assert push(monkeypatch, package, address) == 0
    assert "0 files uploaded, 4 were there" in capsys.readouterr().err
    assert push(monkeypatch, package, f"oci://{open_registry.host}/models/sum:again") == 0
    assert open_registry.manifest("models/sum", "again").content == open_registry.manifest("models/sum", "1").content


def test_the_manifest_to_apply_is_written_to_a_file_or_printed(
    open_registry: RunningRegistry,
    package: PackageFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    address = f"oci://{open_registry.host}/models/sum"
    assert push(monkeypatch, package, address, "--manifest", str(tmp_path / "mv.yaml"), "--namespace", "retention") == 0
    assert f"next: kubectl apply -f {tmp_path / 'mv.yaml'}" in capsys.readouterr().err
    written = yaml.safe_load((tmp_path / "mv.yaml").read_text())
    assert written["metadata"] == {"name": "sum-1", "namespace": "retention"}
    assert written["spec"]["artifact"] == {"uri": f"{address}:1", "digest": package.digest}
    assert (
        push(monkeypatch, package, address, "--manifest", "-", "--name", "mine", "--cluster-registry", "registry:5000") == 0
    )
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["metadata"]["name"] == "mine"
    assert printed["spec"]["artifact"]["uri"] == "oci://registry:5000/models/sum:1"


def test_a_registry_with_passwords_takes_those_of_docker_login(
    tmp_path: Path, package: PackageFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with registry(tmp_path, password_auth(tmp_path)) as running:
        address = f"oci://{running.host}/models/sum:1"
        assert push(monkeypatch, package, address) == 2
        assert (
            f"refuses to let this user push to models/sum; log in with `docker login {running.host}`"
            in capsys.readouterr().err
        )
        monkeypatch.setenv("DOCKER_CONFIG", str(docker_config(tmp_path / "wrong", running.host, "wrong")))
        assert push(monkeypatch, package, address) == 2
        assert "refuses to let this user push" in capsys.readouterr().err
        monkeypatch.setenv("DOCKER_CONFIG", str(docker_config(tmp_path / "right", running.host)))
        assert push(monkeypatch, package, address) == 0


def test_a_token_server_is_asked_for_each_scope(
    tmp_path: Path, package: PackageFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with token_auth(tmp_path) as auth, registry(tmp_path, auth) as running:
        address = f"oci://{running.host}/models/sum:1"
        assert push(monkeypatch, package, address) == 2
        assert "log in with `docker login" in capsys.readouterr().err
        monkeypatch.setenv("DOCKER_CONFIG", str(docker_config(tmp_path / "right", running.host)))
        assert push(monkeypatch, package, address) == 0
        assert capsys.readouterr().out.strip() == package.digest


def test_a_registry_that_is_down_is_named(
    package: PackageFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host = f"127.0.0.1:{free_port()}"
    assert push(monkeypatch, package, f"oci://{host}/models/sum:1") == 3
    assert f"the registry {host} does not answer; is it running, and is the port right?" in capsys.readouterr().err


def test_plain_http_never_leaves_the_private_network(
    package: PackageFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push(monkeypatch, package, "oci://8.8.8.8/models/sum:1") == 2
    assert "--insecure is for registries on this machine or a private network" in capsys.readouterr().err


def test_without_insecure_a_registry_of_plain_http_is_recognised(
    open_registry: RunningRegistry,
    package: PackageFolder,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", ["podium", "push", str(package.path), f"oci://{open_registry.host}/models/sum:1"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 3
    assert "or use --insecure for a registry that speaks plain HTTP" in capsys.readouterr().err


def test_a_package_that_was_changed_is_not_pushed(
    open_registry: RunningRegistry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = package_onnx(sum_model(tmp_path / "model.onnx"), Identity("sum", "1"), tmp_path / "sum-1").folder
    (folder.path / "model.onnx").write_bytes(b"other")
    assert push(monkeypatch, folder, f"oci://{open_registry.host}/models/sum:1") == 2
    assert "model.onnx was changed after packaging" in capsys.readouterr().err
    assert open_registry.manifest("models/sum", "1").status_code == 404
