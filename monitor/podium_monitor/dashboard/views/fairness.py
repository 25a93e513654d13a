"""Whether groups are treated alike: rates by group, and the ratios and differences that are judged."""

from collections.abc import Sequence

from podium_monitor.dashboard import words
from podium_monitor.dashboard.charts.frame import Chart, Key
from podium_monitor.dashboard.charts.lines import Bound, Line, Point, over_time
from podium_monitor.dashboard.charts.whiskers import Row, whiskers
from podium_monitor.dashboard.views import arms
from podium_monitor.dashboard.views.parts import Badge, Empty, Fact, Part, Section
from podium_monitor.evaluations.documents import Arm, ColumnFairness, Group, Window
from podium_monitor.world import Watched


def fairness(watched: Watched, champion: Arm | None, found: Sequence[Window]) -> Section:
    window = arms.newest_day(champion, lambda one: one.fairness)
    rule = watched.spec.monitoring.fairness
    minimum = float(rule.minimum_ratio) if rule else 0.8
    parts = [_column(one, window, found, minimum) for one in window.fairness] if window else []
    return Section("fairness", "Fairness", parts, empty=None if parts else _empty(watched))


def _empty(watched: Watched) -> Empty:
    if watched.spec.monitoring.fairness is not None:
        return Empty("No group has enough predictions yet. Inputs that capture leaves out cannot be looked at.")
    return Empty(
        "No protected input is watched.",
        "Name the inputs by which nobody may be treated worse:",
        'spec:\n  monitoring:\n    fairness: {protected: [<input>], minimumRatio: "0.8"}',
    )


def _column(one: ColumnFairness, window: Window, found: Sequence[Window], minimum: float) -> Part:
    return Part(
        title=f"By {one.column}",
        badge=Badge("Critical", "below the minimum") if one.alert else Badge("Good", "within bounds"),
        facts=[
            Fact("Lowest to highest selection rate", words.figure(one.selection_rate_ratio)),
            Fact("Equal opportunity difference", words.figure(one.equal_opportunity_difference)),
            Fact("Equalised odds difference", words.figure(one.equalized_odds_difference)),
            Fact("Day", f"{window.start:%Y-%m-%d}"),
        ],
        charts=[
            _rates("Selection rate", one.groups, "selection_rate"),
            _ratio(one.column, found, minimum),
            _rates("True positive rate", one.groups, "true_positive_rate"),
            _rates("False positive rate", one.groups, "false_positive_rate"),
        ],
    )


def _rates(title: str, groups: Sequence[Group], field: str) -> Chart:
    rows = [
        Row(one.name, getattr(one, field), more=f"{words.count(one.rows)} rows, {words.count(one.labelled)} labelled")
        for one in groups
    ]
    return whiskers(title, rows, keys=[Key("whisker-0", "95 % interval")])


def _ratio(column: str, found: Sequence[Window], minimum: float) -> Chart:
    points = [
        Point(window.start, figure.value, figure.low, figure.high, one.alert)
        for window in found
        for one in window.fairness
        if one.column == column and (figure := one.selection_rate_ratio) is not None
    ]
    title = "Lowest to highest selection rate"
    return over_time(title, [Line("ratio", points, 0)], [Bound(minimum, f"at least {words.number(minimum)}")])
