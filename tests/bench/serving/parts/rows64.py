"""64 rows in one request, as JSON and in the binary tensor extension, beside MLServer and ONNX Runtime without a server."""

import json
import os
import statistics
import subprocess
import sys

from bench.serving.generator import Report
from bench.serving.judgement import Interval, Row, at_least, ratio_interval
from bench.serving.pod import Pod
from bench.serving.servers import PEERS
from bench.serving.setting import (
    Setting,
    best_mlserver,
    contender,
    cpu,
    in_turns,
    podium_contender,
    rate,
    rates,
    summary,
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
    with setting.podium(capture=False) as one:
        for form, reports in ours.items():
            setting.say(f"  {form}: podium and ONNX Runtime")
            for _ in range(PAIRS):
                bare[form].append(_in_process(setting))
                reports += _asked(setting, one, form, 1)
    with setting.podium() as one:
        captured = {form: _asked(setting, one, form, 2) for form in ours}
    theirs: dict[str, list[Report]] = {}
    for server in setting.mlservers():
        peer = contender(setting, server, "json", ROWS)
        theirs |= in_turns(setting, [peer], setting.peer_rounds, 1.5, connections=CONNECTIONS)
    return [row for form in ours for row in _rows(form, ours[form], bare[form], theirs, captured[form])]


def _asked(setting: Setting, one: Pod, form: str, rounds: int) -> list[Report]:
    return in_turns(setting, [podium_contender(setting, one, form, ROWS)], rounds, 1.5, connections=CONNECTIONS)["podium"]


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


def _rows(
    form: str,
    ours: list[Report],
    bare: list[dict[str, float]],
    theirs: dict[str, list[Report]],
    captured: list[Report],
) -> list[Row]:
    name = f"64-row {'JSON' if form == 'json' else 'binary'}, {CONNECTIONS} connections"
    times = rate(ours) / rate(theirs[best_mlserver(theirs)])
    peers = rates(theirs, "mlserver") + ("" if form == "json" else " (JSON: it has no binary extension over REST)")
    in_process = statistics.median(one["rows_per_second"] for one in bare)
    share, by_cpu = rate(ours) * ROWS / in_process, _by_cpu(ours, bare)
    alone = f"ONNX Runtime alone {in_process / 1000:,.0f}k rows/s; by CPU per row {by_cpu} of its speed"
    least, most = f"≥ {TIMES_MLSERVER:g} × MLServer", f"≥ {SHARE_OF_RUNTIME} × ONNX Runtime"
    details = summary({"podium": ours, **theirs})
    return [
        Row(PART, name, told(ours, rows=ROWS), least, times, at_least(times, TIMES_MLSERVER), peers, details),
        Row(PART, name, told(ours, rows=ROWS), most, share, at_least(share, SHARE_OF_RUNTIME, by_cpu), alone),
        Row(PART, f"{name}, capturing all rows", told(captured, rows=ROWS), "(× without)", rate(captured) / rate(ours)),
    ]


def _by_cpu(ours: list[Report], bare: list[dict[str, float]]) -> Interval:
    return ratio_interval([one["cpu_per_row"] for one in bare], [used / ROWS for used in cpu(ours)])
