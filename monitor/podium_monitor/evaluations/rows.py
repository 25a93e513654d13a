"""An hour's rows from the lake's files, as batches. The only place of the evaluations that asks DuckDB for rows.

SQL is built here alone: names become JSON text with quotes doubled, files and digests are parameters.
"""

import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from podium_evaluation.sequences import Floats
from podium_monitor.evaluations.batch import Batch, Texts, texts_of
from podium_monitor.evaluations.labelled import Labels
from podium_monitor.evaluations.subject import Cell, Subject

Hashes = npt.NDArray[np.uint64]
BATCH_ROWS = 50_000
_SQL_TYPES: dict[Cell, str] = {"Number": "DOUBLE", "Text": "VARCHAR", "Truth": "VARCHAR"}
_PREDICTIONS = """SELECT * FROM (FROM read_parquet($files, union_by_name = true)
    UNION ALL BY NAME SELECT CAST(NULL AS BOOLEAN) AS sampled WHERE false) WHERE sampled IS DISTINCT FROM false"""
"""What capture.always kept beyond the sample is left out: a rule that keeps all fallbacks would make of any share something
else. A file without the column `sampled` knows no such rule; none of an hour may have it."""
_SHADOWS = f"""SELECT s.event_id, s.time, s.version, s.digest, s.outputs, p.inputs, p.join_key, 'shadow' AS arm_answered,
    '' AS fallback, CAST('NaN' AS DOUBLE) AS latency_seconds FROM read_parquet($shadows, union_by_name = true) s
    JOIN (SELECT event_id, any_value(inputs) AS inputs, any_value(join_key) AS join_key
          FROM ({_PREDICTIONS}) GROUP BY event_id) p
    ON s.prediction_id = p.event_id WHERE coalesce(s.error, '') = ''"""  # noqa: S608
_FIRST_OF_EACH = "QUALIFY row_number() OVER (PARTITION BY event_id) = 1"


@dataclass(frozen=True)
class Source:
    """Files of one hour. With `shadows` its rows are the challengers' answers to the predictions in `files`."""

    files: Sequence[Path]
    shadows: Sequence[Path] = ()

    @property
    def sql(self) -> str:
        return _SHADOWS if self.shadows else _PREDICTIONS

    @property
    def parameters(self) -> dict[str, list[str]]:
        named = {"files": [str(path) for path in self.files]}
        return named | ({"shadows": [str(path) for path in self.shadows]} if self.shadows else {})


@dataclass(frozen=True)
class Arm:
    """Whose rows a batch has."""

    name: str
    version: str
    digest: str


@dataclass(frozen=True)
class Kinds:
    """What an hour holds, before its rows are read."""

    keys: Hashes
    """Of the join keys, sorted, each once."""
    digests: tuple[str, ...]
    repeated: bool
    """Whether an event is there more than once."""
    of_rows: Path | None = None
    """The keys' hashes in the order of the rows, where all rows are of one version and none is there twice: a file, so that
    nothing is hashed twice and many hours take no memory."""


