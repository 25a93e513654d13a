"""`podium evaluate --html`: what was found, as a page that people can keep and send. Pure."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from podium_evaluation import documents as shown
from podium_evaluation.bins import category_bins, quantile_bins
from podium_evaluation.columns import Column
from podium_evaluation.estimated import ASSUMES
from podium_evaluation.evaluate import Window
from podium_evaluation.fairness import Fairness
from podium_evaluation.performance import Calibration, Estimate
from podium_evaluation.realised import Figure
from podium_evaluation.tables import Table
from podium_evaluation.usual import DEVIATIONS, Reference
from podium_evaluation.windows import ColumnDrift
from podium_pages import words
from podium_pages.charts.bars import then_and_now
from podium_pages.charts.curves import CALIBRATION, LIFT, ROC, Drawn, curves
from podium_pages.charts.frame import Chart, Key
from podium_pages.charts.frame import Table as Numbers
from podium_pages.charts.heatmap import Day, Levels, heatmap
from podium_pages.charts.lines import Bound, Line, Point, over_time
from podium_pages.charts.whiskers import Row, whiskers
from podium_pages.drift import drift_tests
from podium_pages.parts import Badge, Empty, Fact, Part, Section
from podium_pages.report import Report

_LEVELS = Levels(0.1, 0.25)
_MOST_ROWS = 40
_MOST_HISTOGRAMS = 9


def page_of(
    name: str,
    usual: Reference,
    windows: Sequence[Window],
    diagnosis: Sequence[str],
    tables: Sequence[Table],
    reference: Table,
) -> Report:
    """`tables` are the windows' rows. `name` is what was judged, a file's name for instance."""
    alarming = [window for window in windows if window.alerts or any(one.alert for one in window.performance.values())]
    leading = words.in_order(usual.performance)[:3]
    badge = Badge("Warning", f"{len(alarming)} of {len(windows)} windows alarm") if alarming else Badge("Good", "no alarm")
    return Report(
        title=f"Evaluation of {name}",
        subtitle=f"{len(windows)} windows against a reference of {words.count(usual.rows)} rows",
        badge=badge,
        made_at=datetime.now(UTC),
        facts=[
            Fact("Rows", words.count(sum(window.rows for window in windows))),
            Fact("Labelled", words.count(sum(window.labelled for window in windows))),
            *(Fact(f"{words.named(key)}, reference", _said(usual.performance[key])) for key in leading),
        ],
        sentences=list(diagnosis) or ["Nothing is alarming."],
        sections=[
            _performance(usual, windows),
            _scores(usual, windows),
            _segments(windows),
            _drift(windows, tables, reference),
            _fairness(windows),
            _quality(windows),
        ],
    )


def _name(window: Window) -> str:
    return window.start or f"chunk {window.index}"


def _performance(usual: Reference, windows: Sequence[Window]) -> Section:
    keys = words.in_order(key for window in windows for key in (*window.estimated, *window.performance))
    return Section(
        "performance",
        "Performance",
        [Part(charts=[_course(key, usual, windows) for key in keys[:8]])] if keys else [],
        caution=ASSUMES if any(window.estimated for window in windows) else "",
        empty=None if keys else Empty("No window has labels, and no score is a probability: nothing can be said."),
    )


def _course(key: str, usual: Reference, windows: Sequence[Window]) -> Chart:
    band = usual.usual.get(key)
    edges = [band[0] - DEVIATIONS * band[1], band[0] + DEVIATIONS * band[1]] if band else []
    if all(window.start for window in windows):
        lines = [_line("realised", key, [window.performance for window in windows], windows, 0)]
        if any(key in window.estimated for window in windows):
            lines.append(_line("estimated", key, [window.estimated for window in windows], windows, 5))
        return over_time(words.named(key), lines, [Bound(edge, f"usual: {words.number(edge)}") for edge in edges])
    rows = [
        Row(_name(window), _figure(window.performance.get(key) or window.estimated.get(key)), more=_more(window, key))
        for window in windows[:_MOST_ROWS]
    ]
    return whiskers(words.named(key), rows, bound=edges[0] if edges else None, bound_text="usual", keys=_INTERVAL)


def _scores(usual: Reference, windows: Sequence[Window]) -> Section:
    """ROC, calibration and lift of the newest window that has them, beside the reference's."""
    newest = next((window for window in reversed(windows) if window.curves), None)
    if newest is None or newest.curves is None:
        return Section("scores", "Scores", empty=Empty("No window has labels of both classes."))
    named = [(_name(newest), newest.curves), *([("reference", usual.curves)] if usual.curves else [])]
    charts = [
        curves("ROC", [Drawn(name, shown.Curve(*one.roc), style) for style, (name, one) in enumerate(named)], ROC),
        curves("Lift", [Drawn(name, shown.Curve(*one.lift), style) for style, (name, one) in enumerate(named)], LIFT),
    ]
    calibrated = [
        Drawn(name, _calibration(one.calibration), style) for style, (name, one) in enumerate(named) if one.calibration
    ]
    if calibrated:
        charts.insert(1, curves("Calibration", calibrated, CALIBRATION))
    return Section("scores", "Scores", [Part(charts=charts, across="three")])


