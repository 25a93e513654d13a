"""The monitor beside naive implementations of the same answers, in one run: `make bench-monitor`.

Each module of `bench.monitor.parts` has `run(folder, quick)`, which returns rows of the table. Docs: docs/bench/monitor.md.
"""

import argparse
import importlib
import json
import os
import platform
import shutil
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from bench.serving import table
from bench.serving.judgement import Row

PARTS = ("ingest", "evaluation", "dashboard")
"""In the order of the table."""
BUILD = Path(__file__).parents[3] / ".build" / "bench-monitor"


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.monitor", description=__doc__)
    parser.add_argument("--only", default="", metavar="PART,PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--out", type=Path, default=BUILD / "monitor.json")
    chosen = parser.parse_args()
    only = chosen.only.split(",") if chosen.only else list(PARTS)
    if unknown := set(only) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    rows: list[Row] = []
    broken: list[str] = []
    for part in only:
        try:
            rows += _measured(part, quick=chosen.quick)
        except Exception:  # the others go on; told below the table and by the exit code
            broken.append(part)
            traceback.print_exc()
    print(table.text(rows))
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "machine": platform.machine()}
    found: dict[str, Any] = {"machine": machine, "quick": chosen.quick, "rows": table.as_json(rows)}
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(found, indent=1, default=str))
    for part in broken:
        print(f"BROKEN {part}: see above")
    return 1 if broken or any(row.verdict == "missed" for row in rows) else 0


def _measured(part: str, *, quick: bool) -> list[Row]:
    folder = BUILD / part
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begun = time.monotonic()
    found: list[Row] = importlib.import_module(f"bench.monitor.parts.{part}").run(folder, quick)
    print(f"{part}: {time.monotonic() - begun:.0f} s", file=sys.stderr)
    return found


if __name__ == "__main__":
    sys.exit(main())
