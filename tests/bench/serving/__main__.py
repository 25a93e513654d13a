"""Runs the parts that are asked for, keeps what each found, prints the table. See docs/bench/serving.md."""

import argparse
import importlib
import json
import os
import platform
import shutil
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.serving import table
from bench.serving.asked import Asked
from bench.serving.generator import Generator, build
from bench.serving.judgement import Row
from bench.serving.models import models
from bench.serving.processes import cores
from bench.serving.setting import Setting

PARTS = ("http1", "rows64", "unary", "latency", "canary", "shadow", "swap", "start", "workers", "named30")
"""Modules of bench.serving.parts, in the order of the table."""
BUILD = Path(".build/bench")


def main() -> int:
    chosen = _parser().parse_args()
    only = chosen.only.split(",") if chosen.only else list(PARTS)
    if unknown := set(only) - set(PARTS):
        print(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    BUILD.mkdir(parents=True, exist_ok=True)
    found: dict[str, Any] = _earlier(chosen.out) if chosen.resume else {"parts": {}}
    found |= _machine() | {"quick": chosen.quick}
    for part in only:
        if chosen.resume and "error" not in found["parts"].get(part, {"error": ""}):
            continue
        found["parts"][part] = _measured(part, quick=chosen.quick)
        chosen.out.write_text(json.dumps(found, indent=1, default=str))
    rows = [Row(**row) for part in PARTS if part in found["parts"] for row in found["parts"][part]["rows"]]
    print(table.text(rows))
    return _closing(found["parts"], rows)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench.serving", description=__doc__)
    parser.add_argument("--only", default="", metavar="PART,PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="runs half as long")
    parser.add_argument("--resume", action="store_true", help="keep parts that an earlier run has finished")
    parser.add_argument("--out", type=Path, default=BUILD / "serving.json")
    return parser


def _measured(part: str, *, quick: bool) -> dict[str, Any]:
    """A part that breaks is a result too: the others go on."""
    folder = (BUILD / "run" / part).absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    both, trained = cores(), models()
    trained.folder.mkdir(parents=True, exist_ok=True)
    generator = Generator(build(), both.clients, folder)
    setting = Setting(folder, both, generator, trained, Asked(folder, trained), quick, _say)
    _say(f"{part}:")
    begun = time.monotonic()
    rows: Sequence[Row] = []
    result: dict[str, Any] = {}
    try:
        rows = importlib.import_module(f"bench.serving.parts.{part}").run(setting)
    except Exception as error:  # reported in the table's place and in the exit code
        _say(f"  {part} broke: {error}")
        (folder / "traceback.txt").write_text(traceback.format_exc())
        result["error"] = str(error).splitlines()[-1][:300]
    _say(f"  {part}: {time.monotonic() - begun:.0f} s")
    return result | {
        "rows": table.as_json(rows),
        "failures": setting.failures,
        "seconds": round(time.monotonic() - begun, 1),
    }


def _closing(parts: dict[str, Any], rows: Sequence[Row]) -> int:
    """What did not go well, and the exit code: 0 only if all was reached and no answer was wrong."""
    for name, part in parts.items():
        for failure in part["failures"]:
            print(f"FAILED REQUESTS in {name}: {failure}")
        if "error" in part:
            print(f"BROKEN {name}: {part['error']}; the logs are in {BUILD / 'run' / name}")
    judged = [row for row in rows if row.verdict != "info"]
    reached = sum(row.verdict == "reached" for row in judged)
    print(f"{reached} of {len(judged)} reached; {BUILD / 'serving.json'}")
    broken = any(part["failures"] or "error" in part for part in parts.values())
    return 0 if reached == len(judged) and not broken else 1


def _machine() -> dict[str, Any]:
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cores": os.cpu_count(),
        "load_average_before": os.getloadavg(),
    }


def _earlier(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {"parts": {}}
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
