"""Labels as JSON (one object, or a list of them) and as JSON Lines. Pure."""

import msgspec

from podium_monitor.events import TooLarge
from podium_monitor.labels.given import MAX_ROWS, Given, InvalidLabels, check_values, refusal_of

_read_one = msgspec.json.Decoder(Given).decode
_read_list = msgspec.json.Decoder(list[Given]).decode
_read_anything = msgspec.json.Decoder().decode
_read_each = msgspec.json.Decoder(list[msgspec.Raw]).decode
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_MARK = b"\xef\xbb\xbf"
"""Of UTF-8: editors and shells of Windows begin files with it."""
_GZIP = b"\x1f\x8b"


def of_json(content: bytes) -> list[Given]:
    """Raises InvalidLabels, TooLarge."""
    content = content.removeprefix(_MARK)
    check_values(content.count(b":"))  # each value has one before it
    _check_text(content)
    if not content.strip():
        raise InvalidLabels("the body is empty, must be a label or a list of labels")
    try:
        if content.lstrip()[:1] != b"[":
            return [_read_one(content)]
        given = _read_list(content)
    except _UNREADABLE as error:
        raise _refusal(error, content) from error
    _check_number(len(given))
    return given


def of_lines(content: bytes) -> list[Given]:
    """A row is a line; empty ones are passed over and counted. Raises InvalidLabels, TooLarge."""
    content = content.removeprefix(_MARK)
    check_values(content.count(b":"))
    _check_text(content)
    given: list[Given] = []
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            given.append(_read_one(line))
        except _UNREADABLE as error:
            raise _refusal(error, line, number, len(lines)) from error
        _check_number(len(given))
    return given


def _check_text(content: bytes) -> None:
    if content.startswith(_GZIP):
        raise InvalidLabels("the body is gzip, which Content-Encoding: gzip must say")
    if b"\0" in content[:4]:
        raise InvalidLabels("the body is UTF-16 or UTF-32, must be UTF-8")


def _refusal(error: Exception, content: bytes, row: int | None = None, rows: int = 1) -> InvalidLabels:
    """`content`: the body, or the line of `row`."""
    if isinstance(error, UnicodeDecodeError):
        return InvalidLabels("the body is not UTF-8", row, rows)
    if row is None and "trailing characters" in str(error):
        return InvalidLabels(f"{error}; several labels are a list, or lines with Content-Type application/x-ndjson")

    def label_at(place: int | None) -> object:
        try:
            return _read_anything(content if row is not None or place is None else _read_each(content)[place - 1])
        except _UNREADABLE:
            return None

    return refusal_of(error, row, rows, label_at)


def _check_number(rows: int) -> None:
    if rows > MAX_ROWS:
        raise TooLarge(f"there are more than {MAX_ROWS} labels, send them in several requests")
