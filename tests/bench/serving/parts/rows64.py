"""64 rows in one request, as JSON and in the binary tensor extension, beside MLServer and ONNX Runtime without a server."""

import json
import os
import statistics
import subprocess
import sys
from contextlib import ExitStack

from bench.serving.generator import Report
from bench.serving.judgement import Interval, Row, at_least, ratio_interval
from bench.serving.servers import PEERS, mlserver
from bench.serving.setting import Setting, contender, cpu, in_turns, podium_contender, rate, summary

PART = "rows64"
ROWS = 64
CONNECTIONS = 16
PAIRS = 6
TIMES_MLSERVER = 4.0
SHARE_OF_RUNTIME = 0.75
SETTINGS = [("sklearn", 0), ("onnx", 0), ("onnx", 1)]


def run(setting: Setting) -> list[Row]:
    reports: dict[str, list[Report]] = {}
    bare: dict[str, list[dict[str, float]]] = {"json": [], "binary": []}
    with ExitStack() as stack:
        one, _ = stack.enter_context(setting.podium())
        for form, in_process in bare.items():
            setting.say(f"  {form}: podium and ONNX Runtime")
            ours = podium_contender(setting, one, form, ROWS)
            for _ in range(PAIRS):
                in_process.append(_in_process(setting))
                said = in_turns(setting, [ours], 1, 1.5, connections=CONNECTIONS)["podium"]
                reports.setdefault(form, []).extend(said)
    theirs: dict[str, list[Report]] = {}
    for runtime, workers in SETTINGS:
        with mlserver(setting.cores.server, setting.folder, setting.version("rf-1"), runtime, workers) as server:
            setting.say(f"  {server.name}")
            peer = contender(setting, server, "json", ROWS)
            theirs |= in_turns(setting, [peer], 2, 1.5, connections=CONNECTIONS)
    return [row for form in bare for row in _rows(form, reports[form], bare[form], theirs)]


def _in_process(setting: Setting) -> dict[str, float]:
    model = setting.version("rf-1").model_file
    done = subprocess.run(
        [sys.executable, str(PEERS / "onnx_rows.py"), str(model), str(setting.seconds(1.0))],
        capture_output=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {setting.cores.server}),
    )
    said: dict[str, float] = json.loads(done.stdout)
    return said


def _rows(form: str, ours: list[Report], bare: list[dict[str, float]], theirs: dict[str, list[Report]]) -> list[Row]:
    name = f"64-row {'JSON' if form == 'json' else 'binary'}, {CONNECTIONS} connections"
    best = max(theirs, key=lambda peer: rate(theirs[peer]))
    times = rate(ours) / rate(theirs[best])
    rows_per_second = rate(ours) * ROWS
    value = f"{rate(ours):,.0f} /s, {rows_per_second / 1000:,.0f}k rows/s"
    peers = ", ".join(f"{peer} {rate(said):,.0f}" for peer, said in theirs.items())
    in_process = statistics.median(one["rows_per_second"] for one in bare)
    by_cpu = _by_cpu(ours, bare)
    share = rows_per_second / in_process
    note = f"CPU per row: {by_cpu} of its speed; ONNX Runtime alone {in_process / 1000:,.0f}k rows/s"
    must = f"≥ {SHARE_OF_RUNTIME} × ONNX Runtime"
    compared = "" if form == "json" else " (its JSON: it has no binary extension over REST)"
    return [
        Row(
            PART,
            name,
            value,
            f"≥ {TIMES_MLSERVER:g} × MLServer",
            times,
            at_least(times, TIMES_MLSERVER),
            f"best is {best}{compared}; {peers}",
            summary({"podium": ours, **theirs}),
        ),
        Row(PART, name, value, must, share, at_least(share, SHARE_OF_RUNTIME, by_cpu), note),
    ]


def _by_cpu(ours: list[Report], bare: list[dict[str, float]]) -> Interval:
    return ratio_interval([one["cpu_per_row"] for one in bare], [used / ROWS for used in cpu(ours)])
