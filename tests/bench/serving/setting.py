"""What every part of the benchmark is given, and how it measures: servers in turns, so that noise hits all alike."""

import shutil
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.serving.asked import Asked
from bench.serving.generator import Generator, Load, Report, build
from bench.serving.judgement import Row, at_least, ratio_interval
from bench.serving.models import Models, Version, models
from bench.serving.pod import EVERYTHING, Pod, Site, plan, pod
from bench.serving.processes import Cores, Started, cores, free_ports
from bench.serving.servers import Server, mlservers
from podium_crds.plan import PlannedCapture

BUILD = Path(".build/bench")
RUNS = BUILD / "run"
LOCK = BUILD / "lock"
"""Two runs at once would measure each other."""
_ATTEMPTS = 3
NEAREST = "mlserver-onnx-0"
PAIRED = "podium beside " + NEAREST


@dataclass(frozen=True)
class Setting:
    """`quick` halves the time of runs, never the number of pairs."""

    folder: Path
    cores: Cores
    generator: Generator
    models: Models
    asked: Asked
    quick: bool
    failures: list[str] = field(default_factory=list)
    """Wrong answers and failed requests, by server: a benchmark of wrong answers is none."""

    def seconds(self, full: float) -> float:
        return full / 2 if self.quick else full

    def version(self, name: str) -> Version:
        return self.models.version(name)

    def site(self) -> Site:
        return Site(self.folder / f"site-{len(list(self.folder.glob('site-*')))}")

    @contextmanager
    def podium(
        self, name: str = "rf-1", *, capture: PlannedCapture | None = EVERYTHING, **environment: str
    ) -> Iterator[Pod]:
        """A champion with everything on, capturing all rows to a collector on the clients' core. None: it captures none."""
        (port,) = free_ports(1)
        address = f"127.0.0.1:{port}"
        version = self.version(name)
        with self.generator.sink(address):
            url = f"http://{address}/v1/events" if capture else ""
            first = plan(1, version, capture_url=url, captured=capture or EVERYTHING)
            with pod(self.site(), self.cores.server, first, version, **environment) as one:
                yield one

    def mlservers(self) -> Iterator[Server]:
        """Each while it is this iterator's turn."""
        for server in mlservers(self.cores.server, self.folder, self.version("rf-1"), quick=self.quick):
            say(f"  {server.name}")
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
            self.failures.append(f"{who}: not one right answer within {report.wall:.2f} s")
            say(f"  {self.failures[-1]}")
        if report.failed:
            self.failures.append(f"{who}: {report.failed} of {report.count + report.failed} failed: {report.examples[:2]}")
            say(f"  {self.failures[-1]}")


def setting_of(part: str, *, quick: bool) -> Setting:
    """A fresh folder under `RUNS`, the compiled generator, the cached models. Raises RuntimeError with a single core."""
    folder = (RUNS / part).absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    both, trained = cores(), models()
    trained.folder.mkdir(parents=True, exist_ok=True)
    return Setting(folder, both, Generator(build(), both.clients, folder), trained, Asked(folder, trained), quick)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


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


def beside(
    setting: Setting, ours: Contender, server: Server, form: str, rows: int, **changes: int | float
) -> dict[str, list[Report]]:
    """A peer's runs; those of the setting that is nearest to us in turns with ours, so that CPU time can decide."""
    peer = contender(setting, server, form, rows)
    if peer.name != NEAREST:
        return in_turns(setting, [peer], setting.peer_rounds, 1.5, **changes)
    runs = in_turns(setting, [ours, peer], 3 if setting.quick else 6, 1.5, **changes)
    return {peer.name: runs[peer.name], PAIRED: runs[ours.name]}


def times_mlserver(
    part: str, name: str, reports: Mapping[str, Sequence[Report]], must: float, note: str, *, rows: int = 1
) -> Row:
    """Podium over MLServer's best setting."""
    ours = reports["podium"]
    best = max((peer for peer in reports if peer.startswith("mlserver")), key=lambda peer: rate(reports[peer]))
    times = rate(ours) / rate(reports[best])
    by_cpu = ratio_interval(cpu(reports[best]), cpu(reports[PAIRED])) if best == NEAREST else None
    peers = f"{rates(reports, 'mlserver')}{note}; by CPU per request {by_cpu} times its speed"
    verdict = at_least(times, must, by_cpu)
    return Row(part, name, told(ours, rows=rows), f"≥ {must:g} × MLServer", times, verdict, peers, summary(reports))


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
