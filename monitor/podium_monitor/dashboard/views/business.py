"""What the decisions are worth, the champion's beside the challengers'."""

from collections.abc import Sequence

from podium_crds.v1alpha1.monitoring import Kpi
from podium_evaluation.documents import Arm, Figure, Window
from podium_monitor.dashboard.views import arms
from podium_monitor.world import Watched
from podium_pages import words
from podium_pages.charts.lines import Bound, Line, Point, over_time
from podium_pages.charts.whiskers import Row, whiskers
from podium_pages.parts import Empty, Fact, Part, Section


def business(watched: Watched, shown: Sequence[tuple[Arm, Sequence[Window]]]) -> Section:
    kpis = watched.spec.monitoring.business
    parts = [_kpi(kpi, shown) for kpi in kpis if any(kpi.name in w.business for _, found in shown for w in found)]
    return Section("value", "Business value", parts, empty=None if parts else _empty(watched))


def _empty(watched: Watched) -> Empty:
    if watched.spec.monitoring.business:
        return Empty("No outcome has come that a value could be computed from. Outcomes travel with labels.")
    return Empty(
        "Nobody has said what a decision is worth.",
        "Write it as an expression over prediction, label, inputs and outcomes:",
        "spec:\n  monitoring:\n    business:\n    - {name: margin, unit: EUR, expression: outcome.margin - 2}",
    )


def _kpi(kpi: Kpi, shown: Sequence[tuple[Arm, Sequence[Window]]]) -> Part:
    minimum = [] if kpi.minimum is None else [Bound(float(kpi.minimum), f"at least {words.number(float(kpi.minimum))}")]
    lines = [
        Line(arms.named(arm), [_point(window, kpi.name) for window in found], style, band=style == 0)
        for style, (arm, found) in enumerate(shown)
        if any(kpi.name in window.business for window in found)
    ]
    rows = [
        Row(arms.named(arm), figure, style)
        for style, (arm, _) in enumerate(shown)
        if (figure := arms.newest_business(arm, kpi.name)) is not None
    ]
    return Part(
        title=f"{kpi.name} ({kpi.unit})" if kpi.unit else kpi.name,
        says=[f"Per decision: {kpi.expression}"],
        facts=[Fact(f"Sum, {arms.named(arm)}", _total(kpi, found)) for arm, found in shown],
        charts=[over_time("Mean per decision", lines, minimum, unit=kpi.unit), whiskers("Newest day, by arm", rows)],
    )


def _point(window: Window, name: str) -> Point:
    figure = window.business.get(name, Figure(None))
    return Point(window.start, figure.value, figure.low, figure.high, figure.alert)


def _total(kpi: Kpi, found: Sequence[Window]) -> str:
    known = [window.totals[kpi.name] for window in found if kpi.name in window.totals]
    return f"{words.number(sum(known))} {kpi.unit} over {len(known)} windows".replace("  ", " ") if known else words.NOTHING