def _calibration(found: Calibration) -> shown.Curve:
    return shown.Curve([one.mean_probability for one in found.bins], [one.positives.value for one in found.bins])


_INTERVAL = [Key("whisker-0", "95 % interval")]


def _more(window: Window, key: str) -> str:
    return "" if key in window.performance else "estimated"


def _line(name: str, key: str, figures: Sequence[Mapping[str, Figure]], windows: Sequence[Window], style: int) -> Line:
    points = []
    for window, found in zip(windows, figures, strict=True):
        one = _figure(found.get(key))
        at = datetime.fromisoformat(window.start)
        points.append(Point(at, one.value, one.low, one.high, one.alert))
    return Line(name, points, style)


def _segments(windows: Sequence[Window]) -> Section:
    """Of the newest window that has labels."""
    newest = next((window for window in reversed(windows) if window.labelled and window.segments), None)
    if newest is None:
        empty = Empty("No segment was asked for.", "Name columns by --segment: a mean hides those for whom a model fails.")
        return Section("segments", "Performance by segment", empty=empty)
    key = words.in_order(key for figures in newest.segments.values() for key in figures)[0]
    rows = [Row(name, _figure(figures.get(key))) for name, figures in list(newest.segments.items())[:_MOST_ROWS]]
    chart = whiskers(f"{words.named(key)} in the window of {_name(newest)}", rows, keys=_INTERVAL)
    return Section("segments", "Performance by segment", [Part(charts=[chart])])


def _drift(windows: Sequence[Window], tables: Sequence[Table], reference: Table) -> Section:
    days = [Day(_name(window), _drifts(window), _short(window)) for window in windows]
    worst = {name: max(_rank(day.columns[name]) for day in days if name in day.columns) for name in _columns(days)}
    ranked = sorted(worst, key=lambda name: (-worst[name], name))
    histograms = [_histogram(name, days, tables, reference) for name in ranked[:_MOST_HISTOGRAMS] if worst[name] >= 1000]
    last = windows[-1]
    return Section(
        "drift",
        "Drift",
        [
            Part(charts=[heatmap("PSI by column and window", days, ranked[:_MOST_ROWS], _LEVELS)]),
            *([Part(title="The most moved, then and now", charts=histograms, across="three")] if histograms else []),
            Part(title=f"Tests of the window of {_name(last)}", table=drift_tests(ranked[:_MOST_ROWS], _drifts(last))),
        ],
        says="PSI against the reference, in nats. An alert is more than chance makes of a window's size and columns.",
    )


def _columns(days: Sequence[Day]) -> list[str]:
    return list(dict.fromkeys(name for day in days for name in day.columns))


def _short(window: Window) -> str:
    return words.day(datetime.fromisoformat(window.start)) if window.start else str(window.index)


def _drifts(window: Window) -> dict[str, shown.ColumnDrift]:
    return {name: _drift_of(one, alert=name in window.alerts) for name, one in window.drift.items()}


