"""Runs the parts that are asked for, keeps what each found, prints the table. See docs/bench/serving.md."""

import argparse
import importlib
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.serving import table
from bench.serving.judgement import Row
from bench.serving.setting import BUILD, LOCK, RUNS, say, setting_of
from cluster.build import exclusive
from shipped import package

PARTS = ("http1", "rows64", "unary", "latency", "captured", "canary", "shadow", "swap", "start", "workers", "named30")
"""Modules of bench.serving.parts, in the order of the table."""


def main() -> int:
    chosen = _parser().parse_args()
    only = chosen.only.split(",") if chosen.only else list(PARTS)
    if unknown := set(only) - set(PARTS):
        print(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    with exclusive(LOCK):
        found: dict[str, Any] = _earlier(chosen.out) if chosen.resume else {"parts": {}}
        found |= _machine() | {"quick": chosen.quick}
        for part in only:
            if chosen.resume and "error" not in found["parts"].get(part, {"error": ""}):
                continue
            found["parts"][part] = _measured(part, quick=chosen.quick)
            chosen.out.write_text(json.dumps(found, indent=1, default=str))
    rows = [Row(**row) for part in PARTS if part in found["parts"] for row in found["parts"][part]["rows"]]
    print(table.text(rows))
    return _closing(found["parts"], rows, chosen.out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.serving", description=__doc__)
    parser.add_argument("--only", default="", metavar="PART,PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="runs half as long")
    parser.add_argument("--resume", action="store_true", help="keep parts that an earlier run has finished")
    parser.add_argument("--out", type=Path, default=BUILD / "serving.json")
    return parser


def _measured(part: str, *, quick: bool) -> dict[str, Any]:
    """A part that breaks is a result too: the others go on."""
    setting = setting_of(part, quick=quick)
    say(f"{part}:")
    begun = time.monotonic()
    rows: Sequence[Row] = []
    result: dict[str, Any] = {}
    try:
        rows = importlib.import_module(f"bench.serving.parts.{part}").run(setting)
    except Exception as error:  # told below the table and by the exit code
        say(f"  {part} broke: {error}")
        (setting.folder / "traceback.txt").write_text(traceback.format_exc())
        result["error"] = str(error).splitlines()[-1][:300]
    seconds = round(time.monotonic() - begun, 1)
    say(f"  {part}: {seconds:.0f} s")
    return result | {"rows": table.as_json(rows), "failures": setting.failures, "seconds": seconds}


def _closing(parts: dict[str, Any], rows: Sequence[Row], out: Path) -> int:
    """What did not go well, and the exit code: 0 only if all was reached and no answer was wrong."""
    for name, part in parts.items():
        for failure in part["failures"]:
            print(f"FAILED REQUESTS in {name}: {failure}")
        if "error" in part:
            print(f"BROKEN {name}: {part['error']}; the logs are in {RUNS / name}")
    judged = [row for row in rows if row.verdict != "info"]
    reached = sum(row.verdict == "reached" for row in judged)
    print(f"{reached} of {len(judged)} reached; {out}")
    broken = any(part["failures"] or "error" in part for part in parts.values())
    return 0 if reached == len(judged) and not broken else 1


def _machine() -> dict[str, Any]:
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "compiled": package().name,
        "load_average_before": os.getloadavg(),
    }


def _earlier(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {"parts": {}}
    return found


if __name__ == "__main__":
    sys.exit(main())
