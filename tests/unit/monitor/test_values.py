"""Inputs and outputs as columns whose names tell their type: nothing that was captured is lost or changed on the way."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import orjson
import pyarrow as pa
import pytest

from podium_monitor.cells import Cells, shortest, values_of_cells
from podium_monitor.json_objects import values_of_json
from podium_monitor.lake.tables import Place, Rows, joined
from podium_monitor.lake.values import (
    MOST_COLUMNS,
    TYPES,
    TooWide,
    ValueColumn,
    joined_values,
    objects_of,
    value_column,
    values_of_objects,
)

PLACE = Place("predictions", "shop", "churn", datetime(2026, 11, 21, 13, tzinfo=UTC))

CELLS: list[tuple[Any, str, Any]] = [
    (3.5, "number", 3.5),
    (12, "number", 12.0),
    (2**53, "number", 2.0**53),
    (2**53 + 1, "text", "9007199254740993"),
    (-(10**40), "text", str(-(10**40))),
    ("", "text", ""),
    (True, "truth", True),
    ([0.25, None, 1], "numbers", [0.25, None, 1.0]),
    ([], "numbers", []),
    ([2**53 + 1], "json", "[9007199254740993]"),
    ([True], "json", "[true]"),
    ([[1.0], [2.0]], "json", "[[1.0],[2.0]]"),
    ({"base64": "/w=="}, "json", '{"base64":"/w=="}'),
]


@pytest.mark.parametrize(("cell", "kind", "kept"), CELLS)
def test_each_kind_of_value_has_a_column_of_its_type(cell: Any, kind: Any, kept: Any) -> None:
    found = values_of_objects("input", [{"x": None}, {"x": cell}, None])
    assert {name: (column.type, column.to_pylist()) for name, column in found.items()} == {
        f"input.{kind}.x": (TYPES[kind], [None, kept, None])
    }


def test_values_of_all_kinds_under_one_name_lose_nothing() -> None:
    given = [{"x": cell} for cell, _, _ in CELLS]
    found = values_of_objects("output", given)
    assert set(found) == {f"output.{kind}.x" for kind in TYPES}
    back = msgspec.json.decode(msgspec.json.encode(objects_of("output", _lists(found), len(given))))
    assert [one["x"] for one in back] == [str(one["x"]) if _is_long(one["x"]) else one["x"] for one in given]


def test_rows_with_names_of_their_own_come_together() -> None:
    given: list[dict[str, Any]] = [{"a": 1.0, "b.c": "x"}, {"b.c": "y", "a": 2.0}, {}, {"d": 3.0}]
    found = values_of_objects("input", given)
    assert {str(value_column(name)) for name in found} == {"input.number.a", "input.text.b.c", "input.number.d"}
    assert objects_of("input", _lists(found), 4) == given
    assert objects_of("output", _lists(found), 4) == [{}] * 4


@pytest.mark.parametrize("name", ["inputs", "input.x", "input.number", "label.number.x", "input.double.x", "join_key"])
def test_other_columns_are_none_of_values(name: str) -> None:
    assert value_column(name) is None


def test_a_name_may_be_anything() -> None:
    for name in ["", ".", "a.number.b", 'quo"te', "é"]:
        assert value_column(str(ValueColumn("input", "text", name))) == ValueColumn("input", "text", name)


def test_names_that_differ_by_case_alone_are_columns_that_sql_tells_apart() -> None:
    given: list[dict[str, Any]] = [{"age": 1.0, "Age": 2.0, "AGE": "x", "Region": "n"}]
    given.append({"age": None, "Age": None, "AGE": None, "Region": "s"})
    found = values_of_objects("input", given)
    assert len({name.lower() for name in found}) == len(found) == 4
    assert {"input.number.age", "input.text.Region"} < set(found), "only what needs a mark has one"
    assert objects_of("input", _lists(found), 2) == [given[0], {"Region": "s"}]
    assert values_of_objects("input", [{"Age": 1.0}]).keys() == {"input.number.Age"}
    [alone] = values_of_objects("input", [{"age": None, "Age": 2.0}])
    assert alone in found, "its name does not follow from its neighbour's values"


@pytest.mark.parametrize("name", ["Age", "é.É", "~", "A~B", ""])
def test_a_mark_is_of_its_name(name: str) -> None:
    marked = ValueColumn("input", "text", name, apart=True)
    assert value_column(str(marked)) == marked
    assert value_column(f"input.text~0000.{name}") is None


def test_all_ways_into_the_lake_mark_the_same_names() -> None:
    cells = [Cells("input", name, 0, 1, [value]) for name, value in (("age", 1.0), ("Age", 2.0), ("Region", "n"))]
    outputs = [Cells("output", "AGE", 0, 1, [1.0])]
    objects: dict[str, Any] = {"age": 1.0, "Age": 2.0, "Region": "n"}
    right = values_of_objects("input", [objects]).keys()
    assert values_of_cells([*cells, *outputs], 1).keys() == right | {"output.number.AGE"}
    assert values_of_json("input", [msgspec.Raw(msgspec.json.encode(objects))] * 40).keys() == right


def test_batches_that_come_together_have_their_names_told_apart() -> None:
    one, other = (values_of_objects("input", [{name: 1.0}]) for name in ("age", "Age"))
    found = joined_values([(1, one), (1, other)])
    assert len({name.lower() for name in found}) == 2
    assert objects_of("input", _lists(found), 2) == [{"age": 1.0}, {"Age": 1.0}]


def test_a_few_rows_with_nothing_in_common_do_not_become_gigabytes() -> None:
    with pytest.raises(TooWide, match="more than 10000 names"):
        values_of_objects("input", [{f"x{number}": 1.0 for number in range(MOST_COLUMNS + 1)}])
    with pytest.raises(TooWide, match="5000 rows times 839 names"):
        values_of_objects("input", [{f"customer-{number % 839}": 1.0} for number in range(5000)])


def test_batches_of_one_place_become_one_file_unless_they_are_too_wide_together() -> None:
    def batch(first: int, names: int) -> Rows:
        values = values_of_objects("input", [{f"x{first + number}": float(number) for number in range(names)}])
        return Rows(PLACE, {"event_id": [f"e-{first}"], "join_key": [None]}, values)

    (both,) = joined(PLACE, [batch(0, 2), batch(1, 2)])
    assert both.event_ids == ["e-0", "e-1"]
    assert _lists(both.values) == {
        "input.number.x0": [0.0, None],
        "input.number.x1": [1.0, 0.0],
        "input.number.x2": [None, 1.0],
    }
    assert [len(rows) for rows in joined(PLACE, [batch(0, 6000), batch(3000, 6000), batch(9000, 6000)])] == [2, 1]
    assert joined(PLACE, []) == []


def test_rows_are_chosen_with_their_values() -> None:
    rows = Rows(PLACE, {"event_id": ["a", "b"]}, values_of_objects("input", [{"x": 1.0}, {"x": 2.0}]))
    chosen = rows.where([False, True])
    assert (chosen.event_ids, _lists(chosen.values)) == (["b"], {"input.number.x": [2.0]})
    assert rows.size > chosen.size > 8


@pytest.mark.parametrize("kind", ["any bits", "normal", "two decimals", "whole", "powers of ten"])
def test_fp32_becomes_the_double_of_its_shortest_decimal(kind: str) -> None:
    random = np.random.default_rng(3)
    values = {
        "any bits": random.integers(0, 2**32, 20_000, dtype=np.uint32).view(np.float32),
        "normal": random.normal(size=20_000).astype(np.float32),
        "two decimals": random.normal(scale=1e4, size=20_000).round(2).astype(np.float32),
        "whole": random.integers(-(2**31), 2**31, 20_000).astype(np.float32),
        "powers of ten": (10.0 ** np.arange(-45, 39)).astype(np.float32),
    }[kind]
    values = values[np.isfinite(values)]
    expected = orjson.loads(orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY))
    assert shortest(values).tolist() == expected


def test_fp32_that_is_not_finite_stays_so() -> None:
    assert str(shortest(np.array([np.nan, np.inf, -np.inf, 0.0], np.float32)).tolist()) == "[nan, inf, -inf, 0.0]"


def _lists(values: Any) -> dict[str, list[Any]]:
    return {name: column.to_pylist() if isinstance(column, pa.Array) else column for name, column in values.items()}


def _is_long(cell: Any) -> bool:
    return isinstance(cell, int) and abs(cell) > 2**53
