"""How right the models are: over time, estimated beside realised, by segment, and as curves."""

from collections.abc import Sequence

from podium_crds.v1alpha1.monitoring import Monitoring
from podium_evaluation.documents import Arm, DeploymentEvaluation, Figure, Segment, Window
from podium_monitor.dashboard.views import arms
from podium_monitor.world import Watched
from podium_pages import words
from podium_pages.charts.curves import CALIBRATION, LIFT, ROC, Axes, Drawn, curves
from podium_pages.charts.frame import Chart, Key
from podium_pages.charts.lines import Line, Point, over_time
from podium_pages.charts.whiskers import Row, whiskers
from podium_pages.parts import Empty, Fact, Part, Section

CAUTION = "Estimates stand for labels that have not come. They are valid only if calibrated and without concept drift."
_MOST_METRICS = 6
_MOST_SEGMENTS = 12
_ESTIMATED_STYLE = 5


def performance(
    watched: Watched, evaluation: DeploymentEvaluation | None, shown: Sequence[tuple[Arm, Sequence[Window]]]
) -> Section:
    monitoring = watched.spec.monitoring
    known = {key for _, found in shown for window in found for key in (*window.performance, *window.estimated)}
    keys = [key for key in arms.metrics([arm for arm, _ in shown], monitoring) if key in known]
    charts = [_over_time(key, shown, monitoring) for key in keys[:_MOST_METRICS]]
    estimated = any(window.estimated for _, found in shown for window in found)
    labelled = any(window.performance for _, found in shown for window in found)
    ever = any(window.performance for arm, _ in shown for window in (*arm.days, *arm.hours))
    return Section(
        "performance",
        "Performance",
        [*([Part(charts=charts)] if charts else []), *_curves([arm for arm, _ in shown])],
        says=_labels(evaluation),
        caution=CAUTION if estimated else "",
        empty=None if labelled else _no_labels(watched, ever),
    )


def _no_labels(watched: Watched, ever: bool) -> Empty:
    if ever:
        return Empty("No label has come for predictions of this time: nobody can say yet how right they were.")
    return Empty(
        "No label has come: nobody can say yet how right the predictions were.",
        "Send what turned out to be true, with the key of the prediction (late and corrected ones are welcome):",
        f"podium feedback --deployment {watched.namespace}/{watched.name} --key <join key> --label <outcome>",
    )


def _labels(evaluation: DeploymentEvaluation | None) -> str:
    if evaluation is None or evaluation.label_coverage is None:
        return ""
    told = f"Of the predictions that should have a label by now, {words.percent(evaluation.label_coverage)} have one"
    usual, late = evaluation.label_delay_p50_seconds, evaluation.label_delay_p90_seconds
    if usual is None or late is None:
        return f"{told}."
    return f"{told}; half of the labels come within {words.length(usual)}, nine tenths within {words.length(late)}."


def _over_time(key: str, shown: Sequence[tuple[Arm, Sequence[Window]]], monitoring: Monitoring) -> Chart:
    lines = []
    for style, (arm, found) in enumerate(shown):
        name, first = arms.named(arm), style == 0
        if any(key in window.performance for window in found):
            lines.append(Line(name, [_point(one, one.performance.get(key)) for one in found], style, band=first))
        if first and any(key in window.estimated for window in found):
            estimates = [_point(one, one.estimated.get(key)) for one in found]
            lines.append(Line(f"{name}, estimated", estimates, _ESTIMATED_STYLE))
    return over_time(words.named(key), lines, arms.bounds(monitoring, key))


def _point(window: Window, figure: Figure | None) -> Point:
    if figure is None:
        return Point(window.start, None)
    return Point(window.start, figure.value, figure.low, figure.high, figure.worse)


def _curves(found: Sequence[Arm]) -> list[Part]:
    kinds: list[tuple[str, Axes, list[Drawn]]] = [
        ("Calibration", CALIBRATION, [Drawn(arms.named(a), a.calibration, i) for i, a in enumerate(found) if a.calibration]),
        ("ROC curve", ROC, [Drawn(arms.named(a), a.roc, i) for i, a in enumerate(found) if a.roc]),
        ("Lift", LIFT, [Drawn(arms.named(a), a.lift, i) for i, a in enumerate(found) if a.lift]),
    ]
    charts = [curves(title, drawn, axes) for title, axes, drawn in kinds if drawn]
    return [Part(title="Over the newest labelled days", charts=charts, across="three")] if charts else []


def segments(watched: Watched, champion: Arm | None) -> Section:
    """The newest day that has labels, by segment: one chart per column."""
    window = arms.newest_day(champion, lambda one: any(segment.labelled for segment in one.segments))
    keys = arms.metrics([champion], watched.spec.monitoring) if champion else []
    columns = dict.fromkeys(segment.column for segment in window.segments) if window else {}
    charts = [
        chart
        for column in columns
        if window and (chart := _segment_chart(column, [s for s in window.segments if s.column == column], keys)) is not None
    ]
    facts = [Fact("Day", words.window(window.start)), Fact("Labelled rows", words.count(window.labelled))] if window else []
    return Section(
        "segments",
        "Performance by segment",
        [Part(facts=facts, charts=charts)] if charts else [],
        empty=None if charts else _no_segments(watched),
    )


def _no_segments(watched: Watched) -> Empty:
    if watched.spec.monitoring.segments:
        return Empty("No segment has enough labels yet.")
    return Empty(
        "No segment is watched. A mean hides the customers for whom a model fails.",
        "Name the inputs by whose values performance is told apart:",
        "spec:\n  monitoring:\n    segments: [<input>]",
    )


def _segment_chart(column: str, found: Sequence[Segment], keys: Sequence[str]) -> Chart | None:
    key = next((key for key in keys if any(key in one.performance for one in found)), None)
    if key is None:
        return None
    rows = [
        Row(
            one.value,
            one.performance.get(key, Figure(None)),
            more=f"{words.count(one.labelled)} labelled of {words.count(one.rows)}",
        )
        for one in found[:_MOST_SEGMENTS]
    ]
    return whiskers(f"{words.named(key)} by {column}", rows, keys=[Key("whisker-0", "95 % interval")])
