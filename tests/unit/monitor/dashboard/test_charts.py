"""Charts are well-formed SVG with a name, a sentence and a table, whatever the data; captured text is text in them."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest

from dashboard_fixtures import HOSTILE, Story, evaluation, evidence
from podium_crds.evidence import ChallengerEvidence
from podium_evaluation.documents import ColumnDrift, Curve, Figure, Histogram
from podium_pages.charts.bars import Part, split, then_and_now
from podium_pages.charts.curves import CALIBRATION, LIFT, Drawn, curves
from podium_pages.charts.frame import Chart
from podium_pages.charts.heatmap import Day, Levels, heatmap
from podium_pages.charts.lines import Bound, Line, Point, over_time, sparkline
from podium_pages.charts.sequence import confidence_sequence
from podium_pages.charts.whiskers import Row, whiskers

START = datetime(2026, 11, 1, tzinfo=UTC)
LEVELS = Levels(0.1, 0.25)


def points(values: Sequence[float | None], half: float = 0.01) -> list[Point]:
    return [
        Point(
            START + timedelta(days=day),
            value,
            *((value - half, value + half) if half is not None and value is not None else ()),
        )
        for day, value in enumerate(values)
    ]


def challenger(**changes: object) -> ChallengerEvidence:
    found = evidence(Story())
    assert found is not None
    return found.challengers[0].model_copy(update=changes)


DRAWN: dict[str, Callable[[str], Chart]] = {
    "lines": lambda name: over_time(name, [Line(name, points([0.8, None, 0.9], 0.02), 0)], [Bound(0.83, name)]),
    "sequence": lambda name: confidence_sequence(challenger(name=name)),
    "heat map": lambda name: heatmap(name, [Day("2026-11-21", {name: ColumnDrift(0.3, alert=True)})], [name], LEVELS),
    "split": lambda name: split(name, [Part(name, name, 90, 0), Part("b", "c", 10, 1)]),
    "then and now": lambda name: then_and_now(Histogram(name, [name, "b"], [5, 5], [1, 9]), name),
    "curves": lambda name: curves(name, [Drawn(name, Curve([0.0, 1.0], [0.0, 1.0]), 0)], CALIBRATION),
    "whiskers": lambda name: whiskers(name, [Row(name, Figure(0.5, 0.4, 0.6), more=name)], bound=0.45, bound_text=name),
}


@pytest.mark.parametrize("kind", DRAWN)
def test_a_chart_is_one_named_picture_with_a_table_of_its_numbers(kind: str) -> None:
    chart = DRAWN[kind]("amount")
    root = ElementTree.fromstring(chart.svg)
    assert root.attrib["role"] == "img"
    assert chart.says in root.attrib["aria-label"]
    assert root.findtext("title")
    assert root.findtext("desc") == chart.says
    assert "nan" not in chart.svg
    assert "style=" not in chart.svg, "the content security policy refuses inline styles"
    assert chart.table.rows
    assert all(len(row) == len(chart.table.head) for row in chart.table.rows)


@pytest.mark.parametrize("kind", DRAWN)
def test_captured_text_is_text_in_a_chart(kind: str) -> None:
    root = ElementTree.fromstring(DRAWN[kind](HOSTILE).svg)
    assert {element.tag for element in root.iter()} <= {
        "svg",
        "title",
        "desc",
        "g",
        "path",
        "rect",
        "circle",
        "line",
        "text",
    }
    assert not any(name.startswith("on") for element in root.iter() for name in element.attrib)
    assert HOSTILE in "".join(value for element in root.iter() for value in [element.text or "", *element.attrib.values()])


@pytest.mark.parametrize(
    "chart",
    [
        pytest.param(lambda: over_time("empty", []), id="no-line"),
        pytest.param(lambda: over_time("empty", [Line("a", [], 0)]), id="no-point"),
        pytest.param(lambda: over_time("none", [Line("a", points([None, None]), 0)]), id="nothing-known"),
        pytest.param(lambda: over_time("one", [Line("a", points([3.0]), 0)]), id="one-point"),
        pytest.param(lambda: over_time("flat", [Line("a", points([0.0] * 5), 9)]), id="constant-and-a-tenth-style"),
        pytest.param(lambda: confidence_sequence(challenger(path=[], improvement=None, low=None, high=None)), id="no-look"),
        pytest.param(lambda: heatmap("none", [], [], LEVELS), id="no-day"),
        pytest.param(lambda: then_and_now(Histogram("a", ["b"], [0], [0]), ""), id="no-count"),
        pytest.param(lambda: then_and_now(Histogram("a", [], [], []), ""), id="no-bin"),
        pytest.param(lambda: curves("none", [], LIFT), id="no-curve"),
        pytest.param(lambda: whiskers("none", [Row("a", Figure(None))]), id="no-figure"),
    ],
)
def test_a_chart_of_next_to_nothing_is_a_picture_all_the_same(chart: Callable[[], Chart]) -> None:
    ElementTree.fromstring(chart().svg)


def test_a_line_has_a_gap_where_nothing_can_be_said() -> None:
    chart = over_time("auc", [Line("champion", points([0.8, 0.8, None, 0.8, 0.8]), 0)])
    strokes = [one for one in ElementTree.fromstring(chart.svg).iter("path") if "line-0" in one.attrib["class"]]
    assert len(strokes) == 2
    assert chart.table.rows[2] == ["2026-11-03", "–"]


def test_a_value_outside_of_its_bounds_has_a_mark_and_a_word() -> None:
    chart = over_time("auc", [Line("champion", [Point(START, 0.7, alert=True)], 0)], [Bound(0.83, "at least 0.83")])
    assert 'class="alert-mark"' in chart.svg
    assert chart.table.rows[0][1] == "0.7 (alert)"
    assert "1 outside of their bounds" in chart.says


@pytest.mark.parametrize(("psi", "step"), [(0.0, 0), (0.049, 0), (0.05, 1), (0.1, 2), (0.249, 2), (0.25, 3), (9.0, 3)])
def test_a_shade_follows_the_levels(psi: float, step: int) -> None:
    assert LEVELS.step(psi) == step


def test_an_alert_is_marked_apart_from_its_shade() -> None:
    days = [Day("2026-11-21", {"a": ColumnDrift(0.3, alert=True), "b": ColumnDrift(0.3), "c": ColumnDrift(None)})]
    root = ElementTree.fromstring(heatmap("inputs", days, ["a", "b", "c", "d"], LEVELS).svg)
    paths = {one.attrib["class"]: one.attrib["d"].count("M") for one in root.iter("path")}
    assert paths == {"heat-3": 2, "heat-mark": 1}


def test_the_confidence_sequence_tells_what_is_needed_and_where_it_was_decided() -> None:
    svg = confidence_sequence(challenger(decided_at_units=3000)).svg
    assert "needed: 0.005" in svg
    assert "Better at 3,000" in svg


def test_noise_stays_flat_in_a_sparkline_and_a_fall_does_not() -> None:
    def heights(values: list[float]) -> float:
        found = ElementTree.fromstring(sparkline(values, 0.1)).find("path")
        assert found is not None
        places = [float(one.split()[1]) for one in found.attrib["d"][1:].split("L")]
        return max(places) - min(places)

    assert heights([0.8, 0.801, 0.799]) < 2
    assert heights([0.8, 0.8, 0.6]) > 15
    assert sparkline([None, 0.8], 0.1) == "", "one value is no course"


def test_all_charts_of_a_story_are_well_formed() -> None:
    arm = evaluation(Story(days=5)).arms[0]
    for histogram in arm.histograms:
        ElementTree.fromstring(then_and_now(histogram, "").svg)


@pytest.mark.parametrize(
    ("names", "read"),
    [
        pytest.param(["[-inf, 0.0927055)", "[0.0927055, 1e+06)", "[1e+06, inf)", "missing"],
                     ["below 0.0927", "0.0927 to 1,000,000", "1,000,000 and more", "missing"], id="bins-of-a-number"),
        pytest.param(["[-inf, 0)", "0", "(0, 12)", "[12, inf)"], ["below 0", "0", "above 0 to 12", "12 and more"],
                     id="a-value-that-is-a-bin-of-its-own"),
        pytest.param(["1000", "2000"], ["1000", "2000"], id="categories-that-are-numbers-stay"),
        pytest.param(["[1, 2)", "month"], ["[1, 2)", "month"], id="a-category-that-looks-like-a-bin-stays"),
        pytest.param(["[1.2.3, e)", "missing"], ["[1.2.3, e)", "missing"], id="no-number"),
    ],
)  # fmt: skip
def test_bins_are_read_as_people_say_them(names: list[str], read: list[str]) -> None:
    ones = [1] * len(names)
    assert [row[0] for row in then_and_now(Histogram("a", names, ones, ones), "").table.rows] == read


def test_an_interval_without_an_end_does_not_flatten_the_rest() -> None:
    chart = over_time("ratio", [Line("ratio", [Point(START, 0.8, 0.4, 90.0)], 0)], most=1.2)
    shown = [one.text for one in ElementTree.fromstring(chart.svg).iter("text")]
    assert "50" not in shown
    assert "1" in shown
    assert "0.8 (0.4 to 90)" in chart.table.rows[0][1]
