"""Bodies of requests with labels: what they mean, and how a wrong row is named."""

import gzip
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from label_fixtures import label, lines, parquet
from podium_monitor.events import TooLarge
from podium_monitor.labels.given import Given, InvalidLabels
from podium_monitor.labels.json_bodies import of_json, of_lines
from podium_monitor.labels.parquet import labels_in

pytestmark = pytest.mark.process

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def of_parquet(content: bytes) -> list[Given]:
    return list(labels_in(content))


def test_json_is_one_label_or_a_list_of_them() -> None:
    one = b' {"join_key": "a", "label": true, "outcomes": {"value": 12.5}, "time": "2026-03-01T13:00:00+01:00", "id": 7}'
    expected = Given("a", True, {"value": 12.5}, AT, 7)
    assert of_json(one) == [expected]
    assert of_json(b"[" + one + b"]") == [expected]
    assert of_json(b"[]") == []


def test_a_line_is_a_label_and_empty_lines_are_none() -> None:
    assert of_lines(lines([label("a"), label("b", 3)]) + b"\n  \n") == [Given("a", "yes"), Given("b", 3)]


@pytest.mark.parametrize(
    ("content", "says", "row"),
    [
        (b" ", "the body is empty, must be a label or a list of labels", None),
        (b"{", "truncated", None),
        (b"\xff", "malformed", None),
        (b'{"join_key": "a", "label": "\xfc"}', "the body is not UTF-8", None),
        ('{"join_key": "a", "label": 1}'.encode("utf-16"), "the body is UTF-16 or UTF-32, must be UTF-8", None),
        (gzip.compress(b"[]", mtime=0), "Content-Encoding: gzip must say", None),
        (
            b'{"join_key": "a", "label": 1}\n{"join_key": "b", "label": 1}',
            "or lines with Content-Type app",
            None,
        ),
        (b'"a"', 'got `str`; a label is an object, as in {"join_key": "c-1042"', None),
        (b'{"join_key": "a"}', "missing required field `label`; a label is an object", None),
        (
            b'{"join_key": "a", "lable": 1, "label": 2}',
            "unknown field `lable`; fields are join_key, label, outcomes",
            None,
        ),
        (b'[{"join_key": "a", "label": 1}, {"join_key": true, "label": 1}]', "row 2: join_key: Expected", 2),
        (b'[{"join_key": "a", "label": [1]}]', "row 1: label: Expected", 1),
        (b'[{"join_key": "a", "label": 1, "time": "2026-03-01"}]', "row 1: time: Invalid RFC3339", 1),
        (b'{"join_key": "a", "label": 1, "time": 1750000000}', "got `int`; it must be RFC 3339 with an offset, as in", None),
        (b'{"join_key": "a", "label": 1, "outcomes": {"v": 1, "x": {}}}', "outcome 'x': Expected", None),
        (b'[{"join_key": "a", "label": 1, "outcomes": {"x": {}}}]', "row 1: outcome 'x': Expected", 1),
        (b'{"join_key": "a", "label": 1, "outcomes": [1]}', "outcomes: Expected `object`, got `array`", None),
        (b'{"join_key": "a", "label": 1%s}' % (b"0" * 5000), "label: Integer value out of range", None),
        (b'[{"join_key": "a", "label": NaN}]', "malformed", None),
        (b'[{"join_key": "\\ud800", "label": 1}]', "malformed", None),
        (b"[" * 100_000, "", 1),
    ],
)
def test_what_is_no_label_in_json_is_named(content: bytes, says: str, row: int | None) -> None:
    with pytest.raises(InvalidLabels) as caught:
        of_json(content)
    assert says in str(caught.value)
    assert caught.value.row == row


def test_the_mark_that_windows_begins_files_with_does_no_harm() -> None:
    one = b"\xef\xbb\xbf" + b'{"join_key": "a", "label": 1}'
    assert of_json(one) == of_lines(one + b"\r\n") == [Given("a", 1)]


def test_a_wrong_line_is_named_by_its_number_in_the_file() -> None:
    with pytest.raises(InvalidLabels, match="row 3: JSON is malformed") as caught:
        of_lines(b'{"join_key": "a", "label": 1}\n\nwhat\n{"join_key": "b", "label": 1}\n')
    assert (caught.value.row, caught.value.rows) == (3, 5)
    with pytest.raises(InvalidLabels, match="row 2: outcome 'v': Expected"):
        of_lines(b'{"join_key": "a", "label": 1}\n{"join_key": "b", "label": 1, "outcomes": {"v": [1]}}')


def test_parquet_has_columns_for_outcomes_or_a_struct_of_them() -> None:
    shared = {"join_key": [7, 8], "label": ["yes", None], "time": pa.array([AT, None], pa.timestamp("ns", "Europe/Paris"))}
    expected = [Given(7, "yes", {"value": 1.5, "kept": True}, AT), Given(8, None, {"value": None, "kept": False})]
    flat = {**shared, "value": [1.5, None], "kept": [True, False], "__index_level_0__": [0, 1]}
    assert of_parquet(parquet(flat)) == expected
    struct = {**shared, "outcomes": [{"value": 1.5, "kept": True}, {"value": None, "kept": False}]}
    assert of_parquet(parquet(struct)) == expected