def _drift_of(one: ColumnDrift, *, alert: bool) -> shown.ColumnDrift:
    test = one.ks or one.chi2
    return shown.ColumnDrift(
        psi=_number(one.psi),
        psi_threshold=_number(one.psi_threshold),
        severity=one.severity.value,
        alert=alert,
        statistic=_number(test.statistic) if test else None,
        p_value=_number(test.p_value) if test else None,
        jensen_shannon=_number(one.jensen_shannon),
        wasserstein=_number(one.wasserstein),
    )


def _rank(one: shown.ColumnDrift) -> float:
    """An alert outranks any distance without one."""
    return (one.psi or 0.0) + 1000.0 * one.alert


def _histogram(name: str, days: Sequence[Day], tables: Sequence[Table], reference: Table) -> Chart:
    """In the window where the column lay farthest."""
    at = max(range(len(days)), key=lambda index: _rank(days[index].columns[name]) if name in days[index].columns else -1.0)
    old, new = reference.columns[name], tables[at].columns[name]
    names, counts = _counted(old, new)
    psi = f"PSI {words.number(days[at].columns[name].psi)} · {days[at].name}"
    return then_and_now(shown.Histogram(name, names, counts[0], counts[1]), psi)


def _counted(old: Column, new: Column) -> tuple[list[str], tuple[list[int], list[int]]]:
    """In the bins of the reference; of text, its ten most frequent categories and the rest."""
    if old.kind == "Numeric" and new.kind == "Numeric":
        bins = quantile_bins(old.values)
        return list(bins.names), (bins.count(old.values).tolist(), bins.count(new.values).tolist())
    known = category_bins(old.counts).categories[:10]
    counts = []
    for one in (old, new):
        kept = [one.counts.get(name, 0) for name in known]
        missing = int(one.missing.sum())
        counts.append([*kept, len(one) - missing - sum(kept), missing])
    return [*known, "other", "missing"], (counts[0], counts[1])


def _fairness(windows: Sequence[Window]) -> Section:
    """Of the newest window."""
    found = windows[-1].fairness
    if not found:
        empty = Empty("No protected column was named.", "Name columns by --protected: nobody sees what nobody looks at.")
        return Section("fairness", "Fairness", empty=empty)
    return Section("fairness", "Fairness", [_fairness_of(column, one) for column, one in found.items()])


def _fairness_of(column: str, found: Fairness) -> Part:
    rows = [Row(one.group, _interval(one.selection_rate)) for one in found.groups]
    return Part(
        title=f"By {column}, against {found.reference}",
        facts=[
            Fact("Lowest to highest selection rate", _estimated(found.selection_rate_ratio)),
            Fact("Equal opportunity difference", _estimated(found.equal_opportunity_difference)),
            Fact("Equalised odds difference", _estimated(found.equalized_odds_difference)),
        ],
        charts=[whiskers("Selection rate", rows, keys=_INTERVAL)],
    )


def _quality(windows: Sequence[Window]) -> Section:
    last = windows[-1]
    rows = [
        [name, *(words.percent(share) for share in (one.missing, one.out_of_range, one.unseen, one.wrong_type))]
        for name, one in sorted(last.quality.items(), key=lambda pair: -max(vars(pair[1]).values()))
    ]
    head = ["Column", "Missing", "Out of range", "Unseen category", "Wrong type"]
    table = Numbers(head, rows[:_MOST_ROWS])
    return Section("quality", "Data quality", [Part(title=f"Window of {_name(last)}", table=table)])


def _said(figure: Figure) -> str:
    return words.figure(_figure(figure))


def _figure(found: Figure | None) -> shown.Figure:
    if found is None:
        return shown.Figure(None)
    low, high = (_number(bound) for bound in found.interval)
    return shown.Figure(_number(found.value), low, high, bool(found.alert))


def _estimated(one: Estimate) -> str:
    return words.figure(_interval(one))


def _interval(one: Estimate) -> shown.Figure:
    low, high = (_number(bound) for bound in one.interval)
    return shown.Figure(_number(one.value), low, high)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
