"""Rows of one form are read into a struct: whatever the form, the columns are those of reading each row by itself."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as some

from monitor_fixtures import batch, event, prediction
from podium_monitor import json_objects
from podium_monitor.credentials import Source
from podium_monitor.events import Clock, InvalidBatch, rows_of
from podium_monitor.json_objects import values_of_json
from podium_monitor.lake.values import MOST_CELLS, TooWide, values_of_objects

ROWS = 20
PLAIN: dict[str, Any] = {"tenure": 3.5, "visits": 4, "plan": "gold", "churned": True, "lags": [1, 2], "left": None}

LIKE: list[tuple[str, Any]] = [
    ("another-number", {**PLAIN, "tenure": -0.25}),
    ("whole-and-null", {**PLAIN, "tenure": 3, "visits": None}),
    ("a-name-missing", {"tenure": 1.5}),
    ("no-names", {}),
    ("another-order", dict(reversed(PLAIN.items()))),
    ("something-for-null", {**PLAIN, "left": "text", "lags": None}),
    ("another-name", {**PLAIN, "age": 41}),
    ("another-kind", {**PLAIN, "tenure": "unknown"}),
    ("a-truth-for-a-number", {**PLAIN, "visits": True}),
    ("a-number-for-a-truth", {**PLAIN, "churned": 1}),
    ("an-object-for-a-number", {**PLAIN, "visits": {"a": 1}}),
    ("the-largest-whole-double", {**PLAIN, "visits": 2**53}),
    ("a-larger-whole-number", {**PLAIN, "visits": 2**53 + 1}),
    ("a-huge-whole-number", {**PLAIN, "visits": -(10**40)}),
    ("a-large-double", {**PLAIN, "tenure": 1.5e300}),
    ("no-object", None),
]


def raw(rows: list[Any]) -> list[msgspec.Raw]:
    return [msgspec.Raw(json.dumps(one).encode()) for one in rows]


def lists(found: dict[str, pa.Array]) -> dict[str, tuple[pa.DataType, list[Any]]]:
    return {name: (column.type, column.to_pylist()) for name, column in found.items()}


@pytest.mark.parametrize("odd", [pytest.param(one, id=name) for name, one in LIKE])
@pytest.mark.parametrize("place", [0, ROWS - 1])
def test_a_row_of_another_form_changes_no_column(odd: Any, place: int) -> None:
    rows: list[Any] = [PLAIN] * ROWS
    rows[place] = odd
    assert lists(values_of_json("input", raw(rows))) == lists(values_of_objects("input", rows))


_names = some.sampled_from(["tenure", "plan", "a.b", 'quo"te', "back\\slash", "", "é", "new\nline", "\x7f"])
_cells = some.one_of(
    some.none(),
    some.booleans(),
    some.text(max_size=3),
    some.integers(-(2**70), 2**70),
    some.floats(allow_nan=False, allow_infinity=False),
    some.lists(some.floats(allow_nan=False, allow_infinity=False), max_size=2),
)
_rows = some.dictionaries(_names, _cells, max_size=4)


@given(some.lists(_rows, min_size=1, max_size=3), some.lists(some.integers(0, 2), min_size=ROWS, max_size=ROWS))
def test_columns_are_those_of_reading_each_row(kinds: list[dict[str, Any]], order: list[int]) -> None:
    rows = [kinds[one % len(kinds)] for one in order]
    assert lists(values_of_json("output", raw(rows))) == lists(values_of_objects("output", rows))


def test_of_a_name_that_is_said_twice_the_last_value_counts_as_in_any_object() -> None:
    text = msgspec.Raw(b'{"x": 1.0, "x": 2.0}')
    assert lists(values_of_json("input", [text] * ROWS)) == lists(values_of_json("input", [text])) | {
        "input.number.x": (pa.float64(), [2.0] * ROWS)
    }


def test_rows_of_one_form_are_not_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("read as objects")

    alike = {**PLAIN, "nanoseconds": 1_763_730_000_123_456_789}
    monkeypatch.setattr(json_objects, "values_of_objects", refuse)
    monkeypatch.setattr(json_objects, "_read_objects", refuse)
    found = values_of_json("input", raw([alike, {**alike, "tenure": 4, "plan": None}] * ROWS))
    assert found["input.number.tenure"].to_pylist() == [3.5, 4.0] * ROWS
    assert found["input.text.plan"].to_pylist() == ["gold", None] * ROWS
    assert found["input.text.nanoseconds"].to_pylist() == ["1763730000123456789"] * 2 * ROWS


def test_rows_that_are_too_wide_are_refused_before_they_are_read() -> None:
    names = 200
    wide = msgspec.Raw(json.dumps({f"x{number}": 1.0 for number in range(names)}).encode())
    with pytest.raises(TooWide, match=f"times {names} names"):
        values_of_json("input", [wide, *[msgspec.Raw(b"{}")] * (MOST_CELLS // names)])


@pytest.mark.parametrize(("member", "wrong"), [("inputs", 7), ("outputs", "yes"), ("inputs", [1])])
def test_what_is_no_object_is_refused_with_the_number_of_its_event(member: str, wrong: Any) -> None:
    events = [event(f"e-{number}") for number in range(ROWS)]
    events[7] = event("e-7", data=prediction(**{member: wrong}))
    clock = Clock(datetime(2026, 11, 21, 14, tzinfo=UTC), timedelta(days=2), timedelta(hours=1))
    with pytest.raises(InvalidBatch, match="event 7 does not fit"):
        rows_of(batch(events), Source("shop", "churn", "uid-1"), clock, 1000)
