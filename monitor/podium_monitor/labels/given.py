"""A label as it was sent, and how its request is refused. Pure."""

import re
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


def refusal_of(error: Exception, row: int | None = None, rows: int = 1) -> InvalidLabels:
    """What msgspec found, said of a row: `row` is 1 for the first, None where the error itself tells it."""
    text = str(error)
    if (place := _PLACE.search(text)) is not None:
        text = text[: place.start()]
        field = place["field"].lstrip(".")
        text = f"{field}: {text}" if field else text
        if row is None and place["index"] is not None:
            row = int(place["index"]) + 1
    return InvalidLabels(text, row, rows)


def converted(row: dict[str, Any], number: int, rows: int) -> Given:
    """The row of that number, of so many. Raises InvalidLabels."""
    try:
        return msgspec.convert(row, Given)
    except msgspec.ValidationError as error:
        raise refusal_of(error, number, rows) from error
