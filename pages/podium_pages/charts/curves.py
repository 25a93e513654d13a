"""ROC, calibration and lift: a curve per arm with the line that a useless (or a perfect) model would draw."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from podium_evaluation.documents import Curve
from podium_pages import words
from podium_pages.charts.frame import (
    LINES,
    Chart,
    Key,
    Scale,
    Table,
    join,
    label,
    padded,
    path,
    rule,
    svg,
    ticks,
)

_SIZE, _LEFT, _BOTTOM, _TOP, _RIGHT = 340, 48, 44, 10, 12


@dataclass(frozen=True)
class Drawn:
    name: str
    curve: Curve
    style: int


@dataclass(frozen=True)
class Axes:
    x: str
    y: str
    line: str
    """What the thin line means."""
    level: bool = False
    """The line is y = 1 instead of the diagonal."""


ROC = Axes("false positive rate", "true positive rate", "chance")
CALIBRATION = Axes("predicted probability", "observed share", "perfectly calibrated")
LIFT = Axes("share of rows, highest scores first", "lift", "chance", level=True)


def curves(title: str, drawn: Sequence[Drawn], axes: Axes, note: str = "") -> Chart:
    """x runs from 0 to 1; so does y, unless the axes say `level`."""
    tops = [y for one in drawn for y in one.curve.y]
    top = max(1.2, padded(tops)[1]) if axes.level else 1.0
    x = Scale(0, 1, _LEFT, _SIZE - _RIGHT)
    y = Scale(0, top, _SIZE - _BOTTOM, _TOP)
    start, end = (1.0, 1.0) if axes.level else (0.0, 1.0)
    body = (
        _grid(x, y)
        + rule(x.at(0), y.at(start), x.at(1), y.at(end), "zero")
        + join(_curve(one, x, y) for one in drawn)
        + label((_LEFT + _SIZE) / 2, _SIZE - 6, axes.x, "axis-name", "middle")
        + Markup('<text class="axis-name" text-anchor="middle" transform="translate(11 {:g}) rotate(-90)">{}</text>').format(
            (_SIZE - _BOTTOM + _TOP) / 2, axes.y
        )
    )
    says = f"{axes.y} by {axes.x} for {', '.join(one.name for one in drawn)}."
    return Chart(
        title=title,
        says=says,
        svg=svg(title, says, (_SIZE, _SIZE), body, "square"),
        table=_table(drawn, axes),
        keys=[*(Key(f"line-{one.style % LINES}", one.name) for one in drawn), Key("zero", axes.line)],
        note=note,
    )


def _grid(x: Scale, y: Scale) -> Markup:
    across = join(
        rule(x.start, y.at(tick), x.end, y.at(tick)) + label(x.start - 6, y.at(tick) + 4, words.number(tick), anchor="end")
        for tick in ticks(y.low, y.high)
    )
    down = join(label(x.at(tick), y.start + 16, words.number(tick), anchor="middle") for tick in (0.0, 0.25, 0.5, 0.75, 1.0))
    return across + down


def _curve(one: Drawn, x: Scale, y: Scale) -> Markup:
    points = [(x.at(px), y.at(py)) for px, py in zip(one.curve.x, one.curve.y, strict=False)]
    marks = Markup("")
    if len(points) <= 25:
        marks = join(
            Markup('<circle cx="{:g}" cy="{:g}" r="3" class="dot dot-{}" data-tip="{}"/>').format(
                place[0], place[1], one.style % LINES, f"{one.name} · {words.number(px)}: {words.number(py)}"
            )
            for place, px, py in zip(points, one.curve.x, one.curve.y, strict=False)
        )
    return Markup('<path d="{}" class="line line-{}"/>').format(path(points), one.style % LINES) + marks


def _table(drawn: Sequence[Drawn], axes: Axes) -> Table:
    """At most 21 points of each curve."""
    rows = []
    for one in drawn:
        points = list(zip(one.curve.x, one.curve.y, strict=False))
        rows += [[one.name, words.number(px), words.number(py)] for px, py in points[:: max(1, len(points) // 20)]]
    return Table(["Arm", axes.x, axes.y], rows)
