"""The compiled serving package in this machine's cache: built once per state of its sources, found again by their hash.

Its parts are read once, and what is compiled is what was read: somebody may be editing. A build goes into a temporary folder
that is renamed when it is complete: a folder that exists can be trusted.
"""

import os
import shutil
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from cluster.build import exclusive, fingerprint
from cluster.console import Failure, run, step
from cluster.layout import paths

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
PACKAGES = ("crds/podium_crds", "serving/podium_serving")
RECIPE = ("building.py", "modules.txt")
COMPILERS = ("mypy", "ziglang")
KEPT = 4
KEPT_SECONDS = 24 * 3600.0
"""A folder that was asked for within this time stays: a process may still run from it."""


def sources(root: Path) -> dict[str, bytes]:
    """The packages' files by their path below the folder that they are imported from."""
    found: dict[str, bytes] = {}
    for package in (root / name for name in PACKAGES):
        for path in sorted(package.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                found[path.relative_to(package.parent).as_posix()] = path.read_bytes()
    return found


def key(files: Mapping[str, bytes], recipe: Sequence[bytes], platform: Sequence[str]) -> str:
    """Names what comes out: the same files, recipe and platform give the same."""
    parts = [part for name in sorted(files) for part in (name.encode(), files[name])]
    return fingerprint([*parts, *recipe, *(word.encode() for word in platform)])


def platform() -> list[str]:
    """The Python that the result is for, and what compiles it."""
    compilers = [f"{name} {version(name)}" for name in COMPILERS]
    return [sys.version, str(sysconfig.get_config_var("EXT_SUFFIX")), sysconfig.get_platform(), *compilers]


def outdated(used: Mapping[str, float], now: float) -> list[str]:
    """Which folders go, by the time of their last use: all but the latest, and those that are not in use for sure."""
    latest = sorted(used, key=lambda name: used[name], reverse=True)
    return [name for name in latest[KEPT:] if now - used[name] > KEPT_SECONDS]


def compiled_folder() -> Path:
    """The folder for PYTHONPATH. Builds it unless it is there, or waits for who does. Raises Failure if it cannot be."""
    cache = paths(os.environ).cache / "compiled"
    files = sources(ROOT)
    target = cache / key(files, [(HERE / name).read_bytes() for name in RECIPE], platform())
    if not target.is_dir():
        with exclusive(cache / "build.lock"):
            if not target.is_dir():
                _build(files, target)
                _prune(cache)
    os.utime(target)
    return target


def _build(files: Mapping[str, bytes], target: Path) -> None:
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for name, content in files.items():
        path = partial / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    with step("compiling the serving package (about a minute, once per change)"):
        try:
            run([sys.executable, HERE / "building.py", partial, sys.executable])
        except Failure as failure:
            raise Failure(
                f"{failure}\nthe serving package does not compile: docs/decisions/20261122-compiled-road.md"
            ) from None
    partial.rename(target)


def _prune(cache: Path) -> None:
    used = {path.name: path.stat().st_mtime for path in cache.iterdir() if path.is_dir()}
    for name in outdated(used, time.time()):
        shutil.rmtree(cache / name, ignore_errors=True)
