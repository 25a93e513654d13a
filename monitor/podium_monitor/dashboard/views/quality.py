"""What is wrong with the data itself: missing, out of range, unseen, of the wrong type."""

from collections.abc import Sequence

from podium_evaluation.documents import ColumnQuality, Window
from podium_pages import words
from podium_pages.charts.frame import Table
from podium_pages.charts.lines import Line, Point, over_time
from podium_pages.parts import Badge, Empty, Part, Section

_MOST_COLUMNS = 40
_LINES = 5


def quality(found: Sequence[Window]) -> Section:
    newest = next((window for window in reversed(found) if window.quality), None)
    if newest is None:
        return Section("quality", "Data quality", empty=Empty("No captured prediction was looked at yet."))
    ranked = sorted(newest.quality, key=lambda column: (-_faults(newest.quality[column]), column))
    faulty = [column for column in ranked if _faults(newest.quality[column]) > 0]
    worst = sorted({c for w in found for c in w.quality if _faults(w.quality[c]) > 0}, key=lambda c: -_peak(c, found))
    lines = [
        Line(column, [Point(w.start, 100 * _faults(w.quality[column])) for w in found if column in w.quality], style)
        for style, column in enumerate(worst[:_LINES])
    ]
    badge = Badge("Warning", f"faults in {len(faulty)} of {len(ranked)} columns") if faulty else Badge("Good", "no faults")
    charts = [over_time("Rows with a fault, by column", lines, unit="%")] if lines else []
    return Section(
        "quality",
        "Data quality",
        [Part(words.window(newest.start), badge, charts=charts, table=_table(ranked, newest))],
    )


def _faults(one: ColumnQuality) -> float:
    return one.missing + one.out_of_range + one.unseen + one.wrong_type


def _peak(column: str, found: Sequence[Window]) -> float:
    return max(_faults(window.quality[column]) for window in found if column in window.quality)


def _table(ranked: Sequence[str], newest: Window) -> Table:
    return Table(
        ["Column", "Missing", "Out of range", "Unseen category", "Wrong type"],
        [
            [column, *(words.percent(share) for share in (one.missing, one.out_of_range, one.unseen, one.wrong_type))]
            for column in ranked[:_MOST_COLUMNS]
            for one in [newest.quality[column]]
        ],
    )
