"""The keys under which compiled programs are kept."""

import shutil
from pathlib import Path

import pytest

from cluster import build
from cluster.build import PROGRAMS, SOURCES, Program
from cluster.console import Failure

KUBERNETES, PAUSE, COREDNS = PROGRAMS[:3]


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    shutil.copytree(SOURCES / "kubernetes", tmp_path / "kubernetes")
    return tmp_path


def test_equal_inputs_have_an_equal_key(sources: Path) -> None:
    assert build.folder_name(KUBERNETES, sources) == build.folder_name(KUBERNETES, SOURCES)


@pytest.mark.parametrize("name", ["main.go", "go.mod", "go.sum"])
def test_each_source_file_counts(sources: Path, name: str) -> None:
    before = build.folder_name(KUBERNETES, sources)
    with (sources / "kubernetes" / name).open("a") as file:
        file.write("\n")
    assert build.folder_name(KUBERNETES, sources) != before


def test_other_files_do_not_count(sources: Path) -> None:
    before = build.folder_name(KUBERNETES, sources)
    (sources / "kubernetes" / "notes.txt").write_text("nothing")
    assert build.folder_name(KUBERNETES, sources) == before


def test_the_version_counts() -> None:
    newer = Program("coredns", "9.9.9", COREDNS.duration, module=COREDNS.module)
    assert build.folder_name(newer, SOURCES) != build.folder_name(COREDNS, SOURCES)


def test_bytes_cannot_move_between_parts_unseen() -> None:
    assert build.fingerprint([b"ab", b"c"]) != build.fingerprint([b"a", b"bc"])


def test_a_published_module_is_installed_at_its_version() -> None:
    command = build.go_command(Path("/go"), COREDNS, Path("/out"))
    assert command == ["/go", "install", "-ldflags", "-s -w", "github.com/coredns/coredns@v1.13.1"]


def test_kubernetes_is_told_its_version() -> None:
    command = build.go_command(Path("/go"), KUBERNETES, Path("/out"))
    assert command[3] == "-s -w -X k8s.io/component-base/version.gitVersion=v1.34.4"
    assert command[-3:] == ["-o", "/out/kubernetes", "."]


def test_an_unknown_program_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"nothing is called k9s; there are: kubernetes, pause, coredns"):
        build.build(tmp_path, only=["k9s"])


def test_what_is_in_the_cache_is_not_built_again(tmp_path: Path) -> None:
    folder = tmp_path / build.folder_name(PAUSE, SOURCES)
    folder.mkdir()
    assert build.build(tmp_path, only=["pause"]) == {"pause": folder}
