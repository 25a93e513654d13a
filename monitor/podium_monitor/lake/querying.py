"""Inputs and outputs for whoever asks the lake in SQL and wants a JSON object per row."""

from collections.abc import Iterable, Sequence

import pyarrow.parquet as pq

from podium_monitor.lake.values import Side, ValueColumn, value_column


def value_columns(paths: Iterable[str]) -> list[ValueColumn]:
    """What any of some Parquet files of this machine has. Raises FileNotFoundError, OSError or pa.ArrowException."""
    names = {name for path in paths for name in pq.read_schema(path).names}
    found = [column for name in sorted(names) if (column := value_column(name)) is not None]
    return sorted(found, key=lambda column: not column.apart)  # DuckDB may take what has no mark for another name's


def json_of(side: Side, columns: Sequence[ValueColumn]) -> str:
    """An expression for DuckDB: the JSON text of an object, name to value, null for what is missing."""
    by_name: dict[str, list[str]] = {}
    for one in columns:
        if one.side == side:
            quoted = '"' + str(one).replace('"', '""') + '"'
            by_name.setdefault(one.name, []).append(
                f"CAST({quoted} AS JSON)" if one.kind == "json" else f"to_json({quoted})"
            )
    members = (f"{_text(name)}, coalesce({', '.join(found)})" for name, found in by_name.items())
    return f"CAST(json_object({', '.join(members)}) AS VARCHAR)"


def _text(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
