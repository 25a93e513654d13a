"""What `podium feedback` reads: rows of a file as labels to send. All are looked at before the first is sent."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from podium_cli.errors import UserError

Missing = Literal["Refuse", "Skip", "Withdraw"]
_SHOWN_COLUMNS = 20


@dataclass(frozen=True)
class Columns:
    """Of the file."""

    key: str
    label: str
    outcomes: tuple[str, ...] = ()
    time: str | None = None

    def all(self) -> dict[str, str]:
        """Option by column."""
        named = {self.key: "--key", self.label: "--label", **dict.fromkeys(self.outcomes, "--outcome")}
        return {**named, **({self.time: "--time"} if self.time else {})}


@dataclass(frozen=True)
class Reading:
    """How the file's rows become labels."""

    file: Path
    columns: Columns
    missing: Missing
    utc: bool
    """Times without an offset are UTC."""
    now: str
    """When the truth was seen, of rows without a time. RFC 3339."""


def missing_of(text: str) -> Missing:
    for choice in get_args(Missing):
        if choice == text:
            return choice  # type: ignore[no-any-return]  # get_args forgets that these are the literals
    raise UserError(f"--missing {text!r} is none of {', '.join(get_args(Missing))}")


def labels_in(reading: Reading) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """(number, label as it is sent) of each row, from 1; None: the row is left out. Raises UserError naming the row."""
    for number, row in enumerate(_rows(reading.file, reading.columns), start=1):
        try:
            yield number, _label(row, reading)
        except ValueError as error:
            raise UserError(f"{reading.file}: row {number} (the first is 1): {error}") from error


def _rows(file: Path, columns: Columns) -> Iterator[Mapping[str, Any]]:
    if not file.is_file():
        raise UserError(f"there is no file {file}")
    readers = {".csv": _csv_rows, ".parquet": _parquet_rows, ".jsonl": _json_rows}
    if file.suffix not in readers:
        raise UserError(f"{file} is no file of labels that can be read; give .csv, .parquet or .jsonl")
    try:
        yield from readers[file.suffix](file, columns)
    except (OSError, UnicodeError, pd.errors.ParserError, pd.errors.EmptyDataError, pa.ArrowException) as error:
        raise UserError(f"{file} cannot be read as {file.suffix}: {error}") from error


def _csv_rows(file: Path, columns: Columns) -> Iterator[Mapping[str, Any]]:
    """A column has one type: numbers, booleans, or texts. Keys and times are texts: 007 is not 7. Only empty is missing."""
    _check_columns(file, columns, list(pd.read_csv(file, nrows=0).columns))
    texts = {columns.key: str, **({columns.time: str} if columns.time else {})}
    frame = pd.read_csv(file, dtype=texts, keep_default_na=False, na_values=[""], low_memory=False, usecols=[*columns.all()])
    names = list(frame.columns)
    return (dict(zip(names, row, strict=True)) for row in frame.itertuples(index=False, name=None))


def _parquet_rows(file: Path, columns: Columns) -> Iterator[Mapping[str, Any]]:
    with pq.ParquetFile(file) as opened:
        _check_columns(file, columns, opened.schema_arrow.names)
        for batch in opened.iter_batches(batch_size=10_000, columns=[*columns.all()]):
            yield from batch.to_pylist()


def _json_rows(file: Path, columns: Columns) -> Iterator[Mapping[str, Any]]:
    with open(file, encoding="utf-8") as opened:
        for number, line in enumerate(filter(str.strip, opened), start=1):
            try:
                row = json.loads(line)
            except ValueError as error:
                raise UserError(f"{file}: row {number} (the first is 1): it is no JSON: {error}") from error
            if not isinstance(row, dict):
                raise UserError(f"{file}: row {number} (the first is 1): it is no JSON object")
            yield row


def _check_columns(file: Path, columns: Columns, found: list[str]) -> None:
    for name, option in columns.all().items():
        if name not in found:
            raise UserError(
                f"{option} is {name!r}, but {file} has the columns {', '.join(map(str, found[:_SHOWN_COLUMNS]))}"
            )


def _label(row: Mapping[str, Any], reading: Reading) -> dict[str, Any] | None:
    """Raises ValueError."""
    columns = reading.columns
    key, label = plain(row.get(columns.key)), plain(row.get(columns.label))
    if key is None:
        raise ValueError(f"there is no join key in column {columns.key!r}")
    if label is None and reading.missing == "Refuse":
        raise ValueError(
            f"there is no label in column {columns.label!r}; --missing Skip leaves such rows out, --missing Withdraw says "
            "that their keys have no label any more"
        )
    if label is None and reading.missing == "Skip":
        return None
    outcomes = {name: value for name in columns.outcomes if (value := plain(row.get(name))) is not None}
    said = {"join_key": key, "label": label, "time": _time(row, reading)}
    return {**said, "outcomes": outcomes} if outcomes else said


def _time(row: Mapping[str, Any], reading: Reading) -> str:
    given = row.get(reading.columns.time) if reading.columns.time else None
    return reading.now if given is None or plain(given) is None else when(given, reading.utc)


def when(given: Any, utc: bool) -> str:
    """RFC 3339, of a text or a datetime. Raises ValueError."""
    try:
        at = given if isinstance(given, datetime) else datetime.fromisoformat(given)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the time {given!r} is no RFC 3339 time, as in 2026-11-21T13:05:00Z") from error
    if at.tzinfo is None and not utc:
        raise ValueError(f"the time {given!s} has no offset, as in 2026-11-21T13:05:00Z; --utc takes such times for UTC")
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()


def plain(value: Any) -> str | int | float | bool | None:
    """As JSON has it; None: missing. Raises ValueError."""
    if value is None or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, Decimal):
        return float(value)
    if hasattr(value, "item"):  # a number of numpy
        value = value.item()
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} is no number that can be sent")
        return value
    raise ValueError(f"{value!r} is no text, number or boolean")
