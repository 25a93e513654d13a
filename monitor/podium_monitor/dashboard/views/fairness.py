"""Whether groups are treated alike: rates by group, and the ratios and differences that are judged."""

from collections.abc import Sequence

from podium_evaluation.documents import Arm, ColumnFairness, Group, Window
from podium_monitor.dashboard.views import arms
from podium_monitor.world import Watched
from podium_pages import words
from podium_pages.charts.frame import Chart, Key
from podium_pages.charts.lines import Bound, Line, Point, over_time
from podium_pages.charts.whiskers import Row, whiskers
from podium_pages.parts import Badge, Empty, Fact, Part, Section

_MOST_RATIO = 1.2
"""Few rows make the interval of a ratio endless."""


def fairness(watched: Watched, champion: Arm | None, found: Sequence[Window]) -> Section:
    window = arms.newest_day(champion, lambda one: one.fairness)
    rule = watched.spec.monitoring.fairness
    minimum = float(rule.minimum_ratio) if rule else 0.8
    parts = [_column(one, window, champion.days, found, minimum) for one in window.fairness] if window and champion else []
    return Section("fairness", "Fairness", parts, empty=None if parts else _empty(watched))


def _empty(watched: Watched) -> Empty:
    if watched.spec.monitoring.fairness is not None:
        return Empty("No group has enough predictions yet. Inputs that capture leaves out cannot be looked at.")
    return Empty(
        "No protected input is watched.",
        "Name the inputs by which nobody may be treated worse:",
        'spec:\n  monitoring:\n    fairness: {protected: [<input>], minimumRatio: "0.8"}',
    )


def _column(one: ColumnFairness, window: Window, days: Sequence[Window], found: Sequence[Window], minimum: float) -> Part:
    """Rates that need labels are of the newest day that has them."""
    pairs = ((day, each) for day in reversed(days) for each in day.fairness if each.column == one.column)
    known_on, labelled = next(((day, each) for day, each in pairs if _has_labels(each)), (window, one))
    known = "" if known_on is window else f", {words.window(known_on.start)}"
    return Part(
        title=f"By {one.column}",
        badge=Badge("Critical", "below the minimum") if one.alert else Badge("Good", "no alert"),
        facts=[
            Fact("Lowest to highest selection rate", words.figure(one.selection_rate_ratio)),
            Fact(f"Equal opportunity difference{known}", words.figure(labelled.equal_opportunity_difference)),
            Fact(f"Equalised odds difference{known}", words.figure(labelled.equalized_odds_difference)),
            Fact("Day", words.window(window.start)),
        ],
        charts=[
            _rates("Selection rate", one.groups, "selection_rate"),
            _ratio(one.column, found, minimum),
            _rates(f"True positive rate{known}", labelled.groups, "true_positive_rate"),
            _rates(f"False positive rate{known}", labelled.groups, "false_positive_rate"),
        ],
    )


def _has_labels(one: ColumnFairness) -> bool:
    return any(group.true_positive_rate.value is not None for group in one.groups)


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
    return over_time(
        title, [Line("ratio", points, 0)], [Bound(minimum, f"at least {words.number(minimum)}")], most=_MOST_RATIO
    )
