"""`python hack/compiled`: prints the folder of the serving package as it ships, built unless it is there.

Tests, benchmarks and the soak start serving processes with it in front of PYTHONPATH; development runs the sources.
"""

import sys
from pathlib import Path

if __package__ in {None, ""}:  # run as a folder: make the folder the package that its modules say they are in
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from cluster.console import Failure, say
from compiled.cached import compiled_folder


def main() -> int:
    try:
        print(compiled_folder())
    except Failure as failure:
        say(f"error: {failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
