"""Hot swaps of a 100 MB model under half load: what fails, what waits, and whether an old answer follows a new one."""

import statistics
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.serving.generator import Load, records
from bench.serving.judgement import Row, at_most
from bench.serving.pod import Pod, plan
from bench.serving.setting import Setting

PART = "swap"
CONNECTIONS = 64
SWAPS = 3
BETWEEN_SECONDS = 5.0
PREPARING_SECONDS = 12.0
"""The load goes on for so long per preparation: on a core that requests want, loading stands back behind them."""
WINDOW_SECONDS = 2.0
P99_GROWTH = 1.5


@dataclass
class Swap:
    """When it happened, by time.monotonic."""

    prepared_from: float
    committed_from: float
    done: float
    grown_bytes: int


@dataclass
class Series:
    """Swaps back and forth under one load."""

    swaps: list[Swap] = field(default_factory=list)
    log: npt.NDArray[Any] = field(default_factory=lambda: np.zeros(0))
    groups: list[str] = field(default_factory=list)
    failed: int = 0
    errors: dict[str, int] = field(default_factory=dict)


def run(setting: Setting) -> list[Row]:
    with setting.podium("large-1") as one:
        load = setting.asked.load("json", 1, one.address, "probabilities", ("large-1", "large-2"))
        load = load.with_(connections=CONNECTIONS)
        peak = setting.run("podium", load.with_(seconds=setting.seconds(3)), one.started).rate
        series = swapped(setting, one, load.with_(rate=peak / 2), ("large-2", "large-1"), SWAPS)
    return rows(PART, "hot swap of a 100 MB model, half load", series, peak / 2)


def swapped(setting: Setting, one: Pod, load: Load, names: tuple[str, str], swaps: int) -> Series:
    """Runs the load and swaps to the named versions in turn, with quiet seconds before and after each."""
    seconds = BETWEEN_SECONDS * (swaps + 1) + PREPARING_SECONDS * swaps
    load = load.with_(seconds=seconds, log=setting.folder / "swaps.log")
    series = Series()
    running = setting.generator.start(load)
    try:
        for number in range(swaps):
            time.sleep(BETWEEN_SECONDS - WINDOW_SECONDS / 2)
            series.swaps.append(_swap(setting, one, number + 2, names[number % 2]))
    except BaseException:
        running.stop()
        raise
    report = running.report(one.started)
    setting.note("podium", report)
    series.log, series.groups = records(load), report.groups
    series.failed, series.errors = report.failed, report.errors
    return series


def _swap(setting: Setting, one: Pod, epoch: int, name: str) -> Swap:
    version = setting.version(name)
    one.hold(version)
    to = plan(epoch, version, capture_url=one.capture_url)
    before = one.started.resident_bytes()
    prepared_from = time.monotonic()
    one.prepare(to)
    grown = one.started.resident_bytes() - before
    committed_from = time.monotonic()
    one.commit(to)
    return Swap(prepared_from, committed_from, time.monotonic(), grown)


def rows(part: str, name: str, series: Series, requests_per_second: float) -> list[Row]:
    failed = Row(
        part,
        f"{name}: failed",
        f"{series.failed} of {len(series.log):,}",
        "0",
        verdict=at_most(series.failed, 0),
        note=f"{len(series.swaps)} swaps at {requests_per_second:,.0f} /s {series.errors or ''}",
    )
    backwards = sum(_backwards(series, swap) for swap in series.swaps)
    order = Row(
        part,
        f"{name}: asked after a new answer, answered by the old version",
        f"{backwards}",
        "0",
        verdict=at_most(backwards, 0),
    )
    return [failed, _p99(part, name, series), order]


def _p99(part: str, name: str, series: Series) -> Row:
    """The 2 s from the start of the preparation and the 2 s around the commit, the worse, over the 2 s before."""
    before = [_window(series, swap.prepared_from - WINDOW_SECONDS) for swap in series.swaps]
    preparing = [_window(series, swap.prepared_from) for swap in series.swaps]
    flipping = [_window(series, swap.committed_from - WINDOW_SECONDS / 2) for swap in series.swaps]
    ratios = [max(one, two) / was for one, two, was in zip(preparing, flipping, before, strict=True)]
    ratio = statistics.median(ratios)
    grown = statistics.median(swap.grown_bytes for swap in series.swaps) / 1e6
    took = statistics.median(swap.done - swap.prepared_from for swap in series.swaps)
    note = (
        f"of each swap: {', '.join(f'{one:.2f}' for one in ratios)}; preparing {statistics.median(preparing):.2f} ms, "
        f"flipping {statistics.median(flipping):.2f} ms; {took:.1f} s in all; the process grew by {grown:.0f} MB"
    )
    value = f"p99 {statistics.median(before):.2f} → {ratio * statistics.median(before):.2f} ms"
    return Row(part, f"{name}: p99 in 2 s", value, f"≤ {P99_GROWTH} × before", ratio, at_most(ratio, P99_GROWTH), note)


def _window(series: Series, start: float) -> float:
    """The p99 in milliseconds of what was to be sent in the 2 s from `start`."""
    log = series.log
    inside = (log["intended"] >= start) & (log["intended"] < start + WINDOW_SECONDS)
    return float(np.quantile(log["done"][inside] - log["intended"][inside], 0.99)) * 1000


def _backwards(series: Series, swap: Swap) -> int:
    """Requests sent after the first new answer had arrived, and answered by the version before."""
    log = series.log[np.abs(series.log["sent"] - swap.committed_from) < BETWEEN_SECONDS / 2]
    log = log[log["failed"] == 0]
    old = log["group"][0]
    new = log[(log["group"] != old) & (log["done"] >= swap.committed_from)]
    if len(new) == 0:
        raise RuntimeError("no answer of the new version was seen")
    return int(((log["group"] == old) & (log["sent"] > new["done"].min())).sum())
