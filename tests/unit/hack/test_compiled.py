"""The compiled serving package: what its key says, which old ones go, and that a build that fails says why."""

import ast
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from cluster.console import Failure
from compiled import building, cached
from compiled.building import modules
from compiled.cached import COMPILERS, KEPT, KEPT_SECONDS, key, outdated, platform, sources
from shipped import package, shipped

ROOT = Path(__file__).parents[3]
NAMES = [file.removesuffix(".py").replace("/", ".") for file in modules()]
FILES = {"podium_crds/a.py": b"a = 1", "podium_serving/b.py": b"b = 2"}
RECIPE = [b"flags", b"modules"]
PLATFORM = ["3.11", "x86_64", "mypy 2"]


def test_every_module_that_is_to_be_compiled_is_one_of_ours_and_named_once() -> None:
    ours = sources(ROOT)
    assert [file for file in modules() if file not in ours] == []
    assert modules() == sorted(set(modules()))


def test_equal_inputs_have_an_equal_key_in_whatever_order_they_are_found() -> None:
    assert key(dict(reversed(FILES.items())), RECIPE, PLATFORM) == key(FILES, RECIPE, PLATFORM)


@pytest.mark.parametrize(
    ("files", "recipe", "on"),
    [
        (FILES | {"podium_serving/b.py": b"b = 3"}, RECIPE, PLATFORM),
        (FILES | {"podium_serving/c.py": b""}, RECIPE, PLATFORM),
        ({"podium_crds/a.py": b"a = 1"}, RECIPE, PLATFORM),
        (FILES, [b"flags", b"more modules"], PLATFORM),
        (FILES, RECIPE, ["3.12", "x86_64", "mypy 2"]),
    ],
    ids=["another content", "one more file", "one file less", "another recipe", "another Python"],
)
def test_another_input_has_another_key(files: dict[str, bytes], recipe: list[bytes], on: list[str]) -> None:
    assert key(files, recipe, on) != key(FILES, RECIPE, PLATFORM)


def test_the_platform_names_python_its_binary_interface_and_both_compilers() -> None:
    said = platform()
    assert said[:2] == [sys.version, sysconfig.get_config_var("EXT_SUFFIX")]
    assert [word.split()[0] for word in said[-2:]] == list(COMPILERS)


def test_bytecode_is_no_source(tmp_path: Path) -> None:
    for name in (
        "crds/podium_crds/names.py",
        "serving/podium_serving/docs.html",
        "serving/podium_serving/__pycache__/a.pyc",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    assert sources(tmp_path) == {"podium_crds/names.py": b"1", "podium_serving/docs.html": b"1"}


def test_old_folders_go_but_the_latest_and_those_that_may_be_in_use_stay() -> None:
    now = 1e9
    old = {f"old-{number}": now - KEPT_SECONDS - number for number in range(1, KEPT + 3)}
    assert outdated(old, now) == [f"old-{KEPT + 1}", f"old-{KEPT + 2}"]
    used = {f"new-{number}": now - number for number in range(KEPT)}
    assert sorted(outdated(old | used, now)) == sorted(old)
    assert outdated({f"new-{number}": now - number for number in range(2 * KEPT)}, now) == []


def test_without_pythons_headers_the_package_to_install_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path / name))
    with pytest.raises(SystemExit, match=r"headers are not in .*/include; .* apt-get install libpython3\.\d+-dev"):
        building.include_folders()
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "Python.h").touch()
    assert building.include_folders() == [str(tmp_path / "include"), str(tmp_path / "platinclude")]


def test_no_python_class_derives_from_a_compiled_one_but_from_the_base_of_all_errors() -> None:
    """mypyc compares an object's class with those of a class's heirs that it knows, where they are three or fewer: one
    of another heir is no instance there, and a TypeError where one is expected. Of errors it knows more, and asks Python."""
    files = {name: ast.parse(content) for name, content in sources(ROOT).items() if name.endswith(".py")}
    classes = {name: [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)] for name, tree in files.items()}
    compiled = {one.name: [ast.unparse(base) for base in one.bases] for name in modules() for one in classes[name]}
    derived = {
        ast.unparse(base).split("[")[0].rpartition(".")[2]
        for name in classes.keys() - set(modules())
        for one in classes[name]
        for base in one.bases
    }
    assert derived & compiled.keys() == {"ServingError"}
    assert sum("ServingError" in bases for bases in compiled.values()) > 3


@pytest.mark.process
def test_a_wrong_type_is_told_with_its_line_and_leaves_nothing_that_looks_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in cached.PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / "here" / name, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "here" / cached.PACKAGES[1] / "exchange.py").open("a") as file:
        file.write('\nnumber: int = "no number"\n')
    monkeypatch.setattr(cached, "ROOT", tmp_path / "here")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(Failure, match=r'podium_serving/exchange\.py:\d+: error: .*"str"(.|\n)*compiled-road\.md'):
        cached.compiled_folder()
    assert [path.suffix for path in (tmp_path / "cache" / "podium" / "compiled").iterdir() if path.is_dir()] == [".partial"]


@pytest.mark.process
def test_what_tests_start_runs_each_module_of_the_list_compiled_and_all_others_from_the_same_folder() -> None:
    script = "import importlib, sys\nfor name in sys.argv[1:]: print(importlib.import_module(name).__file__)"
    command = [sys.executable, "-W", "error", "-c", script, *NAMES, "podium_serving.running", "podium_crds.plan"]
    done = subprocess.run(command, env=shipped(), capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    expected = [f"{name.replace('.', '/')}{suffix}" for name in NAMES]
    expected += ["podium_serving/running.py", "podium_crds/plan.py"]
    assert done.stdout.splitlines() == [str(package() / file) for file in expected]
