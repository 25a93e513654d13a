"""An hour's files in pieces of some ten thousand rows, as Arrow tables with just the columns that are asked for. The only
place of the evaluations that reads rows.

Files of any time lie together: a column that one of them lacks is null.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from podium_monitor.lake.tables import SCHEMAS, Table
from podium_monitor.lake.values import value_column

PIECE_ROWS = 50_000
_CODED = ("arm_answered", "version", "digest", "label")
"""Text of few values: read as codes."""


@dataclass(frozen=True)
class _Part:
    """Some row groups of one file."""

    path: Path
    metadata: Any
    groups: tuple[int, ...]


@dataclass(frozen=True)
class Piece:
    """Rows that are read together."""

    parts: tuple[_Part, ...]
    first: int
    """Place of its first row among those of all pieces."""
    rows: int


@dataclass(frozen=True)
class Files:
    table: Table
    pieces: tuple[Piece, ...]
    columns: frozenset[str]
    """That any of them has."""


def files_of(table: Table, paths: Sequence[Path]) -> Files:
    """Reads the footers. Raises FileNotFoundError, OSError or pa.ArrowException."""
    pieces: list[Piece] = []
    parts: list[_Part] = []
    columns: set[str] = set()
    first = rows = 0
    for path in paths:
        metadata = pq.read_metadata(path)
        columns |= {field.name for field in metadata.schema.to_arrow_schema()}
        for group in range(metadata.num_row_groups):
            if parts and parts[-1].path == path:
                parts[-1] = _Part(path, metadata, (*parts[-1].groups, group))
            else:
                parts.append(_Part(path, metadata, (group,)))
            rows += metadata.row_group(group).num_rows
            if rows >= PIECE_ROWS:
                pieces.append(Piece(tuple(parts), first, rows))
                first, rows, parts = first + rows, 0, []
    if rows:
        pieces.append(Piece(tuple(parts), first, rows))
    return Files(table, tuple(pieces), frozenset(columns))


def read(files: Files, piece: Piece, columns: Iterable[str]) -> pa.Table:
    """The columns of the table's schema are there always; those of values where a file has them. Raises FileNotFoundError,
    OSError or pa.ArrowException."""
    wanted = list(dict.fromkeys(columns))
    found = pa.concat_tables([_read(part, wanted) for part in piece.parts], promote_options="default")
    schema = SCHEMAS[files.table]
    for name in wanted:
        if name in schema.names and name not in found.column_names:
            found = found.append_column(name, pa.nulls(len(found), schema.field(name).type))
    return found


def _read(part: _Part, wanted: Sequence[str]) -> pa.Table:
    coded = [name for name in wanted if name in _CODED or ((known := value_column(name)) and known.kind == "text")]
    with pq.ParquetFile(part.path, metadata=part.metadata, read_dictionary=coded) as file:
        there = set(file.schema_arrow.names)
        return file.read_row_groups(part.groups, columns=[name for name in wanted if name in there], use_threads=False)


def with_sample_alone(table: pa.Table) -> pa.Array:
    """Which rows count. What capture.always kept beyond the sample is left out: a rule that keeps all fallbacks would make
    of any share something else. A file without the column knows no such rule."""
    return pc.fill_null(table["sampled"], True)
