"""Labels as a Parquet table: columns join_key and label; time and id if there are any; outcomes. Pure.

A footer may say less than follows it, so this runs in a process with bounds (podium_monitor.labels.confined). What an honest
footer says is looked at first, for a better sentence.

Outcomes are the fields of a struct column `outcomes`, or else all further columns, by their names.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from podium_monitor.events import TooLarge
from podium_monitor.labels.given import MAX_ROWS, Given, InvalidLabels, check_values, converted

_FIELDS = ("join_key", "label", "time", "id", "namespace", "deployment")
_OUTCOMES = "outcomes"
_INDEX = "__index_level_"
"""What pandas adds of its own."""
_MAX_COLUMNS = 100
_MAX_TEXT_BYTES = 4096
_MAX_UNPACKED_BYTES = 64 * 1024 * 1024
_PLAIN = (
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_boolean,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_null,
)
_MICROSECONDS = pa.timestamp("us", tz="UTC")


def labels_in(content: bytes) -> Iterator[Given]:
    """One after the other, so that not all are in memory. Raises InvalidLabels, TooLarge."""
    table = _table(content)
    names = [name for name in table.column_names if not name.startswith(_INDEX)]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InvalidLabels(f"there are two columns {twice[0]}", rows=table.num_rows)
    for needed in ("join_key", "label"):
        if needed not in names:
            raise InvalidLabels(f"there is no column {needed}; the columns are {', '.join(names)}", rows=table.num_rows)
    further = [name for name in names if name not in (*_FIELDS, _OUTCOMES)]
    if _OUTCOMES in names and further:
        raise InvalidLabels(f"column {further[0]}: where there is a column outcomes, all outcomes are in it")
    for name in names:
        _check_type(name, table.schema.field(name).type)
    fields = {name: _values(table, name) for name in names if name not in further}
    outcomes = {name: _values(table, name) for name in further}
    for number, row in enumerate(_rows(fields, outcomes, table.num_rows), start=1):
        yield converted(row, number, table.num_rows)


def _table(content: bytes) -> Any:
    """Texts stay as a dictionary with positions: a long one that all rows have must not become a hundred thousand."""
    try:
        file = pq.ParquetFile(pa.BufferReader(content))
        if file.metadata.num_rows > MAX_ROWS:
            raise TooLarge(f"there are {file.metadata.num_rows} labels, send at most {MAX_ROWS} at once")
        if file.metadata.num_columns > _MAX_COLUMNS:
            raise InvalidLabels(f"there are {file.metadata.num_columns} columns, may be {_MAX_COLUMNS}")
        leaves = [file.schema.column(index) for index in range(file.metadata.num_columns)]
        check_values(file.metadata.num_rows * file.metadata.num_columns)
        _check_size(file.metadata, leaves)
        texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
        table = pq.ParquetFile(pa.BufferReader(content), read_dictionary=texts).read(use_threads=False)
    except (pa.ArrowException, OSError, ValueError) as error:
        if isinstance(error, InvalidLabels | TooLarge | MemoryError):
            raise
        raise InvalidLabels(f"the body is not Parquet: {error}") from error
    for column in table.columns:
        for chunk in column.chunks:
            _check_texts(chunk)
    return table


def _check_size(found: Any, leaves: Sequence[Any]) -> None:
    """Before it is unpacked: kilobytes may become gigabytes, of a row as of many."""
    lists = [leaf.path for leaf in leaves if leaf.max_repetition_level > 0]
    if lists:
        raise InvalidLabels(f"column {lists[0]} has lists, must have one number, text or truth per row")
    unpacked = sum(found.row_group(index).total_byte_size for index in range(found.num_row_groups))
    if unpacked > _MAX_UNPACKED_BYTES:
        raise TooLarge(f"the table unpacks to {unpacked} bytes, send at most {_MAX_UNPACKED_BYTES} at once")


def _check_texts(array: Any) -> None:
    if pa.types.is_struct(array.type):
        for field in array.flatten():
            _check_texts(field)
    elif pa.types.is_dictionary(array.type):
        longest = pc.max(pc.binary_length(array.dictionary)).as_py() if len(array.dictionary) else 0
        if (longest or 0) > _MAX_TEXT_BYTES:
            raise InvalidLabels(f"there is a text of {longest} bytes, may have {_MAX_TEXT_BYTES}")


def _check_type(name: str, kind: Any) -> None:
    """Of a column, or of a field of outcomes. Raises InvalidLabels."""
    if name == _OUTCOMES and pa.types.is_struct(kind):
        for field in kind:
            _check_type(f"{_OUTCOMES}.{field.name}", field.type)
        return
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_timestamp(kind) and name == "time":
        if kind.tz is None:
            raise InvalidLabels("column time has times without a time zone, must have UTC or another one")
        return
    if not any(one(kind) for one in _PLAIN):
        right = "timestamps with a time zone, or texts in RFC 3339" if name == "time" else "numbers, texts or truths"
        raise InvalidLabels(f"column {name} has values of the type {kind}, must have {right}")


def _values(table: Any, name: str) -> list[Any]:
    """As Python has them. Times to the microsecond; decimals as whole numbers, or else as floats."""
    column = table.column(name)
    if pa.types.is_timestamp(column.type):
        column = column.cast(_MICROSECONDS, safe=False)
    try:
        values: list[Any] = column.to_pylist()
    except (OverflowError, ValueError) as error:
        raise InvalidLabels(f"column {name}: {error}") from error
    return [_plain(one) for one in values] if pa.types.is_decimal(column.type) else values


def _plain(value: Decimal | None) -> int | float | None:
    """Keys of databases are decimals, often longer than a float is exact."""
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)


def _rows(fields: dict[str, list[Any]], outcomes: dict[str, list[Any]], rows: int) -> Iterator[dict[str, Any]]:
    """What is null is left out, but for the label: its null means something."""
    for index in range(rows):
        row = {name: values[index] for name, values in fields.items() if values[index] is not None or name == "label"}
        if outcomes:
            row[_OUTCOMES] = {name: values[index] for name, values in outcomes.items()}
        yield row
