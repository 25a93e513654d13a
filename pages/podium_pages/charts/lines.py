"""Figures over time: lines with their intervals as bands, bounds as dashed rules, gaps where nothing can be said."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from typing import TypeVar

from markupsafe import Markup

from podium_pages import words
from podium_pages.charts.frame import (
    LINES,
    WIDTH,
    Chart,
    Key,
    Scale,
    Table,
    hits,
    join,
    label,
    padded,
    path,
    rule,
    svg,
    time_axis,
    value_axis,
)

T = TypeVar("T")

_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 12, 12, 26
_HEIGHT = 220
_MOST_DOTS = 31
"""More would hide the line."""
_SPARK_BOTTOM, _SPARK_TOP = 24, 4


@dataclass(frozen=True)
class Point:
    at: datetime
    value: float | None
    low: float | None = None
    high: float | None = None
    alert: bool = False


@dataclass(frozen=True)
class Line:
    name: str
    points: Sequence[Point]
    style: int
    """From 0, of `frame.LINES`."""
    band: bool = True
    """Its intervals are drawn. They are always among the numbers."""


@dataclass(frozen=True)
class Bound:
    value: float
    text: str


def over_time(
    title: str, lines: Sequence[Line], bounds: Sequence[Bound] = (), *, unit: str = "", most: float = math.inf
) -> Chart:
    """What lies above `most` is drawn at the upper edge: an interval without an end must not flatten all the rest."""
    times = sorted({point.at for line in lines for point in line.points})
    values = [
        one for line in lines for point in line.points for one in (point.value, point.low, point.high) if one is not None
    ]
    low, high = padded(min(one, most) for one in [*values, *(bound.value for bound in bounds)])
    start, end = (times[0].timestamp(), times[-1].timestamp()) if times else (0.0, 1.0)
    x = Scale(start, end, _LEFT + 8, WIDTH - _RIGHT - 8)
    y = Scale(low, high, _HEIGHT - _BOTTOM, _TOP)
    across = {at: x.at(at.timestamp()) for at in times}
    told = _all_said(times, lines, unit)
    body = (
        value_axis(y, _LEFT, WIDTH - _RIGHT)
        + time_axis(times, x, _HEIGHT - 6)
        + join(_bound(bound, y) for bound in bounds)
        + join(_band(line, across, y) for line in lines if line.band)
        + join(_line(line, across, y) for line in lines)
        + _hits(lines, told, across)
    )
    says = _sentence(lines, unit)
    title = f"{title}, {unit}" if unit else title
    return Chart(
        title=title,
        says=says,
        svg=svg(title, says, (WIDTH, _HEIGHT), body, "timed"),
        table=_table(times, lines, told),
        keys=[Key(f"line-{line.style % LINES}", line.name) for line in lines]
        + [Key("bound", bound.text) for bound in bounds],
    )


def sparkline(values: Sequence[float | None], least: float) -> Markup:
    """A word-sized picture of finite numbers beside one that says the same: hidden from screen readers. Its scale spans at
    least `least`, so that noise does not look like news."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return Markup("")
    low, high = padded(known)
    air = max(0.0, least - (high - low)) / 2
    low, high = low - air, high + air
    # Texts, not Scale and path: the overview has six hundred of these.
    across, step = _across(len(values)), (_SPARK_TOP - _SPARK_BOTTOM) / (high - low)
    places = [None if value is None else f"{_SPARK_BOTTOM + (value - low) * step:.1f}" for value in values]
    drawn = "".join(
        f'<path d="M{"L".join([f"{across[index]} {place}" for index, place in run])}" class="spark"/>'
        for run in _runs(places)
    )
    x, y = next((across[index], place) for index, place in reversed([*enumerate(places)]) if place is not None)
    return Markup(  # noqa: S704  numbers, ours
        '<svg class="sparkline" viewBox="0 0 110 28" preserveAspectRatio="xMinYMid" aria-hidden="true">'
        f'{drawn}<circle cx="{x}" cy="{y}" r="2.5" class="spark-end"/></svg>'
    )


@lru_cache(maxsize=100)
def _across(count: int) -> list[str]:
    return [f"{2 + 104 * index / (count - 1):.1f}" for index in range(count)]


