"""Latency at half of the server's own peak, from the moment a request should have been sent: a queue counts."""

import statistics
from contextlib import ExitStack

from bench.serving.generator import Report
from bench.serving.judgement import Row, at_most
from bench.serving.servers import constant_uvicorn
from bench.serving.setting import Contender, Setting, contender, in_turns, median, podium_contender, rate

PART = "latency"
CONNECTIONS = 64
ROUNDS = 5
P99_OVER_MEDIAN = 2.0


def run(setting: Setting) -> list[Row]:
    with ExitStack() as stack:
        one = stack.enter_context(setting.podium())
        limit = stack.enter_context(constant_uvicorn(setting.cores.server, setting.folder))
        both = [podium_contender(setting, one, "json", 1), contender(setting, limit, "json", 1)]
        peaks = in_turns(setting, both, 2, 2.0, connections=CONNECTIONS)
        reports: dict[str, list[Report]] = {}
        for _ in range(ROUNDS):
            for server in both:
                half = rate(peaks[server.name]) / 2
                reports.setdefault(server.name, []).append(_at(setting, server, half))
    ours = _row("p99 at half of own peak", reports["podium"])
    theirs = _row("the same of bare uvicorn", reports["bare-uvicorn"])
    return [ours, Row(PART, theirs.measure, theirs.value, ratio=theirs.ratio, note="what this machine's noise makes of it")]


def _at(setting: Setting, server: Contender, requests_per_second: float) -> Report:
    load = server.load.with_(connections=CONNECTIONS, rate=requests_per_second, seconds=setting.seconds(4))
    return setting.run(server.name, load, server.started)


def _row(measure: str, reports: list[Report]) -> Row:
    """The median run's ratio: one burst of somebody else's work is not the server's."""
    ratios = [report.latency.p99 / report.latency.p50 for report in reports]
    ratio = statistics.median(ratios)
    p50, p99 = median(reports, "p50"), median(reports, "p99")
    runs = ", ".join(f"{one:.2f}" for one in sorted(ratios))
    value = f"p99 {p99:.2f} ms, p50 {p50:.2f} ms"
    note = f"at {rate(reports):,.0f} /s; of each run: {runs}; p99.9 {max(report.latency.p999 for report in reports):.1f} ms"
    return Row(PART, measure, value, f"≤ {P99_OVER_MEDIAN:g} × own p50", ratio, at_most(ratio, P99_OVER_MEDIAN), note)
