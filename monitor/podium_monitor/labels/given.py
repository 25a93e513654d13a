"""A label as it was sent, and how its request is refused. Pure."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from podium_monitor.events import InvalidBatch, TooLarge

Scalar = int | float | str | bool | None
MAX_ROWS = 100_000
"""Of one request: each costs some 700 bytes of memory until it is durable."""
MAX_VALUES = 1_500_000
"""Of one request: keys, labels, times, outcomes. Each takes up to 100 bytes of memory while it is read."""

_PLACE = re.compile(r" - at `\$(?:\[(?P<index>\d+)\])?(?P<field>[^`]*)`$")
_OF_AN_OUTCOME = "outcomes[...]"
"""As msgspec says which: not at all."""
_TIME = "must be RFC 3339 with an offset, as in 2026-11-21T13:05:00Z"
_OBJECT = 'a label is an object, as in {"join_key": "c-1042", "label": "yes"}'


class InvalidLabels(InvalidBatch):
    """Nothing of the request was taken; sending it again is useless. The text names the row, the first being 1."""

    def __init__(self, text: str, row: int | None = None, rows: int = 1) -> None:
        """`rows`: how many the request has, as far as it could be read."""
        super().__init__(f"row {row}: {text}" if row is not None else text)
        self.row = row
        self.rows = rows


class Given(msgspec.Struct, forbid_unknown_fields=True):
    """One row of a request. Only its shape is known to be right."""

    join_key: str | int | float
    label: Scalar
    """null: it has none (any more)."""
    outcomes: dict[str, Scalar] = {}
    time: datetime | None = None
    id: str | int | None = None
    namespace: str | None = None
    deployment: str | None = None


def check_values(number: int) -> None:
    """Before they are read. Raises TooLarge."""
    if number > MAX_VALUES:
        raise TooLarge(f"there are about {number} values, send at most {MAX_VALUES} at once")


def refusal_of(
    error: Exception, row: int | None = None, rows: int = 1, label_at: Callable[[int | None], object] = lambda _: None
) -> InvalidLabels:
    """What msgspec found, said of a row, and what would be right. `row` is 1 for the first, None where the error tells it.

    `label_at`: what was to be read as the label of a row, for it tells which outcome is wrong.
    """
    text, field = str(error), ""
    if (place := _PLACE.search(text)) is not None:
        text, field = text[: place.start()], place["field"].lstrip(".")
        if row is None and place["index"] is not None:
            row = int(place["index"]) + 1
    if field == _OF_AN_OUTCOME:
        field = _wrong_outcome(label_at(row))
    return InvalidLabels((f"{field}: {text}" if field else text) + _advice(text, field), row, rows)


def _advice(text: str, field: str) -> str:
    if field == "time":
        return f"; it {_TIME}"
    if "unknown field" in text:
        return f"; fields are {', '.join(Given.__struct_fields__)}"
    return f"; {_OBJECT}" if not field and ("Expected `object`" in text or "missing required" in text) else ""


def _wrong_outcome(label: object) -> str:
    outcomes = label.get("outcomes") if isinstance(label, Mapping) else None
    for name, value in outcomes.items() if isinstance(outcomes, Mapping) else ():
        try:
            msgspec.convert(value, Scalar)
        except msgspec.ValidationError:
            return f"outcome {name!r:.80}"
    return "an outcome"


def converted(row: dict[str, Any], number: int, rows: int) -> Given:
    """The row of that number, of so many. Raises InvalidLabels."""
    try:
        return msgspec.convert(row, Given)
    except msgspec.ValidationError as error:
        raise refusal_of(error, number, rows, lambda _: row) from error