def connect(threads: int, memory_bytes: int, folder: Path) -> duckdb.DuckDBPyConnection:
    """A database in memory that spills to `folder`, reads local files and nothing else, and loads no extension."""
    connection = duckdb.connect(
        config={
            "threads": threads,
            "memory_limit": f"{memory_bytes // 1_000_000}MB",
            "temp_directory": str(folder),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    connection.execute("SET enable_progress_bar = false")
    return connection


def kinds(connection: duckdb.DuckDBPyConnection, source: Source, folder: Path | None = None) -> Kinds:
    """One pass over two columns. `folder` is for `Kinds.of_rows`."""
    found: Any = connection.sql(
        f"SELECT hash(event_id) AS event, md5_number_lower(join_key) AS key, digest FROM ({source.sql})",  # noqa: S608
        params=source.parameters,
    ).to_arrow_table()
    events, keys = (np.sort(found[name].drop_null().to_numpy()) for name in ("event", "key"))
    digests = found["digest"].unique().to_pylist()
    repeated, of_rows = not _is_new(events).all(), None
    if folder is not None and len(digests) == 1 and not repeated:
        of_rows = folder / f"{uuid.uuid4().hex}.npy"
        np.save(of_rows, found["key"].fill_null(0).to_numpy())
    return Kinds(keys[_is_new(keys)], tuple(sorted(digest for digest in digests if digest)), repeated, of_rows)


def _is_new(ordered: Hashes) -> npt.NDArray[np.bool_]:
    """Where a value is not that before it."""
    return np.append(True, ordered[1:] != ordered[:-1]) if len(ordered) else np.empty(0, dtype=bool)


def batches(
    connection: duckdb.DuckDBPyConnection, source: Source, subject: Subject, labels: Labels, found: Kinds
) -> Iterator[tuple[Arm, Batch]]:
    """The rows of the subject's version, each event once, with the labels that are known."""
    inputs, outputs = _structures(subject.inputs), _structures(subject.answers)
    columns = [f"json_transform(inputs, {_quoted(one)}) AS i{index}" for index, one in enumerate(inputs)]
    columns += [f"json_transform(outputs, {_quoted(one)}) AS o{index}" for index, one in enumerate(outputs)]
    hashed = None if found.of_rows is None else np.load(found.of_rows)
    key = "md5_number_lower(join_key)" if hashed is None else "CAST(0 AS UBIGINT)"
    sql = f"""SELECT arm_answered, version, fallback, latency_seconds, time, {key} AS key,
        {", ".join(columns) or "NULL"} FROM ({source.sql})
        WHERE digest = $digest {_FIRST_OF_EACH if found.repeated else ""}"""  # noqa: S608
    reader: Any = connection.sql(sql, params=source.parameters | {"digest": subject.digest}).to_arrow_reader(BATCH_ROWS)
    at = 0
    for record in reader:
        keys = record["key"].fill_null(0).to_numpy(zero_copy_only=False)
        if hashed is not None:  # DuckDB keeps the order of the files' rows
            keys = hashed[at : at + record.num_rows]
        at += record.num_rows
        if record.num_rows:
            yield from _by_arm(record, _batch(record, keys, subject, labels), subject.digest)


def wrong_types(
    connection: duckdb.DuckDBPyConnection, source: Source, subject: Subject, names: Sequence[str]
) -> dict[tuple[str, str, str], int]:
    """How many values of each column of numbers are there and no number, by (arm, version, column). One pass, for
    columns that lack many."""
    if not names:
        return {}
    wrong = ", ".join(
        f"""count(*) FILTER (json_type(inputs, {_quoted(_path(name))}) <> 'NULL'
        AND try_cast(json_extract_string(inputs, {_quoted(_path(name))}) AS DOUBLE) IS NULL)"""
        for name in names
    )
    rows = connection.execute(
        f"SELECT arm_answered, version, {wrong} FROM ({source.sql}) WHERE digest = $digest GROUP BY ALL",  # noqa: S608
        source.parameters | {"digest": subject.digest},
    ).fetchall()
    return {(row[0], row[1], name): row[2 + index] for row in rows for index, name in enumerate(names) if row[2 + index]}


def _path(name: str) -> str:
    """As JSONPath; a name in double quotes may hold anything but a double quote."""
    return f'$."{name}"'


def _structures(cells: Any) -> list[str]:
    """JSON structures for json_transform, which takes no two names that differ by case alone in one."""
    groups: list[dict[str, Any]] = []
    for name, cell in cells.items():
        wanted: Any = ["DOUBLE"] if isinstance(cell, tuple) else _SQL_TYPES[cell]
        fitting = next((group for group in groups if name.lower() not in {one.lower() for one in group}), None)
        if fitting is None:
            groups.append(fitting := {})
        fitting[name] = wanted
    return [json.dumps(group, ensure_ascii=False) for group in groups]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _by_arm(record: pa.RecordBatch, batch: Batch, digest: str) -> Iterator[tuple[Arm, Batch]]:
    names, versions = texts_of(record["arm_answered"]), texts_of(record["version"])
    both = names.codes * len(versions.names) + versions.codes
    for code in np.unique(both):
        rows = both == code
        first = int(np.argmax(rows))
        arm = Arm(names.names[names.codes[first]], versions.names[versions.codes[first]], digest)
        yield arm, batch.chosen(rows)


def _batch(record: pa.RecordBatch, keys: Hashes, subject: Subject, labels: Labels) -> Batch:
    numbers: dict[str, Floats] = {}
    texts: dict[str, Texts] = {}
    output_numbers: dict[str, Floats] = {}
    output_texts: dict[str, Texts] = {}
    for name, array in _members(record, "i"):
        _take(name, array, subject.inputs[name], numbers, texts)
    for name, array in _members(record, "o"):
        cell = subject.answers[name]
        if isinstance(cell, tuple):
            output_numbers |= _several(name, array, cell)
        else:
            _take(name, array, cell, output_numbers, output_texts)
    time = record["time"].cast(pa.int64()).to_numpy(zero_copy_only=False)
    joined = labels.joined(keys, time)
    return Batch(
        rows=record.num_rows,
        numbers=numbers,
        texts=texts,
        output_numbers=output_numbers,
        output_texts=output_texts,
        latency=_floats(record["latency_seconds"]),
        fallback=np.asarray(pa.compute.not_equal(record["fallback"].fill_null(""), "")),
        truth=joined.truth,
        delay=joined.delay,
        outcomes=joined.outcomes,
        rank=_mixed(keys, time),
    )


def _mixed(keys: Hashes, time: npt.NDArray[np.int64]) -> Hashes:
    """A number per row that looks random and is the same each time (the finalizer of SplitMix64): not the key's alone, for
    many rows may have one."""
    mixed = keys ^ (time.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)), dtype=np.uint64)