def test_parquet_of_other_writers_is_read_too() -> None:
    columns = {
        "join_key": pa.array(["a"], pa.large_string()).dictionary_encode(),
        "label": pa.array([Decimal("1.50")]),
        "value": pa.array([Decimal("12345678901234567890")]),
        "time": ["2026-03-01T12:00:00Z"],
        "id": ["x"],
    }
    assert of_parquet(parquet(columns)) == [Given("a", 1.5, {"value": 12345678901234567890}, AT, "x")]


@pytest.mark.parametrize(
    ("columns", "says", "row"),
    [
        ({"join_key": ["a"]}, "there is no column label; the columns are join_key", None),
        ({"label": ["a"]}, "there is no column join_key", None),
        ({"join_key": ["a", None], "label": [1, 1]}, "row 2: Object missing required field `join_key`", 2),
        (
            {"join_key": [b"a"], "label": [1]},
            "join_key has values of the type binary, must have numbers",
            None,
        ),
        ({"join_key": [True], "label": [1]}, "row 1: join_key: Expected", 1),
        (
            {"join_key": ["a"], "label": [1], "time": [AT.date()]},
            "the type date32[day], must have timestamps with",
            None,
        ),
        ({"join_key": ["a"], "label": [1], "d": [AT]}, "column d has values of the type timestamp[us, tz=UTC], must", None),
        ({"join_key": ["a"], "label": [1], "outcomes": [{"d": AT}]}, "column outcomes.d has values of the type time", None),
        ({"join_key": ["a"], "label": [[1]]}, "column label.list.element has lists", None),
        ({"join_key": ["a"], "label": [1], "time": pa.array([2**62], pa.timestamp("us", "UTC"))}, "column time: date", None),
        ({"join_key": ["a"], "label": [1], "time": pa.array([AT], pa.timestamp("us"))}, "without a time zone", None),
        ({"join_key": ["a"], "label": [1], "time": ["soon"]}, "row 1: time", 1),
        ({"join_key": ["a"], "label": [1], "outcomes": [{"x": 1}], "y": [2]}, "column y: where there is a column", None),
        ({"join_key": ["a"], "label": ["x" * 5000]}, "a text of 5000 bytes", None),
        ({"join_key": ["a"], "label": [1], "outcomes": [{"x": "x" * 5000}]}, "a text of 5000 bytes", None),
        ({"join_key": ["a"], "label": [1], **{f"c{i}": [1] for i in range(100)}}, "102 columns", None),
    ],
)
def test_what_is_no_label_in_parquet_is_named(columns: dict[str, Any], says: str, row: int | None) -> None:
    with pytest.raises(InvalidLabels) as caught:
        of_parquet(parquet(columns))
    assert says in str(caught.value)
    assert caught.value.row == row


def test_two_columns_of_one_name_are_refused() -> None:
    table = pa.table([["a"], [1], [2]], names=["join_key", "label", "label"])
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    with pytest.raises(InvalidLabels, match="there are two columns label"):
        of_parquet(sink.getvalue().to_pybytes())


def test_what_is_no_parquet_is_refused() -> None:
    with pytest.raises(InvalidLabels, match="not Parquet"):
        of_parquet(b"PAR1 and no more")


def test_more_labels_than_fit_a_request_are_refused_before_they_are_read() -> None:
    with pytest.raises(TooLarge, match="100000"):
        of_parquet(parquet({"join_key": ["k"] * 100_001, "label": [1] * 100_001}))
    with pytest.raises(TooLarge, match="100000"):
        of_lines(lines([label("k")]) * 100_001)


def test_a_long_text_that_all_rows_share_is_no_way_to_fill_the_memory() -> None:
    """A dictionary of one text of 1 MB: 100 KB on the wire, 50 GB as a column of texts."""
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 50_000, pa.int32()), pa.array(["x" * 1_000_000]))
    with pytest.raises(InvalidLabels, match="a text of 1000000 bytes"):
        of_parquet(parquet({"join_key": ["k"] * 50_000, "label": texts}))


def test_a_small_file_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked() -> None:
    """The text: 2 KB on the wire. The list: 1 KB, and a byte in memory for each of its elements."""
    with pytest.raises(TooLarge, match="unpacks to"):
        of_parquet(parquet({"join_key": ["k"], "label": ["x" * 70_000_000]}))
    with pytest.raises(InvalidLabels, match="lists"):
        of_parquet(parquet({"join_key": ["k"], "label": [1], "o": pa.array([[0] * 1_000_000], pa.list_(pa.int8()))}))


def test_more_values_than_fit_the_memory_are_refused_before_they_are_read() -> None:
    outcomes = ",".join(f'"{number:x}":1' for number in range(1_500_000))
    for reader in (of_json, of_lines):
        with pytest.raises(TooLarge, match="send at most 1500000 at once"):
            reader(f'{{"join_key": "k", "label": 1, "outcomes": {{{outcomes}}}}}'.encode())
    rows = 100_000
    wide = {"join_key": ["k"] * rows, "label": [1] * rows, **{f"o{number}": [1] * rows for number in range(14)}}
    with pytest.raises(TooLarge, match="send at most 1500000 at once"):
        of_parquet(parquet(wide))
