"""Drift of each column on each day: four shades by PSI, and a mark where there is an alert, so that shade is never the only
signal."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from podium_evaluation.documents import ColumnDrift
from podium_pages import words
from podium_pages.charts.frame import Chart, Key, Table, join, label, shortened, svg

_LEFT, _TOP, _ROW = 150, 22, 17
_WIDTH = 1120
STEPS = 4


@dataclass(frozen=True)
class Day:
    """A window: a day, an hour, or a chunk of a file."""

    name: str
    columns: Mapping[str, ColumnDrift]
    short: str = ""
    """For the axis. Empty: the name."""

    @property
    def on_axis(self) -> str:
        return self.short or self.name


@dataclass(frozen=True)
class Levels:
    """PSI at which the shades change: half the warning, the warning, the critical level."""

    warning: float
    critical: float

    def step(self, psi: float) -> int:
        """0 to STEPS - 1."""
        return (psi >= self.warning / 2) + (psi >= self.warning) + (psi >= self.critical)


def heatmap(title: str, days: Sequence[Day], columns: Sequence[str], levels: Levels, note: str = "") -> Chart:
    """A cell per column and day. Cells of one shade are one path: a year of columns stays a small page."""
    width = (_WIDTH - _LEFT - 6) / max(len(days), 1)
    height = _TOP + _ROW * len(columns) + 6
    body = (
        _dates(days, width)
        + join(
            label(_LEFT - 8, _TOP + row * _ROW + 12, shortened(column, 22), "row-name", "end")
            for row, column in enumerate(columns)
        )
        + _shades(days, columns, width, levels)
        + _alerts(days, columns, width)
        + _hits(days, columns, width)
    )
    says = _sentence(days, columns)
    return Chart(
        title=title,
        says=says,
        svg=svg(title, says, (_WIDTH, height), body, "heat"),
        table=_table(days, columns),
        keys=[
            Key("heat-0", f"PSI below {words.number(levels.warning / 2)}"),
            Key("heat-1", f"from {words.number(levels.warning / 2)}"),
            Key("heat-2", f"from {words.number(levels.warning)}"),
            Key("heat-3", f"from {words.number(levels.critical)}"),
            Key("heat-alert", "alert: more than chance, all columns considered"),
        ],
        note=note,
        wide=True,
    )


def _dates(days: Sequence[Day], width: float) -> Markup:
    every = max(1, math.ceil(len(days) / 12))
    return join(
        label(_LEFT + (index + 0.5) * width, _TOP - 8, day.on_axis, anchor="middle")
        for index, day in enumerate(days)
        if index % every == 0
    )


def _shades(days: Sequence[Day], columns: Sequence[str], width: float, levels: Levels) -> Markup:
    cells: list[list[str]] = [[] for _ in range(STEPS)]
    inner = round(width - 1, 2)
    lefts = [f"M{_LEFT + index * width:.1f}" for index in range(len(days))]
    for row, column in enumerate(columns):
        rest = f" {_TOP + row * _ROW}h{inner}v{_ROW - 1}h-{inner}z"
        for left, day in zip(lefts, days, strict=True):
            drift = day.columns.get(column)
            if drift is not None and drift.psi is not None:
                cells[levels.step(drift.psi)].append(left + rest)
    drawn = ((step, found) for step, found in enumerate(cells) if found)
    return join(Markup('<path class="heat-{}" d="{}"/>').format(step, "".join(found)) for step, found in drawn)


def _alerts(days: Sequence[Day], columns: Sequence[str], width: float) -> Markup:
    marks = [
        f"M{_LEFT + (index + 0.5) * width - 2:.1f} {_TOP + row * _ROW + 6:g}h4v4h-4z"
        for row, column in enumerate(columns)
        for index, day in enumerate(days)
        if (drift := day.columns.get(column)) is not None and drift.alert
    ]
    return Markup('<path class="heat-mark" d="{}"/>').format("".join(marks)) if marks else Markup("")


def _hits(days: Sequence[Day], columns: Sequence[str], width: float) -> Markup:
    """Values for the script, by place: one string per row, told apart by the pointer's column."""
    rows = []
    for row, column in enumerate(columns):
        values = "|".join(_cell(day.columns.get(column)) for day in days)
        rows.append(
            Markup('<rect x="{:g}" y="{:g}" width="{:g}" height="{:g}" class="hit" data-row="{}" data-cells="{}"/>').format(
                _LEFT, _TOP + row * _ROW, width * len(days), _ROW, column, values
            )
        )
    dates = "|".join(day.name for day in days)
    return Markup('<g data-columns="{}">{}</g>').format(dates, join(rows))


def _cell(drift: ColumnDrift | None) -> str:
    if drift is None:
        return words.NOTHING
    return words.number(drift.psi) + (" alert" if drift.alert else "")


def _sentence(days: Sequence[Day], columns: Sequence[str]) -> str:
    if not days:
        return "No day was evaluated yet."
    newest = days[-1]
    alerts = [column for column in columns if column in newest.columns and newest.columns[column].alert]
    told = f"alerts for {', '.join(alerts[:5])}" if alerts else "no alert"
    return f"{len(columns)} columns over {len(days)} days; on {newest.name} {told}."


def _table(days: Sequence[Day], columns: Sequence[str]) -> Table:
    """The newest 14 days: more would not be read."""
    newest = list(days[-14:])
    return Table(
        head=["Column", *(day.on_axis for day in newest)],
        rows=[[column, *(_cell(day.columns.get(column)) for day in newest)] for column in columns],
    )
