"""What a canary costs a request, and what a hung one costs the champion."""

import statistics

from bench.serving.generator import Report
from bench.serving.judgement import Row, at_least, at_most, ratio_interval
from bench.serving.parts.routes import Routed, routed
from bench.serving.pod import TROUBLE_HOST, route
from bench.serving.setting import Setting, cpu, rate, say

PART = "canary"
ROUNDS = 6
SLOW_RATE = 300.0
"""Requests per second at which nothing queues: what is compared is the way, not the wait."""
ADDED_MILLISECONDS = 1.0
BUDGET_MILLISECONDS = 100
TIMER_MILLISECONDS = 5.0
"""A timeout fires after its time, and the champion still has to answer."""
SHARE = 0.9


def run(setting: Setting) -> list[Row]:
    with routed(setting) as site:
        say("  a challenger at 50 %")
        forward = _forward(setting, site)
        say("  a hung challenger at 10 %")
        return [forward, *_hung(setting, site)]


def _forward(setting: Setting, site: Routed) -> Row:
    """Both arms in the same run: the versions' medians differ by the way to the other pod and back."""
    site.flip([site.to_challenger("Canary", 50, 500)])
    load = site.load.with_(connections=8, rate=SLOW_RATE, seconds=setting.seconds(2))
    reports = [setting.run("canary", load, site.champion.started) for _ in range(ROUNDS)]
    added = [report.by_group["rf-2"].p50 - report.by_group["rf-1"].p50 for report in reports]
    value = f"+{statistics.median(added):.2f} ms"
    note = (
        f"p50 {statistics.median(report.by_group['rf-1'].p50 for report in reports):.2f} ms by the champion, "
        f"of each run: {', '.join(f'{one:.2f}' for one in added)}"
    )
    verdict = at_most(statistics.median(added), ADDED_MILLISECONDS)
    return Row(PART, "canary forward, added median", value, f"≤ {ADDED_MILLISECONDS} ms", None, verdict, note)


def _hung(setting: Setting, site: Routed) -> list[Row]:
    hung = [route(setting.version("rf-2"), TROUBLE_HOST, "Canary", 10, BUDGET_MILLISECONDS)]
    without: list[Report] = []
    beside: list[Report] = []
    with setting.generator.trouble(f"{TROUBLE_HOST}:{site.champion.site.ports.forward}", ["hang"]):
        load = site.load.with_(connections=16, seconds=setting.seconds(3))
        for _ in range(ROUNDS):
            site.flip([])
            without.append(setting.run("without canary", load, site.champion.started))
            site.flip(hung)
            beside.append(setting.run("hung canary", load, site.champion.started))
        half = load.with_(connections=64, rate=rate(without) / 2, seconds=setting.seconds(4))
        delayed = [setting.run("hung canary", half, site.champion.started) for _ in range(2)]
    ratio, by_cpu = rate(beside) / rate(without), ratio_interval(cpu(without), cpu(beside))
    return [
        Row(
            PART,
            "hung challenger at 10 %: champion's throughput",
            f"{rate(beside):,.0f} /s",
            f"≥ {SHARE} × without",
            ratio,
            at_least(ratio, SHARE, by_cpu),
            f"without {rate(without):,.0f} /s; CPU per request: {by_cpu}",
        ),
        _delay([*beside, *delayed]),
    ]


def _delay(reports: list[Report]) -> Row:
    """Of answers that the champion gave after it had waited for the challenger, over the others of the same run."""
    added, worst, count = [], 0.0, 0
    for report in reports:
        plain = next(said.p50 for name, said in report.by_group.items() if name == "rf-1")
        for name, waited in report.by_group.items():
            if name.endswith(":Timeout"):
                added.append(waited.p50 - plain)
                worst = max(worst, waited.max - plain)
                count += waited.count
    name = "hung challenger at 10 %: added time"
    must = f"≤ {BUDGET_MILLISECONDS} ms budget (+ {TIMER_MILLISECONDS:g})"
    if not added:
        groups = ", ".join(sorted({name for report in reports for name in report.by_group}))
        return Row(PART, name, "none", must, verdict="reached", note=f"no answer waited for it; answers: {groups}")
    middle = statistics.median(added)
    verdict = at_most(middle, BUDGET_MILLISECONDS + TIMER_MILLISECONDS)
    total = sum(report.count for report in reports)
    note = f"median of the {count} of {total:,} answers that waited; the slowest of them +{worst:.0f} ms"
    return Row(PART, name, f"+{middle:.1f} ms", must, None, verdict, note)
