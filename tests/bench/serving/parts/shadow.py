"""All requests mirrored to a challenger at half load: how many copies arrive, and what it costs per request."""

import statistics
from dataclasses import replace

from bench.serving.generator import Report
from bench.serving.judgement import Row, at_least, at_most, ratio_interval
from bench.serving.parts.routes import routed
from bench.serving.setting import Setting, cpu

PART = "shadow"
PAIRS = 6
CONNECTIONS = 64
DELIVERED = 0.99
COST = 1.8


def run(setting: Setting) -> list[Row]:
    with routed(setting) as site:
        seen_before = site.challenger.total("podium_batch_rows_sum")
        load = site.load.with_(connections=CONNECTIONS, seconds=setting.seconds(3))
        peak = setting.run("podium", load, site.champion.started).rate
        half = load.with_(rate=peak / 2)
        plain: list[Report] = []
        mirrored: list[Report] = []
        for _ in range(PAIRS):
            site.flip([])
            plain.append(setting.run("without shadow", half, site.champion.started))
            site.flip([site.to_challenger("Shadow", 0, 1000)])
            mirrored.append(setting.run("shadow", half, site.champion.started))
        site.flip([])  # lets what is under way end
        outcomes = _outcomes(site.champion.metrics())
        arrived = site.challenger.total("podium_batch_rows_sum") - seen_before
    delivered = _delivered(outcomes, arrived)
    cost = _cost(plain, mirrored, peak / 2)
    if delivered.verdict != "reached":  # what was shed cost nothing
        cost = replace(cost, verdict="undecided", note=f"too few copies were sent to say; {cost.note}")
    return [delivered, cost]


def _outcomes(metrics: dict[str, float]) -> dict[str, int]:
    return {
        sample.split('outcome="')[1].split('"')[0]: int(value)
        for sample, value in metrics.items()
        if sample.startswith("podium_shadow_requests_total")
    }


def _delivered(outcomes: dict[str, int], arrived: float) -> Row:
    mirrored = sum(outcomes.values())
    share = outcomes.get("Answered", 0) / max(mirrored, 1)
    note = (
        ", ".join(f"{name} {count:,}" for name, count in sorted(outcomes.items()))
        + f"; the challenger ran {arrived:,.0f} rows"
    )
    name = "shadow at 100 %, half load: copies delivered"
    return Row(PART, name, f"{share:.2%}", f"≥ {DELIVERED:.0%}", share, at_least(share, DELIVERED), note)


def _cost(plain: list[Report], mirrored: list[Report], requests_per_second: float) -> Row:
    ratio = ratio_interval(cpu(mirrored), cpu(plain))
    alone, both = (statistics.median(cpu(reports)) * 1e6 for reports in (plain, mirrored))
    note = f"{ratio}; {alone:.0f} µs alone, at {requests_per_second:,.0f} /s"
    name = "shadow at 100 %, half load: CPU per request"
    return Row(PART, name, f"{both:.0f} µs", f"≤ {COST} × without", ratio.mean, at_most(ratio.mean, COST, ratio), note)
