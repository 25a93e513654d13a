"""Several files of an hour become the content of one: sorted by time, each event once, no column lost.

Memory is bounded by slices of time: the files' time columns are read first, then, slice after slice, the rows of each. The
same event has the same time, so copies of it meet in one slice. Row groups carry statistics, so a reader that asks for five
minutes reads a few of them. Files of any version go in: columns that only some have, known here or not, are kept.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import IO

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from podium_monitor.lake.values import MOST_COLUMNS, respelled, value_column

SLICE_BYTES = 32 * 1024**2
"""Of rows in memory at once. The peak is about four times that: the sorted copy, and Parquet being made."""
ROW_GROUP_ROWS = 65_536
_UNIQUE = ("event_id", "request_id", "join_key", "prediction_id", "label", "outcomes")
"""Text that hardly repeats: a dictionary of it costs time and is given up in the end."""

_MICROSECONDS = pa.timestamp("us", tz="UTC")
_EVER = 2**62
_CELL_BYTES = 4
"""What a column adds to a row at least, if only nulls; of numbers 8."""


class Unmergeable(Exception):
    """The files' columns do not fit together. The text says which."""


def write_options(schema: pa.Schema) -> Mapping[str, object]:
    """How every file of the tables is written."""
    repeated = [field.name for field in schema if field.name not in _UNIQUE and not _is_of_numbers(field)]
    return {"compression": "zstd", "compression_level": 1, "use_dictionary": repeated}


def _is_of_numbers(field: pa.Field) -> bool:
    """Inputs and outputs that hardly repeat either."""
    known = value_column(field.name)
    return known is not None and known.kind in ("number", "numbers", "json")


def merged(sources: Sequence[IO[bytes]]) -> bytes:
    """The content of one Parquet file with the rows of all. Raises Unmergeable."""
    files = [pq.ParquetFile(source) for source in sources]
    names = respelled({name for file in files for name in file.schema_arrow.names})
    schema = _common([_named(file.schema_arrow.empty_table(), names).schema for file in files])
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(sink, schema, **write_options(schema)) as writer:
        for bounds in _slices(files, len(schema)):
            found = (_named(table, names) for file in files for table in _rows(file, bounds))
            rows = [_conformed(table, schema) for table in found]
            writer.write_table(_once(pa.concat_tables(rows)), row_group_size=ROW_GROUP_ROWS)
    return bytes(sink.getvalue())


def _named(table: pa.Table, names: Mapping[str, str]) -> pa.Table:
    return table.rename_columns([names.get(name, name) for name in table.column_names]) if names else table


def _common(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """The columns of all, in the order of the first that has them; the newest version's metadata."""
    for schema in schemas:
        if missing := {"event_id", "time"} - set(schema.names):
            raise Unmergeable(f"a file has no column {sorted(missing)[0]}: Podium did not write it")
    try:
        common = pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowException as error:
        raise Unmergeable(str(error)) from error
    if len(common) > MOST_COLUMNS:
        raise Unmergeable(f"they have {len(common)} columns together, at most {MOST_COLUMNS} become one file")
    return common.with_metadata(max((found.metadata or {} for found in schemas), key=_version))


def _version(metadata: Mapping[bytes, bytes]) -> int:
    text = metadata.get(b"podium.schema_version", b"0")
    return int(text) if text.isdigit() else 0


def _conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(len(table), field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _slices(files: Sequence[pq.ParquetFile], columns: int) -> Iterator[tuple[int, int]]:
    """[start, end) in microseconds since 1970: together all of time, and each with about SLICE_BYTES of rows, as they are
    and with all `columns`, of which each file may have others."""
    size = sum(file.metadata.row_group(group).total_byte_size for file in files for group in range(file.num_row_groups))
    size = max(size, columns * _CELL_BYTES * sum(file.metadata.num_rows for file in files))
    count = -(-size // SLICE_BYTES)
    if count <= 1:
        yield -_EVER, _EVER
        return
    times = np.sort(np.concatenate([_times(file.read(columns=["time"])) for file in files]))
    inner = np.unique(times[:: -(-len(times) // count)])[1:].tolist()
    yield from zip([-_EVER, *inner], [*inner, _EVER], strict=True)


def _rows(file: pq.ParquetFile, bounds: tuple[int, int]) -> Iterator[pa.Table]:
    """Those with a time in [start, end), row group by row group."""
    start, end = bounds
    for group in range(file.num_row_groups):
        if _may_have(file, group, bounds):
            table = file.read_row_group(group)
            if bounds == (-_EVER, _EVER):
                yield table
            else:
                times = _times(table)
                yield table.filter(pa.array((times >= start) & (times < end)))


def _may_have(file: pq.ParquetFile, group: int, bounds: tuple[int, int]) -> bool:
    column = file.metadata.row_group(group).column(file.schema_arrow.get_field_index("time"))
    found = column.statistics
    if found is None or not found.has_min_max or found.null_count:
        return True
    first, last = _times(pa.table({"time": pa.array([found.min, found.max], _MICROSECONDS)}))
    return bool(first < bounds[1] and last >= bounds[0])


def _times(table: pa.Table) -> npt.NDArray[np.int64]:
    column = table["time"].cast(_MICROSECONDS).cast(pa.int64()).fill_null(0)
    return np.asarray(column.to_numpy(), dtype=np.int64)


def _once(table: pa.Table) -> pa.Table:
    """Sorted by time; of the rows with one event id, the first."""
    ordered = table.sort_by([("time", "ascending"), ("event_id", "ascending")])
    if pc.count_distinct(ordered["event_id"], mode="all").as_py() == len(ordered):
        return ordered
    numbered = pa.table({"event_id": ordered["event_id"], "index": pa.array(np.arange(len(ordered)))})
    first = numbered.group_by("event_id").aggregate([("index", "min")])["index_min"]
    return ordered.take(first.sort())
