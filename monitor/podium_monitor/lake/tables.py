"""What the tables of the lake are: columns, folders, names of files. Pure.

Columns are only added, and nullable. What each means: docs/guide/lake.md. Predictions and shadows have columns of values
beside these (lake/values.py).
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import compress
from typing import Any, Literal

import pyarrow as pa

from podium_monitor.lake.values import MOST_CELLS, MOST_COLUMNS, Values, chosen_values, joined_values

Table = Literal["predictions", "shadows", "labels"]

SCHEMA_VERSION = "2"
_METADATA = {"podium.schema_version": SCHEMA_VERSION}
_MICROSECONDS = pa.timestamp("us", tz="UTC")

_SHARED = [
    ("event_id", pa.string()),
    ("time", _MICROSECONDS),
    ("received_at", _MICROSECONDS),
    ("deployment_uid", pa.string()),
]
SCHEMAS: dict[Table, pa.Schema] = {
    "predictions": pa.schema(
        [
            *_SHARED,
            ("request_id", pa.string()),
            ("row", pa.int32()),
            ("join_key", pa.string()),
            ("arm_assigned", pa.string()),
            ("arm_answered", pa.string()),
            ("fallback", pa.string()),
            ("epoch", pa.int64()),
            ("version", pa.string()),
            ("digest", pa.string()),
            ("latency_seconds", pa.float64()),
            ("sampled", pa.bool_()),
            ("join_key_hashed", pa.bool_()),
            ("split", pa.string()),
            ("unit_key", pa.string()),
        ],
        metadata=_METADATA,
    ),
    "shadows": pa.schema(
        [
            *_SHARED,
            ("prediction_id", pa.string()),
            ("version", pa.string()),
            ("digest", pa.string()),
            ("error", pa.string()),
        ],
        metadata=_METADATA,
    ),
    "labels": pa.schema(
        [
            *_SHARED,
            ("join_key", pa.string()),
            ("label", pa.string()),
            ("outcomes", pa.string()),
            ("labelled_by", pa.string()),
        ],
        metadata=_METADATA,
    ),
}

_REST_BYTES = 600
_MOST_CELLS = 4 * MOST_CELLS
"""Of one file, when it is made: 128 MiB."""
_HOUR = re.compile(r"date=(\d{4})-(\d{2})-(\d{2})/hour=(\d{2})(?:/|$)", re.ASCII)
_MERGED = "-merged.parquet"
_RECEIVED = "%Y%m%dT%H%M%S%f"


@dataclass(frozen=True, slots=True)
class Place:
    """One hour of one deployment's table: a folder."""

    table: Table
    namespace: str
    deployment: str
    hour: datetime
    """Its start, UTC."""

    @property
    def folder(self) -> str:
        date, hour = f"date={self.hour:%Y-%m-%d}", f"hour={self.hour:%H}"
        return f"{folder_of(self.table, self.namespace, self.deployment)}/{date}/{hour}"

    @property
    def event_scope(self) -> str:
        """Within it an event's id is unique."""
        return f"{self.table}\n{self.namespace}/{self.deployment}"


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of one place, column by column, all of one length. A column of the schema that is absent is null."""

    place: Place
    columns: dict[str, list[Any]] = field(repr=False)
    values: Values = field(default_factory=dict, repr=False)
    """Inputs and outputs."""

    @property
    def event_ids(self) -> list[str]:
        return self.columns["event_id"]

    def __len__(self) -> int:
        return len(self.event_ids)

    @property
    def size(self) -> int:
        """Bytes in memory, about: that of the values and outcomes, and as much as the rest of a row usually is."""
        texts = sum(len(text) for text in self.columns.get("outcomes", ()) if text)
        return len(self) * _REST_BYTES + texts + sum(int(column.nbytes) for column in self.values.values())

    def where(self, chosen: Sequence[bool]) -> "Rows":
        if all(chosen):
            return self
        columns = {name: list(compress(column, chosen)) for name, column in self.columns.items()}
        return Rows(self.place, columns, chosen_values(self.values, chosen))


def joined(place: Place, parts: Sequence[Rows]) -> list[Rows]:
    """The rows of all parts, which are of one place: together, unless their values are too wide for one file."""
    groups: list[list[Rows]] = []
    names: set[str] = set()
    rows = 0
    for part in parts:
        names, rows = names | part.values.keys(), rows + len(part)
        if not groups or len(names) > MOST_COLUMNS or len(names) * rows > _MOST_CELLS:
            groups.append([])
            names, rows = set(part.values), len(part)
        groups[-1].append(part)
    return [_joined(place, group) if len(group) > 1 else group[0] for group in groups]


def _joined(place: Place, parts: Sequence[Rows]) -> Rows:
    columns = {name: [value for part in parts for value in part.columns[name]] for name in parts[0].columns}
    return Rows(place, columns, joined_values((len(part), part.values) for part in parts))


def folder_of(table: Table, namespace: str, deployment: str) -> str:
    return f"{table}/namespace={namespace}/deployment={deployment}"


def hour_of(time: datetime) -> datetime:
    """The start of its hour, UTC."""
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def hours_between(start: datetime, end: datetime) -> Iterator[datetime]:
    """The hours that overlap [start, end)."""
    hour = hour_of(start)
    while hour < end:
        yield hour
        hour += timedelta(hours=1)


def hour_of_path(path: str) -> datetime | None:
    """The hour under which a file is filed. None: it lies under no hour."""
    found = _HOUR.search(path)
    if found is None:
        return None
    try:
        year, month, day, hour = map(int, found.groups())
        return datetime(year, month, day, hour, tzinfo=UTC)
    except ValueError:
        return None


def value_of(folder: str) -> str:
    """Of a hive folder: `shop` of `namespace=shop`."""
    return folder.partition("=")[2]


def new_name(received_at: datetime, merged: bool = False) -> str:
    """A name that no other file has. `merged`: made from other files."""
    return f"{received_at.astimezone(UTC):{_RECEIVED}}-{secrets.token_hex(6)}{_MERGED if merged else '.parquet'}"


def is_merged(path: str) -> bool:
    return path.endswith(_MERGED)


def received_at(path: str) -> datetime | None:
    """When the newest rows of a file were received, by its name. None: a file that Podium did not name."""
    try:
        return datetime.strptime(path.rpartition("/")[2].partition("-")[0], _RECEIVED).replace(tzinfo=UTC)
    except ValueError:
        return None
