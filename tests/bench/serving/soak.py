"""`make soak`: load, hot swaps, and a challenger that hangs, crashes and talks nonsense, for ten minutes.

Every answer is compared with what its own request must bring. See docs/bench/serving.md.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from bench.serving import table
from bench.serving.generator import Load, Report
from bench.serving.judgement import Row, at_least, at_most
from bench.serving.pod import TROUBLE_HOST, Pod, plan, route
from bench.serving.series import Sample, file_growth, growth, settled
from bench.serving.setting import BUILD, LOCK, Setting, say, setting_of
from cluster.build import exclusive
from podium_crds.plan import Plan
from shipped import package

PART = "soak"
CONNECTIONS = 64
SHARE_OF_PEAK = 0.8
SWAP_SECONDS = 10.0
SAMPLE_SECONDS = 5.0
TROUBLE_SECONDS = 7.0
"""One mode of the challenger; no divisor of the time between swaps, so that every mode meets every moment of a swap."""
TROUBLES = ["hang", "crash", "garbage"]
CANARY_PERCENT = 20
BUDGET_MILLISECONDS = 100
CHECKED = 1_000_000
GROWN_SHARE = 0.05
GROWN_FILES = 10


@dataclass
class Soaked:
    seconds: float
    peak: float
    swaps: int = 0
    samples: list[Sample] = field(default_factory=list)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.serving.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    seconds = parser.parse_args().seconds
    with exclusive(LOCK):
        soaked, report = soak(setting_of(PART, quick=False), seconds)
    rows = judged(soaked, report)
    said = {
        "seconds": seconds,
        "compiled": package().name,
        "samples": [vars(one) for one in soaked.samples],
        "rows": table.as_json(rows),
    }
    (BUILD / "soak.json").write_text(json.dumps(said, indent=1))
    print(table.text(rows))
    return 0 if all(row.verdict in ("reached", "info") for row in rows) else 1


def soak(setting: Setting, seconds: float) -> tuple[Soaked, Report]:
    with ExitStack() as stack:
        one = stack.enter_context(setting.podium())
        address = f"{TROUBLE_HOST}:{one.site.ports.forward}"
        stack.enter_context(setting.generator.trouble(address, TROUBLES, TROUBLE_SECONDS))
        one.swap(troubled(setting, one, 2, "rf-1"))
        load = setting.asked.load("json", 1, one.address, "probabilities", ("rf-1", "rf-2"))
        load = load.with_(connections=CONNECTIONS)
        # Over a whole turn of the challenger's modes: each costs the champion something else.
        peak = setting.run("podium", load.with_(seconds=len(TROUBLES) * TROUBLE_SECONDS), one.started).rate
        soaked = Soaked(seconds, peak)
        say(f"{peak:,.0f} /s at the most; {SHARE_OF_PEAK:.0%} of it for {seconds:.0f} s")
        report = _under_load(setting, one, load.with_(rate=peak * SHARE_OF_PEAK, seconds=seconds), soaked)
        setting.note("podium", report)
        return soaked, report


def _under_load(setting: Setting, one: Pod, load: Load, soaked: Soaked) -> Report:
    running = setting.generator.start(load)
    try:
        begun = time.monotonic()
        end, next_swap = begun + soaked.seconds, begun + SWAP_SECONDS
        while (now := time.monotonic()) < end:
            if now >= next_swap:
                soaked.swaps += 1
                _swap(setting, one, soaked.swaps)
                next_swap += SWAP_SECONDS
            soaked.samples.append(_sample(one, time.monotonic() - begun))
            time.sleep(max(min(SAMPLE_SECONDS, next_swap - time.monotonic(), end - time.monotonic()), 0))
    except BaseException:
        running.stop()
        raise
    return running.report(one.started)


def _swap(setting: Setting, one: Pod, number: int) -> None:
    name = "rf-2" if number % 2 else "rf-1"
    one.hold(setting.version(name))
    one.swap(troubled(setting, one, number + 2, name))


def troubled(setting: Setting, one: Pod, epoch: int, name: str) -> Plan:
    """The champion `name`, the other version as canary and as shadow at an address where trouble is."""
    other = setting.version("rf-1" if name == "rf-2" else "rf-2")
    routes = [
        route(other, TROUBLE_HOST, "Canary", CANARY_PERCENT, BUDGET_MILLISECONDS),
        route(other, TROUBLE_HOST, "Shadow", 0, BUDGET_MILLISECONDS),
    ]
    return plan(epoch, setting.version(name), routes, one.capture_url)


def _sample(one: Pod, seconds: float) -> Sample:
    sample = Sample(round(seconds, 1), one.started.resident_bytes() / 1e6, one.started.open_files())
    say(f"{sample.seconds:6.0f} s  {sample.resident_megabytes:6.1f} MB  {sample.open_files} open files")
    return sample


def judged(soaked: Soaked, report: Report) -> list[Row]:
    asked = report.count + report.failed
    answers = ", ".join(f"{name} {said.count:,}" for name, said in sorted(report.by_group.items()))
    enough = CHECKED * min(1.0, soaked.seconds / 600)
    failed = Row(
        PART,
        "failed requests",
        f"{report.failed} of {asked:,}",
        "0",
        verdict=at_most(report.failed, 0),
        note=f"{soaked.swaps} swaps; {report.errors or ''} {' | '.join(report.examples[:2])}",
    )
    checked = Row(
        PART,
        "answers checked by content",
        f"{report.checked:,}",
        f"≥ {enough:,.0f}",
        verdict=at_least(report.checked, enough),
        note=answers,
    )
    late = Row(
        PART,
        "requests never sent, for all connections waited",
        f"{report.behind:,}",
        "0",
        verdict=at_most(report.behind, 0),
        note=f"{SHARE_OF_PEAK:.0%} of {soaked.peak:,.0f} /s is more than the pod could answer" if report.behind else "",
    )
    return [failed, late, checked, *_flat(soaked.samples), _latency(report)]


def _flat(samples: Sequence[Sample]) -> list[Row]:
    base = settled(samples)[0].resident_megabytes
    grown, files = growth(samples), file_growth(samples)
    middle = samples[len(samples) // 2].resident_megabytes
    memory = f"{samples[0].resident_megabytes:.0f} → {middle:.0f} → {samples[-1].resident_megabytes:.0f} MB"
    opened = f"{samples[0].open_files} → {samples[-1].open_files}, at most {max(one.open_files for one in samples)}"
    bound = base * GROWN_SHARE
    return [
        Row(
            PART, "memory growth once settled", f"{grown:+.1f} MB", f"≤ {bound:.1f} MB", None, at_most(grown, bound), memory
        ),
        Row(PART, "growth of open files", f"{files:+.0f}", f"≤ {GROWN_FILES}", None, at_most(files, GROWN_FILES), opened),
    ]


def _latency(report: Report) -> Row:
    said = report.latency
    value = f"p50 {said.p50:.2f}, p99 {said.p99:.1f} ms"
    return Row(PART, "latency", value, note=f"p99.9 {said.p999:.1f} ms, slowest {said.max:.0f} ms, at {report.rate:,.0f} /s")


if __name__ == "__main__":
    sys.exit(main())
