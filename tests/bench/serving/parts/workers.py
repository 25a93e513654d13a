"""Two workers in one pod: what they cost over one at the same load, and whether a hot swap is one moment for both."""

from contextlib import ExitStack

from bench.serving.generator import Report
from bench.serving.judgement import Row, at_most, ratio_interval
from bench.serving.parts.swap import rows, swapped
from bench.serving.setting import Setting, cpu, podium_contender

PART = "workers"
CONNECTIONS = 64
PAIRS = 6
COST = 1.1
SWAPS = 2


def run(setting: Setting) -> list[Row]:
    with ExitStack() as stack:
        pods = {count: stack.enter_context(setting.podium(PODIUM_WORKERS=str(count))) for count in (1, 2)}
        contenders = {count: podium_contender(setting, one, "json", 1) for count, one in pods.items()}
        one = contenders[1]
        full = one.load.with_(connections=CONNECTIONS, seconds=setting.seconds(2))
        half = setting.run("podium", full, one.started).rate / 2
        reports: dict[int, list[Report]] = {1: [], 2: []}
        for _ in range(PAIRS):
            for count, each in contenders.items():
                load = each.load.with_(connections=CONNECTIONS, rate=half, seconds=setting.seconds(3))
                reports[count].append(setting.run(f"{count} workers", load, each.started))
        both = setting.asked.load("json", 1, pods[2].address, "probabilities", ("rf-1", "rf-2"))
        series = swapped(setting, pods[2], both.with_(connections=CONNECTIONS, rate=half), ("rf-2", "rf-1"), SWAPS)
    return [_cost(reports, half), *rows(PART, "hot swap, 2 workers", series, half)]


def _cost(reports: dict[int, list[Report]], requests_per_second: float) -> Row:
    ratio = ratio_interval(cpu(reports[2]), cpu(reports[1]))
    alone, both = (sum(cpu(reports[count])) / PAIRS * 1e6 for count in (1, 2))
    note = f"{ratio}; {alone:.0f} µs with 1; both on one core, at {requests_per_second:,.0f} /s"
    return Row(
        PART,
        "CPU per request, 2 workers",
        f"{both:.0f} µs",
        f"≤ {COST} × 1 worker",
        ratio.mean,
        at_most(ratio.mean, COST, ratio),
        note,
    )
