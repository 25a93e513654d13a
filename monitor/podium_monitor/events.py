"""A batch of CloudEvents becomes rows of the lake. Pure: bytes in, rows or a refusal out.

Column by column and never a dict per row: this and the writing of Parquet are what a row costs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from podium_crds.capture import PREDICTION, SHADOW
from podium_monitor.credentials import Source
from podium_monitor.json_objects import Objects, values_of_json
from podium_monitor.lake.tables import Place, Rows, Table, hour_of
from podium_monitor.lake.values import TooWide, Values

MAX_ID = 256
_YEARS = (1970, 9000)
"""Far from what datetime and Parquet can hold, in any time zone."""


class InvalidBatch(ValueError):
    """Sending the batch again is useless. The text names the event and what would be right."""


class TooLarge(ValueError):
    """The batch is larger than the collector takes."""


_NULL = msgspec.Raw(b"null")
_O = TypeVar("_O", msgspec.Raw, Objects)
"""An object of a row: as it came, to be read with those of all rows; or read, to see what is wrong with it."""


class _Prediction(msgspec.Struct, Generic[_O], gc=False):  # nothing in a row refers to it: garbage collection need not look
    request_id: str
    row: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    join_key: str | None
    arm_assigned: str
    arm_answered: str
    fallback: str
    epoch: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    version: str
    digest: str
    inputs: _O
    outputs: _O
    latency_seconds: float
    sampled: bool = True
    join_key_hashed: bool = False
    split: msgspec.Raw = _NULL
    unit_key: str | None = None


class _Shadow(msgspec.Struct, Generic[_O], gc=False):
    prediction_id: str
    version: str
    digest: str
    outputs: _O
    error: str | None = None


class _Event(msgspec.Struct, tag_field="type", gc=False):
    """Its `data` comes with the type: one pass over the bytes reads a batch."""

    specversion: str
    id: str
    source: str
    time: datetime


class _PredictionEvent(_Event, Generic[_O], tag=PREDICTION, gc=False):
    data: _Prediction[_O]


class _ShadowEvent(_Event, Generic[_O], tag=SHADOW, gc=False):
    data: _Shadow[_O]


_RawPrediction = _PredictionEvent[msgspec.Raw]
_RawShadow = _ShadowEvent[msgspec.Raw]
_read_batch = msgspec.json.Decoder(list[_RawPrediction | _RawShadow]).decode
_read_each = msgspec.json.Decoder(list[msgspec.Raw]).decode
_read_event = msgspec.json.Decoder(_PredictionEvent[Objects] | _ShadowEvent[Objects]).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Clock:
    """When the batch came, and how far an event's own clock may be off before the receipt's hour is taken instead."""

    received_at: datetime
    late: timedelta
    early: timedelta

    def is_plausible(self, at: datetime) -> bool:
        return -self.early <= self.received_at - at <= self.late

    def filed_at(self, at: datetime) -> datetime:
        return at if self.is_plausible(at) else self.received_at


def rows_of(content: bytes, source: Source, clock: Clock, max_events: int) -> list[Rows]:
    """The batch's rows, by place. Raises InvalidBatch or TooLarge."""
    try:
        events = _read_batch(content)
    except _UNREADABLE as error:
        raise InvalidBatch(_what_is_wrong(content, error)) from error
    if len(events) > max_events:
        raise TooLarge(f"the batch has {len(events)} events, at most {max_events} are taken at once")
    for index, event in enumerate(events):
        _check(index, event, source)
    predictions = [event for event in events if isinstance(event, _PredictionEvent)]
    shadows = [event for event in events if isinstance(event, _ShadowEvent)]
    try:
        values, of_shadows = _values(predictions), values_of_json("output", [one.data.outputs for one in shadows])
    except _UNREADABLE as error:
        raise InvalidBatch(_what_is_wrong(content, error)) from error
    except TooWide as error:
        raise TooLarge(f"the batch is too wide: {error}") from error
    return [
        *filed("predictions", source, clock, _prediction_columns(predictions), values),
        *filed("shadows", source, clock, _shadow_columns(shadows), of_shadows),
    ]


