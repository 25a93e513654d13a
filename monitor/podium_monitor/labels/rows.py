"""Labels become rows of the lake. Pure: what was given in, rows or a refusal out.

Filed under the hour of their receipt, months after the predictions that they are of: so an evaluator finds what is new
without reading what is old.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import msgspec

from podium_monitor.credentials import Source
from podium_monitor.labels.given import Given, InvalidLabels, Scalar
from podium_monitor.lake.tables import Place, Rows, hour_of

_MAX_KEY = 1024
_MAX_TEXT = 1024
_MAX_ID = 128
_MAX_OUTCOMES = 50
_MAX_NAME = 128
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_AHEAD = timedelta(hours=1)
"""A clock may be off so far. A label of next year would be the newest until then."""
_EXACT = 2**53
_OF_EACH = ("event_id", "time", "received_at", "join_key", "label", "outcomes")

_json = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, slots=True)
class Posted:
    """What holds for all rows of a request."""

    source: Source
    labelled_by: str
    received_at: datetime
    stored_key: Callable[[str], str]
    """The join key as predictions have it: itself, or its hash."""


def rows_of_labels(given: Sequence[Given], posted: Posted) -> Rows:
    """One place, so one file: all or nothing. Raises InvalidLabels naming the row.

    A later row is received a microsecond later: of two labels of one key and time, the later one is the newer.
    """
    columns: dict[str, list[Any]] = {name: [] for name in _OF_EACH}
    for index, one in enumerate(given):
        received_at = posted.received_at + timedelta(microseconds=index)
        try:
            _check(one, posted)
            values = _values(one, received_at, posted)
        except ValueError as error:
            raise InvalidLabels(str(error), index + 1, len(given)) from error
        for name, column in columns.items():
            column.append(values[name])
    columns["deployment_uid"] = [posted.source.uid] * len(given)
    columns["labelled_by"] = [posted.labelled_by] * len(given)
    return Rows(Place("labels", posted.source.namespace, posted.source.name, hour_of(posted.received_at)), columns)


def _values(one: Given, received_at: datetime, posted: Posted) -> dict[str, Any]:
    key = posted.stored_key(_key(one.join_key))
    label = _json(_plain("label", one.label)).decode()
    outcomes = {name: _plain(f"outcome {name!r}", value) for name, value in one.outcomes.items() if value is not None}
    said = _json(outcomes).decode()
    return {
        "event_id": _event_id(one, key, label, said, received_at),
        "time": one.time or received_at,
        "received_at": received_at,
        "join_key": key,
        "label": label,
        "outcomes": said,
    }


def _event_id(one: Given, key: str, label: str, outcomes: str, received_at: datetime) -> str:
    """Equal for what is said again, and different for whatever differs: an id that is used for a correction too loses
    nothing. Without time and id, the receipt is what tells two posts apart: "yes", "no", "yes" are three labels."""
    given = "" if one.id is None else str(one.id)
    at = one.time.astimezone(UTC) if one.time else None if given else received_at
    digest = blake2b(_json([given, key, label, outcomes, at]), digest_size=16).hexdigest()
    return f"{given}/{digest}" if given else digest


def _check(one: Given, posted: Posted) -> None:
    source = posted.source
    for name, said, has in (
        ("namespace", one.namespace, source.namespace),
        ("deployment", one.deployment, source.name),
    ):
        if said is not None and said != has:
            raise ValueError(f"{name} is {said!r}, the token is of {source.namespace}/{source.name}")
    if one.id is not None and not 0 < len(str(one.id)) <= _MAX_ID:
        raise ValueError(f"id has {len(str(one.id))} characters, must have 1 to {_MAX_ID}")
    if len(one.outcomes) > _MAX_OUTCOMES:
        raise ValueError(f"there are {len(one.outcomes)} outcomes, may be {_MAX_OUTCOMES}")
    for name in one.outcomes:
        if not 0 < len(name) <= _MAX_NAME:
            raise ValueError(f"an outcome's name has {len(name)} characters, must have 1 to {_MAX_NAME}")
    if one.time is not None:
        _check_time(one.time, posted.received_at)


def _check_time(time: datetime, received_at: datetime) -> None:
    if time.tzinfo is None:
        raise ValueError(f"time is {time.isoformat()}, must have an offset, as in 2026-11-21T13:05:00Z")
    if not _EARLIEST <= time <= received_at + _AHEAD:
        raise ValueError(f"time is {time.isoformat()}, must be between 1970 and now: when the truth was seen")


def _key(given: str | int | float) -> str:
    """As a sticky key is compared: 7, 7.0 and "7" are one key."""
    if isinstance(given, float):
        if not given.is_integer():
            raise ValueError(f"join_key is {given}, must be a text or a whole number")
        if abs(given) >= _EXACT:  # several whole numbers are this one
            raise ValueError(f"join_key is {given}, which as a floating-point number is not exact; send it as a text")
        given = int(given)
    text = str(given)
    if not 0 < len(text) <= _MAX_KEY:
        raise ValueError(f"join_key has {len(text)} characters, must have 1 to {_MAX_KEY}")
    return text


def _plain(what: str, value: Scalar) -> Scalar:
    """1.0 and 1 are one number, whatever wrote them."""
    if isinstance(value, str) and len(value) > _MAX_TEXT:
        raise ValueError(f"{what} has {len(value)} characters, may have {_MAX_TEXT}")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{what} is {value}, must be finite; leave it out or send null where there is none")
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**64:
        raise ValueError(f"{what} is a whole number of more than 64 bits; send it as a text")
    return value
