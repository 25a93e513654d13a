"""Shares as bars: the traffic split, and a column's distribution then and now."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from podium_evaluation.documents import Histogram
from podium_pages import words
from podium_pages.charts.frame import LINES, Chart, Key, Scale, Table, box, join, label, shortened, svg

_WIDTH = 360
_LEFT, _ROW = 118, 24
_SPLIT_WIDTH = 560
_NUMBER = r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?"
_BIN = re.compile(rf"(?P<open>[\[(])(?P<low>-inf|{_NUMBER}), (?P<high>inf|{_NUMBER})\)")
_ALONE = re.compile(_NUMBER)
"""A value that is a bin of its own (podium_evaluation.bins)."""
_SPECIAL = ("missing", "unseen", "other")


@dataclass(frozen=True)
class Part:
    """A slice of the traffic."""

    name: str
    role: str
    percent: float
    style: int


def split(title: str, parts: Sequence[Part]) -> Chart:
    """One bar of 100 %. Slices are told apart by pattern of their border and by their text too."""
    drawn, left = [], 0.0
    for part in parts:
        width = _SPLIT_WIDTH * part.percent / 100
        tip = f"{part.name} ({part.role}): {words.percent(part.percent / 100)}"
        drawn.append(box(left, 0, max(width - 2, 1), 34, f"fill-{part.style % LINES}", tip))
        if width > 90:
            drawn.append(
                label(
                    left + 10, 22, f"{words.percent(part.percent / 100)} {shortened(part.name, int(width / 9))}", "on-fill"
                )
            )
        left += width
    says = "; ".join(f"{part.name} ({part.role}) {words.percent(part.percent / 100)}" for part in parts) + "."
    return Chart(
        title=title,
        says=says,
        svg=svg(title, says, (_SPLIT_WIDTH, 34), join(drawn), "split"),
        table=Table(["Version", "Role", "Share"], [[p.name, p.role, words.percent(p.percent / 100)] for p in parts]),
        keys=[Key(f"fill-{p.style % LINES}", f"{p.name} · {p.role} · {words.percent(p.percent / 100)}") for p in parts],
    )


def then_and_now(histogram: Histogram, psi: str) -> Chart:
    """Shares per bin: what training saw as an outline, the newest day as a solid bar within."""
    reference, current = _shares(histogram.reference), _shares(histogram.current)
    most = max([*reference, *current, 1e-9])
    x = Scale(0, most, 0, _WIDTH - _LEFT - 54)
    rows = []
    bins = list(zip(_read(histogram.names), reference, current, strict=False))
    for index, (name, then, now) in enumerate(bins):
        top = index * _ROW
        tip = f"{name} · then {words.percent(then)} · now {words.percent(now)}"
        rows += [
            label(_LEFT - 8, top + 15, shortened(name, 16), "row-name", "end"),
            box(_LEFT, top + 2, x.at(then), _ROW - 5, "then"),
            box(_LEFT, top + 7, x.at(now), _ROW - 15, "now"),
            label(_LEFT + max(x.at(then), x.at(now)) + 5, top + 15, words.percent(now), "tick"),
            box(0, top, _WIDTH, _ROW, "hit", tip),
        ]
    says = _sentence(bins)
    return Chart(
        title=histogram.column,
        says=says,
        svg=svg(f"{histogram.column}, then and now", says, (_WIDTH, len(bins) * _ROW + 2), join(rows), "square"),
        table=Table(["Bin", "Then", "Now"], [[name, words.percent(then), words.percent(now)] for name, then, now in bins]),
        keys=[Key("then", "Training"), Key("now", "Newest day")],
        note=psi,
    )


def _read(names: Sequence[str]) -> list[str]:
    """Bins of a number as people say them, if all of them are such; categories as they are."""
    found = [_BIN.fullmatch(name) for name in names]
    known = (one or name in _SPECIAL or _ALONE.fullmatch(name) for one, name in zip(found, names, strict=True))
    if not any(found) or not all(known):
        return list(names)
    return [_bin(one) if one else _alone(name) for one, name in zip(found, names, strict=True)]


def _alone(name: str) -> str:
    return name if name in _SPECIAL else words.number(float(name))


def _bin(found: re.Match[str]) -> str:
    low, high = float(found["low"]), float(found["high"])
    if math.isinf(low):
        return f"below {words.number(high)}"
    if found["open"] == "(":
        return f"above {words.number(low)}" + ("" if math.isinf(high) else f" to {words.number(high)}")
    return f"{words.number(low)} and more" if math.isinf(high) else f"{words.number(low)} to {words.number(high)}"


def _shares(counts: Sequence[int]) -> list[float]:
    total = sum(counts)
    return [one / total if total else 0.0 for one in counts]


def _sentence(bins: Sequence[tuple[str, float, float]]) -> str:
    if not bins:
        return "Nothing was captured."
    name, then, now = max(bins, key=lambda one: abs(one[2] - one[1]))
    return f"The largest change is {name}: {words.percent(then)} then, {words.percent(now)} now."


def bar(share: float) -> Markup:
    """A word-sized bar beside a number that says the same."""
    return Markup(
        '<svg class="minibar" viewBox="0 0 60 8" aria-hidden="true"><rect width="60" height="8" rx="4" class="minibar-all"/>'
        '<rect width="{:g}" height="8" rx="4" class="minibar-part"/></svg>'
    ).format(round(60 * min(max(share, 0.0), 1.0), 1))
