"""Captured columns as a version's package understands them, whatever kind of value was sent."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from podium_monitor.evaluations.batch import Batch
from podium_monitor.evaluations.captured import Captured
from podium_monitor.evaluations.labelled import Joined
from podium_monitor.evaluations.subject import Outputs, Subject
from podium_monitor.lake.values import values_of_objects


def batch(cells: list[Any], cell: Any, side: Any = "input") -> Batch:
    """Rows with one value each, named x."""
    inputs, answers = ({"x": cell}, {}) if side == "input" else ({}, {"x": cell})
    captured = Captured(Subject("d", Outputs("Unknown"), inputs=inputs, answers=answers))
    values = values_of_objects(side, [{"x": one, "Y": 1.0} for one in cells])
    table = pa.table({"latency_seconds": np.zeros(len(cells)), "fallback": pa.nulls(len(cells), pa.string())} | values)
    wanted = captured.inputs_among(values) if side == "input" else captured.outputs_among(values)
    assert {name.rpartition(".")[2] for name in wanted} <= {"x"}
    nothing = np.full(len(cells), np.nan)
    return captured.batch(table, Joined(nothing, nothing, {}), np.arange(len(cells), dtype=np.uint64))


def test_what_reads_as_a_number_is_one_and_what_does_not_is_noted() -> None:
    found = batch([1.5, "2.5", [3], "n/a", True, None, {"a": 1}, [1, 2], ""], "Number")
    assert np.array_equal(found.numbers["x"][:3], [1.5, 2.5, 3.0])
    assert np.isnan(found.numbers["x"][3:]).all()
    assert found.wrong["x"].tolist() == [False, False, False, True, True, False, True, True, True]
    assert found.chosen(np.arange(9) == 3).wrong["x"].tolist() == [True]


def test_a_column_of_numbers_alone_has_nothing_wrong() -> None:
    found = batch([1.5, None], "Number")
    assert (found.wrong, found.numbers["x"][0]) == ({}, 1.5)


@pytest.mark.parametrize(
    ("cells", "cell", "said"),
    [
        (["a", None, "", "a"], "Text", ["a", None, None, "a"]),
        ([1.0, 2.5, "a"], "Text", ["1", "2.5", "a"]),
        ([True, False, "true", None], "Truth", ["True", "False", "True", None]),
        ([True, "x"], "Text", ["true", "x"]),
        ([None, None], "Text", [None, None]),
        ([{"base64": "/w=="}], "Text", ['{"base64":"/w=="}']),
    ],
)
def test_texts_are_what_was_sent_whatever_its_kind(cells: list[Any], cell: Any, said: list[Any]) -> None:
    assert batch(cells, cell).texts["x"].values().tolist() == said


def test_a_list_per_row_becomes_a_column_per_number_where_its_length_fits() -> None:
    found = batch([[0.25, 0.75], [1], None, [0.5, None]], ("no", "yes"), "output")
    assert np.array_equal(found.output_numbers["x[no]"], [0.25, np.nan, np.nan, 0.5], equal_nan=True)
    assert np.array_equal(found.output_numbers["x[yes]"], [0.75, np.nan, np.nan, np.nan], equal_nan=True)
    assert np.isnan(batch([None], ("no", "yes"), "output").output_numbers["x[yes]"]).all()


def test_names_that_differ_by_case_alone_are_two_inputs_also_where_some_files_have_one() -> None:
    subject = Subject("d", Outputs("Unknown"), inputs={"x": "Number", "X": "Number"}, answers={})
    both, one = values_of_objects("input", [{"x": 1.0, "X": 2.0}]), values_of_objects("input", [{"X": 3.0}])
    plain = {"latency_seconds": np.zeros(1), "fallback": pa.nulls(1, pa.string())}
    table = pa.concat_tables([pa.table(plain | both), pa.table(plain | one)], promote_options="default")
    captured, nothing = Captured(subject), np.full(2, np.nan)
    assert set(captured.inputs_among(table.column_names)) == {*both, *one}
    found = captured.batch(table, Joined(nothing, nothing, {}), np.arange(2, dtype=np.uint64))
    assert np.array_equal(found.numbers["x"], [1.0, np.nan], equal_nan=True)
    assert found.numbers["X"].tolist() == [2.0, 3.0]