def _members(record: pa.RecordBatch, prefix: str) -> Iterator[tuple[str, Any]]:
    for field in record.schema:
        if field.name.startswith(prefix) and field.name[1:].isdigit():
            struct = record[field.name]
            for index in range(struct.type.num_fields):
                yield struct.type.field(index).name, struct.field(index)


def _take(name: str, array: Any, cell: Cell, numbers: dict[str, Floats], texts: dict[str, Texts]) -> None:
    if cell == "Number":
        numbers[name] = _floats(array)
        return
    found = texts_of(array)
    # The empty string stands for null in a BYTES tensor.
    named = tuple(_SPELLED.get(one, one) if cell == "Truth" else one for one in found.names)
    empty = named.index("") if "" in named else -2
    texts[name] = Texts(np.where(found.codes == empty, -1, found.codes), named)


_SPELLED = {"true": "True", "false": "False"}


def _several(name: str, array: Any, names: tuple[str, ...]) -> dict[str, Floats]:
    """A list per row becomes a column per number; rows with another length have none."""
    lengths = np.asarray(pa.compute.list_value_length(array).fill_null(-1))
    fitting = lengths == len(names)
    if fitting.all():
        matrix = _floats(array.flatten()).reshape(-1, len(names))
        return {f"{name}[{one}]": matrix[:, index].copy() for index, one in enumerate(names)}
    flat = _floats(array.filter(pa.array(fitting)).flatten()).reshape(-1, len(names))
    columns = {}
    for index, one in enumerate(names):
        values = np.full(len(lengths), np.nan)
        values[fitting] = flat[:, index]
        columns[f"{name}[{one}]"] = values
    return columns


def _floats(array: Any) -> Floats:
    """Missing is NaN."""
    return np.asarray(array.to_numpy(zero_copy_only=False), dtype=np.float64)
