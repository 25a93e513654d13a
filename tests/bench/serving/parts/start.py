"""What a pod costs before its first request: time to ready and memory, with gRPC on."""

import statistics
import time
from functools import partial

from bench.serving.judgement import Row, at_most
from bench.serving.pod import CHAMPION_HOST
from bench.serving.processes import listens, wait_until
from bench.serving.setting import Setting

PART = "start"
STARTS = 5
READY_SECONDS = 0.8
MEGABYTES = 110.0
_IDLE_SECONDS = 1.0


def run(setting: Setting) -> list[Row]:
    seconds, resident, proportional = [], [], []
    for _ in range(STARTS):
        with setting.podium() as one:
            rpc = partial(listens, CHAMPION_HOST, one.site.ports.grpc)
            more = wait_until(rpc, one.started, f"nothing listens on {one.grpc_address} (gRPC)", 5)
            seconds.append(one.ready_seconds + more)
            time.sleep(_IDLE_SECONDS)  # what is measured is a pod that has come to rest
            resident.append(one.started.resident_bytes() / 1e6)
            proportional.append(one.started.proportional_bytes() / 1e6)
    started, memory = statistics.median(seconds), statistics.median(resident)
    shared = f"VmRSS; Pss {statistics.median(proportional):.0f} MB; of each start: {_listed(resident, 0)}"
    return [
        Row(
            PART,
            "idle memory, gRPC on",
            f"{memory:.0f} MB",
            f"≤ {MEGABYTES:g} MB",
            memory / MEGABYTES,
            at_most(memory, MEGABYTES),
            shared,
        ),
        Row(
            PART,
            "start to ready, gRPC on",
            f"{started:.2f} s",
            f"≤ {READY_SECONDS} s",
            started / READY_SECONDS,
            at_most(started, READY_SECONDS),
            f"median of {_listed(seconds, 2)}",
        ),
    ]


def _listed(numbers: list[float], digits: int) -> str:
    return ", ".join(f"{one:.{digits}f}" for one in sorted(numbers))