def _runs(values: Sequence[T | None]) -> list[list[tuple[int, T]]]:
    """Stretches without a gap."""
    known = groupby(enumerate(values), key=lambda pair: pair[1] is None)
    return [[(index, value) for index, value in group if value is not None] for missing, group in known if not missing]


def _stretch(points: Sequence[tuple[float, float]], style: str) -> Markup:
    return Markup('<path d="{}" class="{}"/>').format(path(points), style)


def _bound(bound: Bound, y: Scale) -> Markup:
    at = y.at(bound.value)
    return rule(_LEFT, at, WIDTH - _RIGHT, at, "bound") + label(_LEFT + 4, at - 4, bound.text, "bound-text")


def _band(line: Line, across: Mapping[datetime, float], y: Scale) -> Markup:
    drawn = []
    both = [point.low if point.high is not None else None for point in line.points]
    for run in _runs(both):
        points = [line.points[index] for index, _ in run]
        upper = [(across[p.at], y.at(p.high)) for p in points if p.high is not None]
        lower = [(across[p.at], y.at(p.low)) for p in points if p.low is not None]
        drawn.append(Markup('<path d="{}Z" class="band band-{}"/>').format(path(upper + lower[::-1]), line.style % LINES))
    return join(drawn)


def _line(line: Line, across: Mapping[datetime, float], y: Scale) -> Markup:
    style = f"line line-{line.style % LINES}"
    drawn = join(
        _stretch([(across[line.points[index].at], y.at(value)) for index, value in run], style)
        for run in _runs([point.value for point in line.points])
    )
    dots = len(line.points) <= _MOST_DOTS
    return drawn + join(_mark(point, across[point.at], y, line.style) for point in line.points if dots or point.alert)


def _mark(point: Point, cx: float, y: Scale, style: int) -> Markup:
    if point.value is None:
        return Markup("")
    cy = y.at(point.value)
    if point.alert:
        return Markup(f'<path d="M{cx:g} {cy - 6:g}l5 9h-10z" class="alert-mark"/>')  # noqa: S704  numbers, ours
    return Markup(f'<circle cx="{cx:g}" cy="{cy:g}" r="1.8" class="dot dot-{style % LINES}"/>')  # noqa: S704  numbers, ours


def _hits(lines: Sequence[Line], said: Sequence[Sequence[str]], across: Mapping[datetime, float]) -> Markup:
    """One invisible column per time that tells all lines' values."""
    width = (WIDTH - _LEFT - _RIGHT) / max(len(across), 1)
    names = [f" · {line.name} " for line in lines]
    tips = [
        words.window(at) + "".join([name + text for name, text in zip(names, texts, strict=True) if text])
        for at, texts in zip(across, said, strict=True)
    ]
    places = [place - width / 2 for place in across.values()]
    return hits(places, _TOP, width, _HEIGHT - _TOP - _BOTTOM, tips)


def _all_said(times: Sequence[datetime], lines: Sequence[Line], unit: str) -> list[list[str]]:
    """By time, then by line; empty where a line has no point."""
    by_time = [{point.at: point for point in line.points} for line in lines]
    return [[_said(known[at], unit) if at in known else "" for known in by_time] for at in times]


def _said(point: Point, unit: str) -> str:
    text = words.interval(point.value, point.low, point.high)
    return f"{text} {unit}".rstrip() + (" (alert)" if point.alert else "")


def _sentence(lines: Sequence[Line], unit: str) -> str:
    said = []
    for line in lines:
        known = [point for point in line.points if point.value is not None]
        if known:
            alerts = sum(point.alert for point in line.points)
            ending = f", {alerts} outside of their bounds" if alerts else ""
            said.append(
                f"{line.name}: {_said(known[-1], unit)} on {words.window(known[-1].at)}, {len(known)} values{ending}"
            )
    return "; ".join(said) + "." if said else "Nothing can be said yet."


def _table(times: Sequence[datetime], lines: Sequence[Line], said: Sequence[Sequence[str]]) -> Table:
    """The newest first."""
    rows = [[words.window(at), *(text or words.NOTHING for text in texts)] for at, texts in zip(times, said, strict=True)]
    return Table(head=["Time", *(line.name for line in lines)], rows=rows[::-1])
