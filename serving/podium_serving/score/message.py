"""The body of `/score` and `/explain`: one row, a list of rows, or rows with options. Pure.

No column's value is ever an object, so an object whose `rows` is a list of objects is the third, whatever the model calls
its columns.
"""

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import msgspec

from podium_serving.exchange import InvalidRequest
from podium_serving.explain.quantity import Options

Row = dict[str, Any]

_EXPECTED = 'a JSON object of columns, a list of such objects, or {"rows": [...], "id": "...", "explain": true}'


@dataclass(frozen=True, slots=True)
class Message:
    rows: list[Row]
    single: bool
    """One row was sent by itself: one answer goes back by itself."""
    id: str = ""
    explain: Options | None = None


class _WithOptions(msgspec.Struct, forbid_unknown_fields=True):
    rows: list[dict[str, Any]]
    id: str = ""
    explain: bool | Options = False


def read_message(body: bytes, columns: Container[str]) -> Message:
    """`columns` are the model's. Raises InvalidRequest."""
    if not body:
        raise InvalidRequest(f"the body is empty; it must be {_EXPECTED}")
    try:
        sent = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        hint = " (NaN is not JSON: send null for a missing value)" if b"NaN" in body else ""
        raise InvalidRequest(f"the body is not JSON: {error}{hint}; it must be {_EXPECTED}") from error
    if isinstance(sent, dict):
        if "rows" in sent and ("rows" not in columns or _are_rows(sent["rows"])):
            return _with_options(sent)
        return Message([sent], single=True)
    if isinstance(sent, list) and sent and all(type(row) is dict for row in sent):
        return Message(sent, single=False)
    if sent == []:
        raise InvalidRequest("the list of rows is empty; a request holds at least one row")
    raise InvalidRequest(f"the body must be {_EXPECTED}")


def _are_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and type(value[0]) is dict


def _with_options(sent: dict[str, Any]) -> Message:
    try:
        read = msgspec.convert(sent, _WithOptions)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{error}; beside `rows`, a list of objects, there may be `id` and `explain`") from error
    if not read.rows:
        raise InvalidRequest("`rows` is empty; a request holds at least one row")
    explain = read.explain
    options = explain.checked() if isinstance(explain, Options) else Options() if explain else None
    return Message(read.rows, single=False, id=read.id, explain=options)
