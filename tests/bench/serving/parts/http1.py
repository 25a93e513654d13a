"""One row of JSON at 1, 16 and 64 connections: Podium, its peers, and what the HTTP stack itself can do."""

from contextlib import ExitStack

from bench.serving.generator import Report
from bench.serving.judgement import Row, at_least, at_most, ratio_interval
from bench.serving.servers import Server, constant_asyncio, constant_uvicorn, mlserver, naive_fastapi
from bench.serving.setting import Setting, contender, cpu, in_turns, podium_contender, rate, summary

PART = "http1"
PAIRS = 6
TIMES_MLSERVER = {1: 3.0, 16: 15.0, 64: 15.0}
MOST_UNEVEN = 1.5
SETTINGS = [("sklearn", 0), ("sklearn", 1), ("onnx", 0), ("onnx", 1)]
"""MLServer's runtime and number of workers; the best of them is what Podium is compared with."""


def run(setting: Setting) -> list[Row]:
    with ExitStack() as stack:
        one, _sink = stack.enter_context(setting.podium())
        core, folder = setting.cores.server, setting.folder
        limits = [stack.enter_context(make(core, folder)) for make in (constant_uvicorn, constant_asyncio)]
        near = [podium_contender(setting, one, "json", 1), *(contender(setting, server, "json", 1) for server in limits)]
        results: dict[int, dict[str, list[Report]]] = {}
        for connections in (16, 64, 1):
            setting.say(f"  {connections} connections: podium and the limits")
            results[connections] = in_turns(setting, near, PAIRS, 1.5, connections=connections)
        captured = one.metrics()
    for connections, reports in _peers(setting).items():
        results[connections] |= reports
    rows = [row for connections in (16, 64, 1) for row in rows_of(connections, results[connections])]
    return [*rows, evenness(results[64]["podium"]), capture_row(captured)]


def _peers(setting: Setting) -> dict[int, dict[str, list[Report]]]:
    """One after the other, each alone: they are slower by factors, and idle ones would still take time from others."""
    results: dict[int, dict[str, list[Report]]] = {16: {}, 64: {}, 1: {}}

    def measure(server: Server) -> None:
        setting.say(f"  {server.name}")
        for connections in results:
            results[connections] |= in_turns(
                setting, [contender(setting, server, "json", 1)], 2, 1.5, connections=connections
            )

    version = setting.version("rf-1")
    with naive_fastapi(setting.cores.server, setting.folder, version) as server:
        measure(server)
    for runtime, workers in SETTINGS:
        with mlserver(setting.cores.server, setting.folder, version, runtime, workers) as server:
            measure(server)
    return results


def rows_of(connections: int, reports: dict[str, list[Report]]) -> list[Row]:
    ours = reports["podium"]
    best = max((name for name in reports if name.startswith("mlserver")), key=lambda name: rate(reports[name]))
    must = TIMES_MLSERVER[connections]
    times = rate(ours) / rate(reports[best])
    value = f"{rate(ours):,.0f} /s, p50 {ours[0].latency.p50:.2f} ms"
    name = f"1-row JSON, {connections} connections"
    details = summary(reports)
    rows = [Row(PART, name, value, f"≥ {must:g} × MLServer", times, at_least(times, must), _rates(reports, best), details)]
    by_cpu = ratio_interval(cpu(reports["bare-uvicorn"]), cpu(ours))
    beside = rate(ours) / rate(reports["bare-uvicorn"])
    note = f"CPU per request: {by_cpu} of bare uvicorn's speed; uvicorn {rate(reports['bare-uvicorn']):,.0f} /s"
    if connections > 1:
        rows.append(Row(PART, name, value, "≥ 1.0 × bare uvicorn", beside, at_least(beside, 1.0, by_cpu), note))
    limit = rate(ours) / rate(reports["bare-asyncio"])
    share = max(report.own_share for report in reports["bare-asyncio"])
    rows.append(
        Row(
            PART,
            name,
            value,
            ratio=limit,
            note=f"of bare asyncio's {rate(reports['bare-asyncio']):,.0f} /s (generator: {share:.0%} of its core)",
        )
    )
    return rows


def _rates(reports: dict[str, list[Report]], best: str) -> str:
    peers = [name for name in reports if name.startswith(("mlserver", "fastapi"))]
    return f"best is {best}; " + ", ".join(f"{name} {rate(reports[name]):,.0f}" for name in peers)


def evenness(ours: list[Report]) -> Row:
    worst = max(report.fairness for report in ours)
    verdict = at_most(worst, MOST_UNEVEN)
    name = "busiest over median connection, 64 connections at saturation"
    return Row(PART, name, f"{worst:.2f}", f"≤ {MOST_UNEVEN}", worst, verdict)


def capture_row(metrics: dict[str, float]) -> Row:
    """What became of the captured rows of all the runs above; nothing may vanish uncounted."""
    outcomes = {
        sample.split('outcome="')[1].split('"')[0]: int(value)
        for sample, value in metrics.items()
        if sample.startswith("podium_capture_events_total")
    }
    total = sum(value for sample, value in metrics.items() if sample.startswith("podium_rows_total"))
    note = f"of {total:,.0f} rows: " + ", ".join(f"{name} {count:,}" for name, count in sorted(outcomes.items()))
    share = outcomes.get("Accepted", 0) / max(total, 1)
    return Row(PART, "rows captured while saturated", f"{share:.0%} accepted", note=note, details={"outcomes": outcomes})
