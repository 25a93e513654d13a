"""What the import linter cannot see: who may talk to the outside, and who may not even look at a clock."""

import ast
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

ROOT = Path(str(resources.files("podium_operator")))
GATES = {
    "kubernetes": {"cluster.py"},
    "kopf": {"runtime/watch.py"},
    "docker": {"build/engine.py"},
    "podium_serving": set[str](),
    "podium_monitor": set[str](),
    "podium_cli": set[str](),
}
PURE = [
    "applied.py",
    "conditions.py",
    "errors.py",
    "kinds.py",
    "runtime/references.py",
    "runtime/routing.py",
    "build/recipe.py",
    "build/report.py",
    "versions/decision.py",
    "versions/job_run.py",
    "versions/jobs.py",
    "versions/outcome.py",
    "versions/pods.py",
]
IMPURE_MODULES = {"asyncio", "aiohttp", "os", "random", "secrets", "socket", "subprocess", "threading", "time"}
IMPURE_CALLS = {"now", "today", "utcnow"}


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def imported(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("library", GATES)
def test_each_outside_world_has_one_gate(library: str) -> None:
    users = {str(file.relative_to(ROOT)) for file in ROOT.rglob("*.py") if library in imported(parsed(file))}
    assert users == GATES[library]


@pytest.mark.parametrize("name", PURE)
def test_decisions_and_builders_do_no_input_or_output_and_read_no_clock(name: str) -> None:
    module = parsed(ROOT / name)
    assert set(imported(module)) & IMPURE_MODULES == set()
    called = {
        node.func.attr for node in ast.walk(module) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert called & IMPURE_CALLS == set()
