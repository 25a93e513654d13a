"""Labels as JSON (one object, or a list of them) and as JSON Lines. Pure."""

import msgspec

from podium_monitor.events import TooLarge
from podium_monitor.labels.given import MAX_ROWS, Given, check_values, refusal_of

_read_one = msgspec.json.Decoder(Given).decode
_read_list = msgspec.json.Decoder(list[Given]).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def of_json(content: bytes) -> list[Given]:
    """Raises InvalidLabels, TooLarge."""
    check_values(content.count(b":"))  # each value has one before it
    try:
        if content.lstrip()[:1] != b"[":
            return [_read_one(content)]
        given = _read_list(content)
    except _UNREADABLE as error:
        raise refusal_of(error) from error
    _check_number(len(given))
    return given


def of_lines(content: bytes) -> list[Given]:
    """A row is a line; empty ones are passed over and counted. Raises InvalidLabels, TooLarge."""
    check_values(content.count(b":"))
    given: list[Given] = []
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            given.append(_read_one(line))
        except _UNREADABLE as error:
            raise refusal_of(error, number, len(lines)) from error
        _check_number(len(given))
    return given


def _check_number(rows: int) -> None:
    if rows > MAX_ROWS:
        raise TooLarge(f"there are more than {MAX_ROWS} labels, send them in several requests")
