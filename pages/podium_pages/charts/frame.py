"""What all charts share: the frame with its names for screen readers, scales, ticks, and the table behind the picture.

Everything that was captured or configured is escaped here, by `Markup.format` or, in the three pieces that a page has by the
thousand, by `escape`; `style` and `anchor` are constants of ours. Colours are classes of the style
sheet: the content security policy allows no inline style, and one picture serves dark and light.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from markupsafe import Markup, escape

from podium_pages import words

WIDTH = 560
LINES = 6
"""Line styles in the style sheet (`line-0` …): colour, dash and marker differ, never colour alone."""
_SEPARATOR = "\ue000"
"""Of private use: texts that have it are escaped one by one."""


@dataclass(frozen=True)
class Table:
    """A chart's numbers. The first cell of a row names it."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Key:
    """An entry of a legend: a class of the style sheet and what it stands for."""

    style: str
    text: str


@dataclass(frozen=True)
class Chart:
    title: str
    says: str
    """The picture in a sentence, for those who do not see it."""
    svg: Markup
    table: Table
    keys: Sequence[Key] = ()
    note: str = ""
    wide: bool = False


@dataclass(frozen=True)
class Scale:
    """Linear, from [low, high] to [start, end]."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        if self.high == self.low:
            return (self.start + self.end) / 2
        inside = self.low if value < self.low else self.high if value > self.high else value
        share = (inside - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) inside [low, high], about `wanted` of them.

    >>> ticks(0.0, 1.0), ticks(0.902, 0.943)
    ([0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.91, 0.92, 0.93, 0.94])
    """
    if not math.isfinite(high - low) or high <= low:
        return [low]
    raw = (high - low) / wanted
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw * 0.8)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def padded(values: Iterable[float], least: float = 1e-9) -> tuple[float, float]:
    """The range of finite values with some air; (0, 1) where there are none."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    air = max((high - low) * 0.08, abs(high) * 0.01, least)
    return low - air, high + air


NO_MARKUP = Markup("")


def join(parts: Iterable[Markup]) -> Markup:
    """Of what is markup already. `Markup.join` would look at each part again: a quarter of a page's time."""
    return Markup("".join(parts))  # noqa: S704  every part is Markup


def svg(title: str, says: str, size: tuple[float, float], body: Markup, style: str = "") -> Markup:
    """The picture, one stop of the tab key; our script lets arrow keys walk through what carries `data-tip`."""
    return Markup(
        '<svg class="chart {}" viewBox="0 0 {:g} {:g}" role="img" tabindex="0" aria-label="{}">'
        "<title>{}</title><desc>{}</desc>{}</svg>"
    ).format(style, *size, f"{title}. {says}", title, says, body)


def label(x: float, y: float, text: str, style: str = "tick", anchor: str = "start") -> Markup:
    said = escape(text)
    return Markup(f'<text x="{x:g}" y="{y:g}" class="{style}" text-anchor="{anchor}">{said}</text>')  # noqa: S704  escaped


def rule(x1: float, y1: float, x2: float, y2: float, style: str = "grid") -> Markup:
    return Markup(f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" class="{style}"/>')  # noqa: S704  numbers, ours


def box(x: float, y: float, width: float, height: float, style: str, tip: str = "") -> Markup:
    hint = f' data-tip="{escape(tip)}"' if tip else ""
    size = f'width="{max(width, 0):g}" height="{max(height, 0):g}"'
    return Markup(f'<rect x="{x:g}" y="{y:g}" {size} class="{style}"{hint}/>')  # noqa: S704  numbers, ours, escaped


def value_axis(scale: Scale, left: float, right: float, percent: bool = False) -> Markup:
    """Grid lines with their values left of them."""
    shown = words.percent if percent else words.number
    return join(
        rule(left, scale.at(tick), right, scale.at(tick)) + label(left - 6, scale.at(tick) + 4, shown(tick), anchor="end")
        for tick in ticks(scale.low, scale.high)
    )


def time_axis(times: Sequence[datetime], scale: Scale, y: float) -> Markup:
    """At most six dates below the picture; hours where all lies within four days."""
    if not times:
        return Markup("")
    hourly = (times[-1] - times[0]).total_seconds() <= 4 * 86_400
    every = max(1, math.ceil(len(times) / (5 if hourly else 6)))
    return join(
        label(scale.at(at.timestamp()), y, f"{words.day(at)} {at:%H}h" if hourly else words.day(at), anchor="middle")
        for at in times[::every]
    )


def hits(places: Sequence[float], top: float, width: float, height: float, tips: Sequence[str]) -> Markup:
    """Invisible columns that tell something, as `box` makes one; a page has thousands."""
    size = f'y="{top:g}" width="{max(width, 0):g}" height="{max(height, 0):g}" class="hit"'
    told = zip(places, escaped(tips), strict=True)
    return Markup("".join([f'<rect x="{x:g}" {size} data-tip="{tip}"/>' for x, tip in told]))  # noqa: S704  escaped


def escaped(texts: Sequence[str]) -> Sequence[str]:
    """Each of them, by one call where none has the separator: `escape` takes longer to begin than to end."""
    found = str(escape(_SEPARATOR.join(texts))).split(_SEPARATOR)
    return found if len(found) == len(texts) else [str(escape(text)) for text in texts]


def rows(found: Table) -> Markup:
    """The table's body."""
    cells = iter(escaped([cell for row in found.rows for cell in row]))
    drawn = []
    for row in found.rows:
        name, *others = islice(cells, len(row))
        drawn.append(f'<tr><th scope="row">{name}</th>' + "".join([f"<td>{cell}</td>" for cell in others]) + "</tr>\n")
    return Markup("".join(drawn))  # noqa: S704  escaped


def shortened(text: str, most: int) -> str:
    """At most `most` characters; the whole text is in the tooltip and the table.

    >>> shortened("electronic check", 10)
    'electroni…'
    """
    return text if len(text) <= most else text[: most - 1] + "…"


def path(points: Sequence[tuple[float, float]]) -> str:
    """The `d` of a polyline."""
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in points) if points else ""
