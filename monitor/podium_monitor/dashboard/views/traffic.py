"""Who answers, how fast, and what the operator says of it."""

from collections.abc import Sequence

from podium_evaluation.documents import Arm, DeploymentEvaluation, Window
from podium_monitor.dashboard.views import arms
from podium_monitor.world import Watched
from podium_pages import words
from podium_pages.charts.bars import Part as Slice
from podium_pages.charts.bars import split
from podium_pages.charts.frame import Chart, Table
from podium_pages.charts.lines import Line, Point, over_time
from podium_pages.parts import Empty, Part, Section


def traffic(
    watched: Watched, evaluation: DeploymentEvaluation | None, shown: Sequence[tuple[Arm, Sequence[Window]]]
) -> Section:
    parts = [_split(watched)]
    if charts := _charts(shown):
        parts.append(Part(title="Load and latency", charts=charts))
    if watched.status and watched.status.conditions:
        parts.append(_conditions(watched))
    empty = None
    if watched.spec.capture.percent == 0:
        empty = Empty(
            "Capture is off: no prediction is kept, so nothing below can be said.",
            "Set the share of predictions to keep, and apply the manifest:",
            "spec:\n  capture: {percent: 100}",
        )
    elif evaluation is None:
        empty = Empty(
            "No prediction of this deployment was evaluated yet.",
            "The first figures come minutes after the first captured predictions. Its own page shows how to send one:",
            watched.status.endpoint.docs if watched.status and watched.status.endpoint else "",
        )
    return Section("traffic", "Traffic", parts, empty=empty)


def _split(watched: Watched) -> Part:
    observed = watched.status.traffic if watched.status else []
    if observed:
        slices = [Slice(one.version, one.role, one.percent, index) for index, one in enumerate(observed)]
        return Part(charts=[split("Traffic over the last minute", slices)])
    canaries = [one for one in watched.spec.challengers if one.mode == "Canary"]
    rest = 100 - sum(one.percent or 0 for one in canaries)
    wished = [
        Slice(watched.spec.champion.model_version_ref.name, "champion", rest, 0),
        *(Slice(one.model_version_ref.name, one.name, one.percent or 0, index) for index, one in enumerate(canaries, 1)),
    ]
    return Part(charts=[split("Traffic as wished (none was observed in the last minute)", wished)])


def _charts(shown: Sequence[tuple[Arm, Sequence[Window]]]) -> list[Chart]:
    rows = [Line(arms.named(arm), [Point(w.start, float(w.rows)) for w in found], i) for i, (arm, found) in enumerate(shown)]
    slow = [
        Line(arms.named(arm), [Point(w.start, _milliseconds(w.latency_p99_seconds)) for w in found], i)
        for i, (arm, found) in enumerate(shown)
        if any(w.latency_p99_seconds is not None for w in found)
    ]
    usual = [
        Line(arms.named(arm), [Point(w.start, _milliseconds(w.latency_p50_seconds)) for w in found], i)
        for i, (arm, found) in enumerate(shown)
        if any(w.latency_p50_seconds is not None for w in found)
    ]
    charts = [over_time("Captured predictions", rows)] if any(line.points for line in rows) else []
    if usual:
        charts.append(over_time("Latency, median", usual, unit="ms"))
    if slow:
        charts.append(over_time("Latency, 99th percentile", slow, unit="ms"))
    fallbacks = [
        Line(arms.named(arm), [Point(w.start, float(w.fallbacks)) for w in found], i)
        for i, (arm, found) in enumerate(shown)
        if arm.role != "Champion" and any(w.fallbacks for w in found)
    ]
    if fallbacks:
        charts.append(over_time("Requests that fell back to the champion", fallbacks))
    return charts


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


def _conditions(watched: Watched) -> Part:
    conditions = watched.status.conditions if watched.status else []
    return Part(
        title="Conditions",
        numbers=False,
        table=Table(
            ["Condition", "Status", "Reason", "Message", "Since"],
            [[one.type, one.status, one.reason, one.message, words.written(one.last_transition_time)] for one in conditions],
        ),
    )


def pods(watched: Watched) -> str:
    committed = watched.status.champion if watched.status else None
    return words.count(committed.replicas) if committed else words.NOTHING
