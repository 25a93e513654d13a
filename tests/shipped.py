"""How tests and benchmarks start a serving process: as it ships, with what runs for every request compiled."""

import os
from functools import cache
from pathlib import Path

from compiled.cached import compiled_folder


@cache
def package() -> Path:
    """The folder of the compiled package, the same until this process ends: sources may be edited meanwhile.

    Compiles it unless this machine has it, which takes a minute or so.
    """
    return compiled_folder()


def shipped() -> dict[str, str]:
    """The variables for `python -m podium_serving`."""
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(package()), os.environ.get("PYTHONPATH")]))}
