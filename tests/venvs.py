"""Virtual environments of other people's programs, from pinned requirements: made once, kept in the cache."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from cluster.build import exclusive, fingerprint
from cluster.layout import paths


def programs_of(requirements: Path, kind: str) -> Path:
    """The folder of the programs of the venv with these requirements. A half-made one is made again.

    In the cache it is `<kind>-<name>-<hash>`, where `name` is the file's and the hash is of its contents and of our Python.
    """
    cache = paths(os.environ).cache
    name = f"{kind}-{requirements.stem}"
    folder = cache / f"{name}-{fingerprint([requirements.read_bytes(), sys.version.encode()])}"
    with exclusive(cache / f"{name}.lock"):
        if not (folder / "complete").exists():
            print(f"installing {requirements.stem} into a venv of its own (once)", file=sys.stderr)
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            install = ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r"]
            subprocess.run([folder / "bin" / "pip", *install, requirements], check=True)
            (folder / "complete").touch()
    return folder / "bin"
