"""What every part of the benchmark is given, and how it measures: servers in turns, so that noise hits all alike."""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.serving.asked import Asked
from bench.serving.generator import Generator, Load, Report
from bench.serving.models import Models, Version
from bench.serving.pod import Pod, Site, plan, pod
from bench.serving.processes import Cores, Started, free_ports
from bench.serving.servers import Server, mlservers

_ATTEMPTS = 3


@dataclass(frozen=True)
class Setting:
    """`quick` halves the time of runs, never the number of pairs."""

    folder: Path
    cores: Cores
    generator: Generator
    models: Models
    asked: Asked
    quick: bool
    say: Callable[[str], None]
    failures: list[str] = field(default_factory=list)
    """Wrong answers and failed requests, by server: a benchmark of wrong answers is none."""

    def seconds(self, full: float) -> float:
        return full / 2 if self.quick else full

    def version(self, name: str) -> Version:
        return self.models.version(name)

    def site(self) -> Site:
        return Site(self.folder / f"site-{len(list(self.folder.glob('site-*')))}")

    @contextmanager
    def podium(self, name: str = "rf-1", *, capture: bool = True, **environment: str) -> Iterator[Pod]:
        """A champion with everything on, capturing all rows to a collector on the clients' core."""
        (port,) = free_ports(1)
        address = f"127.0.0.1:{port}"
        version = self.version(name)
        with self.generator.sink(address):
            first = plan(1, version, capture_url=f"http://{address}/v1/events" if capture else "")
            with pod(self.site(), self.cores.server, first, version, **environment) as one:
                yield one

    def mlservers(self) -> Iterator[Server]:
        """Each while it is this iterator's turn."""
        for server in mlservers(self.cores.server, self.folder, self.version("rf-1"), quick=self.quick):
            self.say(f"  {server.name}")
            yield server

    @property
    def peer_rounds(self) -> int:
        """Runs of a peer that is slower by factors: its noise decides nothing."""
        return 1 if self.quick else 2

    def run(self, who: str, load: Load, of: Started) -> Report:
        """Once more if not one answer came: that is told, and is no rate to compare with."""
        for _ in range(_ATTEMPTS):
            report = self.generator.run(load, of)
            self.note(who, report)
            if report.count:
                return report
        raise RuntimeError(f"{who} gave no answer in {_ATTEMPTS} runs of {load.seconds:g} s")

    def note(self, who: str, report: Report) -> None:
        if not report.count:
            self.failures.append(f"{who}: no answer within {report.wall:.2f} s ({report})")
            self.say(f"  {self.failures[-1]}")
        if report.failed:
            self.failures.append(f"{who}: {report.failed} of {report.count + report.failed} failed: {report.examples[:2]}")
            self.say(f"  {self.failures[-1]}")


@dataclass(frozen=True)
class Contender:
    """A server with the load that it is asked under, but for connections and time."""

    name: str
    started: Started
    load: Load


def contender(setting: Setting, server: Server, form: str, rows: int) -> Contender:
    address = server.grpc_address if form == "grpc" else server.address
    return Contender(server.name, server.started, setting.asked.load(form, rows, address, server.output))


def podium_contender(setting: Setting, one: Pod, form: str, rows: int) -> Contender:
    address = one.grpc_address if form == "grpc" else one.address
    return Contender("podium", one.started, setting.asked.load(form, rows, address, "probabilities"))


def in_turns(
    setting: Setting, contenders: Sequence[Contender], rounds: int, seconds: float, **changes: int | float
) -> dict[str, list[Report]]:
    """Each contender once per round, in an order that turns round with each, so that none always comes first."""
    reports: dict[str, list[Report]] = {one.name: [] for one in contenders}
    for number in range(rounds):
        for one in contenders if number % 2 == 0 else reversed(contenders):
            load = one.load.with_(seconds=setting.seconds(seconds), **changes)
            reports[one.name].append(setting.run(one.name, load, one.started))
    return reports


def rate(reports: Sequence[Report]) -> float:
    """Answers per second, the median run's."""
    return statistics.median(report.rate for report in reports)


def cpu(reports: Sequence[Report]) -> list[float]:
    return [report.cpu_per_request for report in reports]


def median(reports: Sequence[Report], quantile: Literal["p50", "p99"]) -> float:
    """Milliseconds, the median run's."""
    return statistics.median(report.latency.p50 if quantile == "p50" else report.latency.p99 for report in reports)


def told(reports: Sequence[Report], *, rows: int = 1) -> str:
    """The value of a row of the table: rate, median and what a request costs."""
    per_row = f", {rate(reports) * rows / 1000:,.0f}k rows/s" if rows > 1 else f", p50 {median(reports, 'p50'):.2f} ms"
    return f"{rate(reports):,.0f} /s{per_row}, {statistics.median(cpu(reports)) * 1e6:,.0f} µs CPU"


def best_mlserver(reports: Mapping[str, Sequence[Report]]) -> str:
    return max((name for name in reports if name.startswith("mlserver")), key=lambda name: rate(reports[name]))


def rates(reports: Mapping[str, Sequence[Report]], *names: str) -> str:
    """Of the peers whose names begin so, for a note."""
    return ", ".join(f"{name} {rate(runs):,.0f} /s" for name, runs in reports.items() if name.startswith(names))


def summary(reports: Mapping[str, Sequence[Report]]) -> dict[str, dict[str, float]]:
    """For the JSON: what each server did, medians over its runs."""
    return {
        name: {
            "rate": round(rate(runs), 1),
            "p50_milliseconds": round(median(runs, "p50"), 4),
            "p99_milliseconds": round(median(runs, "p99"), 4),
            "cpu_microseconds_per_request": round(statistics.median(cpu(runs)) * 1e6, 2),
            "generator_share_of_core": round(max(run.own_share for run in runs), 3),
            "busiest_over_median_connection": round(max(run.fairness for run in runs), 3),
            "failed": sum(run.failed for run in runs),
            "checked": sum(run.checked for run in runs),
            "runs": len(runs),
        }
        for name, runs in reports.items()
    }
