"""A confidence sequence over units, with the boundary that it must cross and the place where it was decided."""

import math
from collections.abc import Sequence

from markupsafe import Markup

from podium_crds.evidence import ChallengerEvidence, Look
from podium_pages import words
from podium_pages.charts.frame import (
    WIDTH,
    Chart,
    Key,
    Scale,
    Table,
    box,
    join,
    label,
    padded,
    path,
    rule,
    svg,
    value_axis,
)

_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 14, 14, 40
_HEIGHT = 280


def confidence_sequence(evidence: ChallengerEvidence) -> Chart:
    """Units on a logarithmic scale, as the looks are spaced. Early looks are wide: the scale follows the later half."""
    looks = evidence.path
    low, high = _range(looks, evidence.minimum_improvement)
    first, last = (looks[0].units, looks[-1].units) if looks else (1, 10)
    x = Scale(math.log10(max(first, 1)), math.log10(max(last, first + 1)), _LEFT + 6, WIDTH - _RIGHT - 6)
    y = Scale(low, high, _HEIGHT - _BOTTOM, _TOP)
    body = (
        value_axis(y, _LEFT, WIDTH - _RIGHT)
        + _units_axis(first, last, x)
        + _band(looks, x, y)
        + _boundary(0.0, "no difference", "zero", y)
        + _boundary(evidence.minimum_improvement, f"needed: {words.number(evidence.minimum_improvement)}", "bound", y)
        + Markup('<path d="{}" class="line line-1 solid"/>').format(
            path([(_x(look, x), y.at(look.improvement)) for look in looks])
        )
        + _decided(evidence, x)
        + _hits(looks, x)
    )
    title = f"Evidence for {evidence.name}"
    says = _sentence(evidence)
    return Chart(
        title=title,
        says=says,
        svg=svg(title, says, (WIDTH, _HEIGHT), body, "timed"),
        table=_table(looks),
        keys=[
            Key("line-1 solid", "Mean improvement per unit"),
            Key("band-1", "Confidence sequence"),
            Key("bound", "Needed"),
        ],
        note=f"Valid at each look: α {words.number(evidence.alpha)}, tuned for {words.count(evidence.tuned_for_units)}",
    )


def _table(looks: Sequence[Look]) -> Table:
    """The newest first."""
    return Table(
        head=["Units", "Until", "Improvement", "Interval"],
        rows=[
            [
                words.count(look.units),
                words.moment(look.at),
                words.number(look.improvement),
                f"{words.number(look.low)} to {words.number(look.high)}",
            ]
            for look in reversed(looks)
        ],
    )


def _range(looks: Sequence[Look], minimum: float) -> tuple[float, float]:
    later = looks[len(looks) // 2 :]
    return padded([0.0, minimum, *(one for look in later for one in (look.low, look.high))])


def _x(look: Look, x: Scale) -> float:
    return x.at(math.log10(max(look.units, 1)))


def _units_axis(first: int, last: int, x: Scale) -> Markup:
    marks = [
        factor * 10**power
        for power in range(int(math.log10(max(first, 1))), int(math.log10(max(last, 1))) + 1)
        for factor in (1, 2, 5)
        if first <= factor * 10**power <= last
    ]
    kept = marks[:: max(1, math.ceil(len(marks) / 7))]
    numbers = join(label(x.at(math.log10(mark)), _HEIGHT - 22, words.count(mark), anchor="middle") for mark in kept)
    return numbers + label((_LEFT + WIDTH) / 2, _HEIGHT - 4, "labelled units (logarithmic)", "axis-name", "middle")


def _band(looks: Sequence[Look], x: Scale, y: Scale) -> Markup:
    upper = [(_x(look, x), y.at(look.high)) for look in looks]
    lower = [(_x(look, x), y.at(look.low)) for look in reversed(looks)]
    return Markup('<path d="{}Z" class="band band-1"/>').format(path(upper + lower)) if looks else Markup("")


def _boundary(value: float, text: str, style: str, y: Scale) -> Markup:
    at = y.at(value)
    below = 12 if style == "zero" else -4
    return rule(_LEFT, at, WIDTH - _RIGHT, at, style) + label(_LEFT + 6, at + below, text, f"{style}-text")


def _decided(evidence: ChallengerEvidence, x: Scale) -> Markup:
    if evidence.decided_at_units is None:
        return Markup("")
    at = x.at(math.log10(max(evidence.decided_at_units, 1)))
    text = f"{evidence.decision} at {words.count(evidence.decided_at_units)}"
    anchor = "end" if at > WIDTH / 2 else "start"
    return rule(at, _TOP, at, _HEIGHT - _BOTTOM, "decided") + label(
        at + (-5 if anchor == "end" else 5), _TOP + 10, text, "decided-text", anchor
    )


def _hits(looks: Sequence[Look], x: Scale) -> Markup:
    places = [_x(look, x) for look in looks]
    drawn = []
    for index, look in enumerate(looks):
        left = (places[index - 1] + places[index]) / 2 if index else places[0] - 4
        right = (places[index] + places[index + 1]) / 2 if index + 1 < len(looks) else places[-1] + 4
        tip = (
            f"{words.count(look.units)} units · improvement {words.number(look.improvement)}"
            f" ({words.number(look.low)} to {words.number(look.high)}) · until {words.moment(look.at)}"
        )
        drawn.append(box(left, _TOP, right - left, _HEIGHT - _TOP - _BOTTOM, "hit", tip))
    return join(drawn)


def _sentence(evidence: ChallengerEvidence) -> str:
    if evidence.improvement is None:
        return f"{words.count(evidence.units)} units so far: nothing can be said yet."
    return (
        f"After {words.count(evidence.units)} units the improvement in {evidence.metric} is "
        f"{words.interval(evidence.improvement, evidence.low, evidence.high)}; "
        f"{words.number(evidence.minimum_improvement)} is needed. Decision: {evidence.decision}."
    )
