"""Rows of the lake as the CloudEvents that they are published as: JSON, structured mode. Pure.

What was captured as a hash, or left out, is so in the lake, and so it is here. A collector elsewhere reads these events as
they are (`podium_monitor.kafka.records`).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from podium_crds.capture import LABEL, PREDICTION, SHADOW
from podium_monitor.credentials import Source
from podium_monitor.lake.tables import Place, Table
from podium_monitor.lake.values import Side, objects_of, value_column

HEADERS: list[tuple[str, str | bytes | None]] = [("content-type", b"application/cloudevents+json; charset=UTF-8")]

_TYPES: Mapping[Table, str] = {"predictions": PREDICTION, "shadows": SHADOW, "labels": LABEL}
_ATTRIBUTES = ("event_id", "time", "received_at", "deployment_uid", "labelled_by")
"""Columns that are attributes of the event. All others are its data."""
_SIDES: Mapping[Table, Mapping[str, Side]] = {
    "predictions": {"inputs": "input", "outputs": "output"},
    "shadows": {"outputs": "output"},
    "labels": {},
}
_OF_JSON = ("split", "label", "outcomes")
"""Columns that hold JSON text, which is put into the event as it is."""
_NULL = msgspec.Raw(b"null")

_json = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Published:
    """A message for a topic."""

    key: bytes
    """The join key, so that what is known of a customer lies in one partition; of rows without one, the event's id."""
    value: bytes


def columns_of(rows: pa.Table) -> dict[str, list[Any]]:
    """For `events_of`. Times as RFC 3339 at once: to make them of Python's costs as much as all else of an event."""
    for name in ("time", "received_at"):
        text = pc.replace_substring(rows.column(name).cast(pa.string()), " ", "T")
        rows = rows.set_column(rows.schema.get_field_index(name), name, text)
    found: dict[str, list[Any]] = rows.to_pydict()
    return found


def events_of(place: Place, columns: Mapping[str, list[Any]]) -> Iterator[Published]:
    """One per row. `columns`: those of the table's schema that its files have, and those of values."""
    count = len(columns["event_id"])
    names = [name for name in columns if name not in _ATTRIBUTES and value_column(name) is None]
    values = [_as_json(columns[name]) if name in _OF_JSON else columns[name] for name in names]
    for name, side in _SIDES[place.table].items():
        names.append(name)
        values.append([one or None for one in objects_of(side, columns, count)])
    nothing = [""] * count
    keys = columns.get("join_key", nothing)
    fixed = {
        "specversion": "1.0",
        "type": _TYPES[place.table],
        "source": Source(place.namespace, place.deployment, "").event_source,
        "datacontenttype": "application/json",
    }
    rows = zip(
        columns["event_id"],
        columns["time"],
        columns["received_at"],
        columns["deployment_uid"],
        columns.get("labelled_by", nothing),
        keys,
        zip(*values, strict=True),
        strict=True,
    )
    for event_id, time, received_at, uid, labelled_by, key, row in rows:
        event = {**fixed, "id": event_id, "time": time, "receivedat": received_at}
        if uid:
            event["deploymentuid"] = uid
        if labelled_by:
            event["labelledby"] = labelled_by
        event["data"] = dict(zip(names, row, strict=True))
        yield Published((key or event_id).encode(), _json(event))


def _as_json(texts: list[str | None]) -> list[msgspec.Raw]:
    return [_NULL if text is None else msgspec.Raw(text.encode()) for text in texts]
