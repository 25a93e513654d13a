"""64 rows in one request, as JSON and in the binary tensor extension, beside MLServer and ONNX Runtime without a server."""

import json
import os
import statistics
import subprocess
import sys

import numpy as np

from bench.serving.generator import Report
from bench.serving.judgement import Interval, Row, at_least, ratio_interval
from bench.serving.servers import PEERS
from bench.serving.setting import (
    Contender,
    Setting,
    beside,
    cpu,
    in_turns,
    podium_contender,
    rate,
    say,
    times_mlserver,
    told,
)

PART = "rows64"
ROWS = 64
CONNECTIONS = 16
PAIRS = 6
TIMES_MLSERVER = 4.0
SHARE_OF_RUNTIME = 0.75


def run(setting: Setting) -> list[Row]:
    ours: dict[str, list[Report]] = {"json": [], "binary": []}
    bare: dict[str, list[dict[str, float]]] = {"json": [], "binary": []}
    theirs: dict[str, dict[str, list[Report]]] = {"json": {}, "binary": {}}
    with setting.podium(capture=None) as one:
        contenders = {form: podium_contender(setting, one, form, ROWS) for form in ours}
        for form, reports in ours.items():
            say(f"  {form}: podium and ONNX Runtime")
            for _ in range(PAIRS):
                bare[form].append(_in_process(setting))
                reports += _asked(setting, contenders[form], 1)
        for server in setting.mlservers():
            for form, peers in theirs.items():
                peers |= beside(setting, contenders[form], server, "json", ROWS, connections=CONNECTIONS)
    with setting.podium() as one:
        captured = {form: _asked(setting, podium_contender(setting, one, form, ROWS), 2) for form in ours}
    return [row for form in ours for row in _rows(form, bare[form], {"podium": ours[form], **theirs[form]}, captured[form])]


def _asked(setting: Setting, one: Contender, rounds: int) -> list[Report]:
    return in_turns(setting, [one], rounds, 1.5, connections=CONNECTIONS)["podium"]


def _in_process(setting: Setting) -> dict[str, float]:
    model, rows = setting.version("rf-1").model_file, setting.folder / "rows.npy"
    np.save(rows, setting.asked.rows)
    done = subprocess.run(
        [sys.executable, str(PEERS / "onnx_rows.py"), str(model), str(rows), str(setting.seconds(1.0))],
        capture_output=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {setting.cores.server}),
    )
    said: dict[str, float] = json.loads(done.stdout)
    return said


def _rows(form: str, bare: list[dict[str, float]], reports: dict[str, list[Report]], captured: list[Report]) -> list[Row]:
    ours = reports["podium"]
    name = f"64-row {'JSON' if form == 'json' else 'binary'}, {CONNECTIONS} connections"
    in_process = statistics.median(one["rows_per_second"] for one in bare)
    share, by_cpu = rate(ours) * ROWS / in_process, _by_cpu(ours, bare)
    alone = f"ONNX Runtime alone {in_process / 1000:,.0f}k rows/s; by CPU per row {by_cpu} of its speed"
    value, most = told(ours, rows=ROWS), f"≥ {SHARE_OF_RUNTIME} × ONNX Runtime"
    note = "" if form == "json" else " (its JSON: it has no binary extension over REST)"
    return [
        times_mlserver(PART, name, reports, TIMES_MLSERVER, note, rows=ROWS),
        Row(PART, name, value, most, share, at_least(share, SHARE_OF_RUNTIME, by_cpu), alone),
        Row(PART, f"{name}, capturing all rows", told(captured, rows=ROWS), "(× without)", rate(captured) / rate(ours)),
    ]


def _by_cpu(ours: list[Report], bare: list[dict[str, float]]) -> Interval:
    return ratio_interval([one["cpu_per_row"] for one in bare], [used / ROWS for used in cpu(ours)])
