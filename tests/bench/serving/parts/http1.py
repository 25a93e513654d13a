"""One row of JSON at 1, 16 and 64 connections: Podium, its peers, and what the HTTP stack itself can do."""

from collections.abc import Iterator
from contextlib import ExitStack

from bench.serving.generator import Report
from bench.serving.judgement import Row, at_least, at_most, ratio_interval
from bench.serving.servers import Server, constant_asyncio, constant_uvicorn, naive_fastapi
from bench.serving.setting import (
    Setting,
    beside,
    contender,
    cpu,
    in_turns,
    podium_contender,
    rate,
    rates,
    say,
    summary,
    times_mlserver,
    told,
)

PART = "http1"
PAIRS = {16: 6, 64: 6, 1: 3}
CONNECTIONS = tuple(PAIRS)
TIMES_MLSERVER = {1: 3.0, 16: 15.0, 64: 15.0}
MOST_UNEVEN = 1.5

Results = dict[int, dict[str, list[Report]]]


def run(setting: Setting) -> list[Row]:
    results: Results = {}
    with ExitStack() as stack:
        one = stack.enter_context(setting.podium())
        limits = [
            stack.enter_context(make(setting.cores.server, setting.folder)) for make in (constant_uvicorn, constant_asyncio)
        ]
        near = [podium_contender(setting, one, "json", 1), *(contender(setting, server, "json", 1) for server in limits)]
        for connections in CONNECTIONS:
            say(f"  {connections} connections: podium and the limits")
            results[connections] = in_turns(setting, near, PAIRS[connections], 1.5, connections=connections)
        captured = one.metrics()
        for server in _peers(setting):
            for connections in CONNECTIONS:
                results[connections] |= beside(setting, near[0], server, "json", 1, connections=connections)
    rows = [row for connections in CONNECTIONS for row in _rows(connections, results[connections])]
    return [*rows, _evenness(results[64]["podium"]), _captured(captured), _without_capture(setting)]


def _peers(setting: Setting) -> Iterator[Server]:
    with naive_fastapi(setting.cores.server, setting.folder, setting.version("rf-1")) as server:
        yield server
    yield from setting.mlservers()


def _rows(connections: int, reports: dict[str, list[Report]]) -> Iterator[Row]:
    ours, uvicorn, asyncio = reports["podium"], reports["bare-uvicorn"], reports["bare-asyncio"]
    name = f"1-row JSON, {connections} connection{'s' if connections > 1 else ''}"
    yield times_mlserver(PART, name, reports, TIMES_MLSERVER[connections], f"; {rates(reports, 'fastapi')}")
    value = told(ours)
    share, by_cpu = rate(ours) / rate(uvicorn), ratio_interval(cpu(uvicorn), cpu(ours))
    note = f"bare uvicorn {rate(uvicorn):,.0f} /s; by CPU per request {by_cpu} of its speed"
    if connections > 1:
        yield Row(PART, name, value, "≥ 1.0 × bare uvicorn", share, at_least(share, 1.0, by_cpu), note)
    used = max(report.own_share for report in asyncio)
    ceiling = f"bare asyncio {rate(asyncio):,.0f} /s, where the generator used {used:.0%} of its core"
    yield Row(PART, name, value, "(× bare asyncio)", rate(ours) / rate(asyncio), note=ceiling)


def _evenness(ours: list[Report]) -> Row:
    worst = max(report.fairness for report in ours)
    name = "busiest over median connection, 64 connections, saturated"
    return Row(PART, name, f"{worst:.2f}", f"≤ {MOST_UNEVEN}", worst, at_most(worst, MOST_UNEVEN))


def _captured(metrics: dict[str, float]) -> Row:
    """What became of the captured rows of all the runs above; nothing may vanish uncounted. The rest is still on its way."""
    outcomes = {
        sample.split('outcome="')[1].split('"')[0]: int(value)
        for sample, value in metrics.items()
        if sample.startswith("podium_capture_events_total")
    }
    total = sum(value for sample, value in metrics.items() if sample.startswith("podium_rows_total"))
    note = f"of {total:,.0f} rows: " + ", ".join(f"{name} {count:,}" for name, count in sorted(outcomes.items()))
    share = outcomes.get("Accepted", 0) / max(total, 1)
    return Row(PART, "rows captured while saturated", f"{share:.0%} accepted", note=note, details={"outcomes": outcomes})


def _without_capture(setting: Setting) -> Row:
    """Peers capture nothing: what it costs."""
    with setting.podium(capture=None) as one:
        ours = in_turns(setting, [podium_contender(setting, one, "json", 1)], 3, 1.5, connections=64)["podium"]
    return Row(PART, "1-row JSON, 64 connections, capture off", told(ours), details=summary({"podium": ours}))
