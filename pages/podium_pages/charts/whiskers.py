"""Rows of a value with its interval: groups, segments, guardrails, arms beside each other."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from podium_evaluation.documents import Figure
from podium_pages import words
from podium_pages.charts.frame import (
    LINES,
    WIDTH,
    Chart,
    Key,
    Scale,
    Table,
    box,
    join,
    label,
    padded,
    rule,
    shortened,
    svg,
    ticks,
)

_LEFT, _RIGHT, _ROW, _AXIS = 185, 16, 24, 24


@dataclass(frozen=True)
class Row:
    name: str
    figure: Figure
    style: int = 0
    more: str = ""
    """Said behind the value: rows, labels."""


def whiskers(
    title: str, rows: Sequence[Row], *, bound: float | None = None, bound_text: str = "", keys: Sequence[Key] = ()
) -> Chart:
    values = [one for row in rows for one in (row.figure.value, row.figure.low, row.figure.high) if one is not None]
    low, high = padded([*values, *([bound] if bound is not None else [])])
    x = Scale(low, high, _LEFT, WIDTH - _RIGHT)
    height = len(rows) * _ROW + _AXIS
    bottom = height - _AXIS
    body = (
        join(
            rule(x.at(tick), 0, x.at(tick), bottom) + label(x.at(tick), height - 8, words.number(tick), anchor="middle")
            for tick in ticks(low, high)
        )
        + (rule(x.at(bound), 0, x.at(bound), bottom, "bound") if bound is not None else Markup(""))
        + join(_row(row, index, x) for index, row in enumerate(rows))
    )
    says = "; ".join(f"{row.name} {words.figure(row.figure)}" for row in rows[:8]) + "."
    return Chart(
        title=title,
        says=says,
        svg=svg(title, says, (WIDTH, height), body),
        table=Table(
            ["Name", "Value", "Interval", "Of"],
            [
                [
                    row.name,
                    words.number(row.figure.value),
                    f"{words.number(row.figure.low)} to {words.number(row.figure.high)}",
                    row.more,
                ]
                for row in rows
            ],
        ),
        keys=[*keys, *([Key("bound", bound_text)] if bound is not None else [])],
    )


def _row(row: Row, index: int, x: Scale) -> Markup:
    y = index * _ROW + _ROW / 2
    named = label(_LEFT - 10, y + 4, shortened(row.name, 27), "row-name", "end")
    tip = f"{row.name} · {words.figure(row.figure)}" + (f" · {row.more}" if row.more else "")
    hit = box(0, y - _ROW / 2, WIDTH, _ROW, "hit", tip)
    if row.figure.value is None:
        return named + label(_LEFT + 6, y + 4, "cannot be said: " + (row.more or "too few rows"), "tick") + hit
    at = x.at(row.figure.value)
    style = row.style % LINES
    whisker = Markup("")
    if row.figure.low is not None and row.figure.high is not None:
        whisker = rule(x.at(row.figure.low), y, x.at(row.figure.high), y, f"whisker whisker-{style}")
    mark = Markup('<circle cx="{:g}" cy="{:g}" r="4.5" class="dot dot-{}"/>').format(at, y, style)
    if row.figure.alert:
        mark = Markup('<path d="M{:g} {:g}l6 11h-12z" class="alert-mark"/>').format(at, y - 7)
    return named + whisker + mark + hit