def filed(table: Table, source: Source, clock: Clock, columns: dict[str, list[Any]], values: Values) -> list[Rows]:
    """Rows of one source by their hours. `columns`: all but those that follow from source and clock."""
    times: list[datetime] = columns.get("time", [])
    if not times:
        return []
    whole = {**columns, "received_at": [clock.received_at] * len(times), "deployment_uid": [source.uid] * len(times)}
    first, last = min(times), max(times)
    if hour_of(first) == hour_of(last) and clock.is_plausible(first) and clock.is_plausible(last):
        return [Rows(Place(table, source.namespace, source.name, hour_of(first)), whole, values)]
    hours = [hour_of(clock.filed_at(at)) for at in times]
    places = {hour: Place(table, source.namespace, source.name, hour) for hour in hours}
    return [Rows(place, whole, values).where([one == hour for one in hours]) for hour, place in places.items()]


def _what_is_wrong(content: bytes, error: Exception) -> str:
    """The same with the number of the event: found by reading each alone, which a good batch does not pay for."""
    try:
        for index, one in enumerate(_read_each(content)):
            try:
                _read_event(one)
            except (msgspec.DecodeError, UnicodeDecodeError) as reason:
                return f"event {index} does not fit: {reason}; types are {PREDICTION} and {SHADOW}"
    except _UNREADABLE:
        pass
    return f"the body is not a batch of CloudEvents: {error}"


def _check(index: int, event: _Event, source: Source) -> None:
    if event.specversion != "1.0":
        raise InvalidBatch(f"event {index} has specversion {event.specversion!r}, must have '1.0'")
    if not 0 < len(event.id) <= MAX_ID:
        raise InvalidBatch(f"event {index} has an id of {len(event.id)} characters, must have 1 to {MAX_ID}")
    if event.source != source.event_source:
        raise InvalidBatch(f"event {index} has source {event.source!r}, the credential is of {source.event_source!r}")
    if event.time.tzinfo is None or not _YEARS[0] <= event.time.year <= _YEARS[1]:
        raise InvalidBatch(f"event {index} has the time {event.time}, must be RFC 3339 with an offset, of our times")


def _event_columns(events: Sequence[_Event]) -> dict[str, list[Any]]:
    return {"event_id": [event.id for event in events], "time": [event.time for event in events]}


def _prediction_columns(events: Sequence[_RawPrediction]) -> dict[str, list[Any]]:
    data = [event.data for event in events]
    return {
        **_event_columns(events),
        "request_id": [one.request_id for one in data],
        "row": [one.row for one in data],
        "join_key": [one.join_key for one in data],
        "arm_assigned": [one.arm_assigned for one in data],
        "arm_answered": [one.arm_answered for one in data],
        "fallback": [one.fallback for one in data],
        "epoch": [one.epoch for one in data],
        "version": [one.version for one in data],
        "digest": [one.digest for one in data],
        "sampled": [one.sampled for one in data],
        "join_key_hashed": [one.join_key_hashed for one in data],
        "split": [json_text(one.split) for one in data],
        "unit_key": [one.unit_key for one in data],
        "latency_seconds": [one.latency_seconds for one in data],
    }


def _shadow_columns(events: Sequence[_RawShadow]) -> dict[str, list[Any]]:
    data = [event.data for event in events]
    return {
        **_event_columns(events),
        "prediction_id": [one.prediction_id for one in data],
        "version": [one.version for one in data],
        "digest": [one.digest for one in data],
        "error": [one.error for one in data],
    }


def _values(predictions: Sequence[_RawPrediction]) -> Values:
    inputs = values_of_json("input", [one.data.inputs for one in predictions])
    return inputs | values_of_json("output", [one.data.outputs for one in predictions])


def json_text(raw: msgspec.Raw) -> str | None:
    """JSON as it came; null becomes the table's own null."""
    found = bytes(raw).decode()
    return None if found == "null" else found
