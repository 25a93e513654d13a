"""What the import contracts cannot see: no clock, environment or randomness in packages that are pure."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
FOLDERS = {
    "podium_crds": "crds",
    "podium_evaluation": "evaluation",
    "podium_pages": "pages",
    "podium_operator": "operator",
    "podium_serving": "serving",
    "podium_monitor": "monitor",
}
CONTRACT = "Builders and decisions do no I/O"

IMPURE_MODULES = {"random", "secrets", "time", "uuid", "os", "platform", "getpass"}
IMPURE_CALLS = {"now", "utcnow", "today", "urandom", "getenv", "open", "input", "print"}
IMPURE_NAMES = {"environ"}


def pure_files() -> list[Path]:
    """The modules that the contract of this name lists: one list for both tests."""
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    [contract] = [found for found in settings["tool"]["importlinter"]["contracts"] if found["name"] == CONTRACT]
    files: list[Path] = []
    for module in contract["source_modules"]:
        path = REPOSITORY / FOLDERS[module.split(".")[0]] / module.replace(".", "/")
        files += sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    return files


def impurities(source: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (f"line {node.lineno}: import {name.name}" for name in names if name.name in IMPURE_MODULES)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in IMPURE_MODULES:
                yield f"line {node.lineno}: from {module} import …"
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in IMPURE_CALLS:
                yield f"line {node.lineno}: {name}()"
            case ast.Attribute(attr=name) if name in IMPURE_NAMES:
                yield f"line {node.lineno}: {name}"
            case _:
                pass


@pytest.mark.parametrize("path", pure_files(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_pure_module_asks_neither_clock_nor_environment_nor_chance(path: Path) -> None:
    assert list(impurities(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from random import random",
        "from datetime import UTC, datetime\nx = datetime.now(UTC)",
        "import datetime\nx = datetime.date.today()",
        "x = environ_module.environ['HOME']",
        "x = open('file')",
    ],
)
def test_the_walk_finds_what_is_impure(source: str) -> None:
    assert list(impurities(source)) != []
