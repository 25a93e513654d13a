"""A batch of CloudEvents becomes rows of the lake. Pure: bytes in, rows or a refusal out."""

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec

from podium_crds.capture import PREDICTION, SHADOW
from podium_monitor.credentials import Source

Kind = Literal["predictions", "shadows", "labels"]
"""Tables of the lake."""

_MAX_ID = 256
_GZIP_WINDOW = 31
_YEARS = (1970, 9000)
"""Far from what datetime and Parquet can hold, in any time zone."""


class InvalidBatch(ValueError):
    """Sending the batch again is useless. The text names the event and what would be right."""


class TooLarge(ValueError):
    """The batch is larger than the collector takes."""


class _Prediction(msgspec.Struct):
    request_id: str
    row: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    join_key: str | None
    arm_assigned: str
    arm_answered: str
    fallback: str
    epoch: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    version: str
    digest: str
    inputs: msgspec.Raw
    outputs: msgspec.Raw
    latency_seconds: float


class _Shadow(msgspec.Struct):
    prediction_id: str
    version: str
    digest: str
    outputs: msgspec.Raw
    error: str | None = None


class _Event(msgspec.Struct):
    specversion: str
    id: str
    source: str
    type: str
    time: datetime
    data: msgspec.Raw


_read_batch = msgspec.json.Decoder(list[_Event]).decode
_read_prediction = msgspec.json.Decoder(_Prediction).decode
_read_shadow = msgspec.json.Decoder(_Shadow).decode


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table, and where it is filed. `values` are its columns but those of the folders."""

    kind: Kind
    source: Source
    filed_at: datetime
    event_id: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Clock:
    """When the batch came, and how far an event's own clock may be off before the receipt's hour is taken instead."""

    received_at: datetime
    late: timedelta
    early: timedelta

    def filed_at(self, at: datetime) -> datetime:
        off = self.received_at - at
        return at if -self.early <= off <= self.late else self.received_at


def unpacked(body: bytes, encoding: str, limit: int) -> bytes:
    """The batch without its compression. Raises InvalidBatch or TooLarge, before more than `limit` bytes are made."""
    if encoding in ("", "identity"):
        content = body
    elif encoding == "gzip":
        try:
            content = zlib.decompressobj(_GZIP_WINDOW).decompress(body, limit + 1)
        except zlib.error as error:
            raise InvalidBatch(f"the body is not gzip: {error}") from error
    else:
        raise InvalidBatch(f"Content-Encoding is {encoding!r}, must be gzip or absent")
    if len(content) > limit:
        raise TooLarge(f"the batch has more than {limit} bytes, send smaller ones")
    return content


def rows_of(content: bytes, source: Source, clock: Clock, max_events: int) -> list[Row]:
    """The batch's rows. Raises InvalidBatch or TooLarge."""
    try:
        events = _read_batch(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidBatch(f"the body is not a batch of CloudEvents: {error}") from error
    if len(events) > max_events:
        raise TooLarge(f"the batch has {len(events)} events, at most {max_events} are taken at once")
    return [_row(index, event, source, clock) for index, event in enumerate(events)]


def _row(index: int, event: _Event, source: Source, clock: Clock) -> Row:
    if event.specversion != "1.0":
        raise InvalidBatch(f"event {index} has specversion {event.specversion!r}, must have '1.0'")
    if not 0 < len(event.id) <= _MAX_ID:
        raise InvalidBatch(f"event {index} has an id of {len(event.id)} characters, must have 1 to {_MAX_ID}")
    if event.source != source.event_source:
        raise InvalidBatch(f"event {index} has source {event.source!r}, the credential is of {source.event_source!r}")
    if event.time.tzinfo is None or not _YEARS[0] <= event.time.year <= _YEARS[1]:
        raise InvalidBatch(f"event {index} has the time {event.time}, must be RFC 3339 with an offset, of our times")
    kind, values = _values(index, event)
    shared = {"event_id": event.id, "time": event.time, "received_at": clock.received_at, "deployment_uid": source.uid}
    return Row(kind, source, clock.filed_at(event.time).astimezone(UTC), event.id, {**shared, **values})


def _values(index: int, event: _Event) -> tuple[Kind, dict[str, Any]]:
    try:
        if event.type == PREDICTION:
            prediction = _read_prediction(event.data)
            inputs, outputs = _text(prediction.inputs), _text(prediction.outputs)
            return "predictions", {**msgspec.structs.asdict(prediction), "inputs": inputs, "outputs": outputs}
        if event.type == SHADOW:
            shadow = _read_shadow(event.data)
            return "shadows", {**msgspec.structs.asdict(shadow), "outputs": _text(shadow.outputs)}
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidBatch(f"the data of event {index} ({event.type}) does not fit: {error}") from error
    raise InvalidBatch(f"event {index} has type {event.type!r}, must have {PREDICTION} or {SHADOW}")


def _text(raw: msgspec.Raw) -> str | None:
    """JSON as it came; null becomes the table's own null."""
    text = bytes(raw).decode()
    return None if text == "null" else text
