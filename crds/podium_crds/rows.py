"""Captured rows as pods send them: blocks of rows that share what they have in common, their columns as arrays.

An event per row in JSON costs the pod four times what this does, and five times the bytes. A collector makes rows of
them (podium_monitor.compact); the format is in docs/architecture.md, "Capture". A body is one MessagePack array of blocks.
"""

import msgspec

CONTENT_TYPE = "application/vnd.podium.rows.v1+msgpack"

TEXT = "json"
"""The form of a column that is no array of numbers: its content is a JSON array of one cell per row."""

_ARRAY_32 = b"\xdd"
_MOST_BLOCKS = 2**32 - 1


class Column(msgspec.Struct, array_like=True):
    """One input or output."""

    name: str
    form: str
    """A numpy type string with its byte order ("<f4", "|b1"), or TEXT."""
    shape: list[int]
    """Rows first. Of TEXT only they count."""
    content: bytes
    """Row-major."""


class Predictions(msgspec.Struct, array_like=True, tag="predictions"):
    """Rows of answered requests: either one row of each of several requests, or rows of one request."""

    stem: bytes
    """What the event ids of one process begin with: row r of request n has the id `<stem>-<n in hexadecimal>-<r>`."""
    first: int
    """The number of the first request; the others follow it without a gap."""
    start: int | None
    """The first row's place in the one request; None: each row is row 0 of its own request."""
    rows: int
    members: bytes
    """JSON object of the members of `data` that all rows share."""
    times: list[float]
    """Unix seconds, per request."""
    latencies: list[float]
    """Seconds, per request."""
    request_ids: list[str]
    """Per request."""
    join_keys: list[str] | None
    """Per row. None: the request's id."""
    inputs: list[Column]
    outputs: list[Column]
    unit_keys: list[str | None] | None = None
    """Per row, the sticky key (a hash, if its field is hashed). None: it is the join key, or there is none."""


class Shadows(msgspec.Struct, array_like=True, tag="shadows"):
    """What a shadow made of rows of one request. A row's event id is that of its prediction, a dash and `name`."""

    stem: bytes
    request: int
    start: int
    rows: int
    name: str
    members: bytes
    time: float
    outputs: list[Column] | None
    """None: there are none; `members` say why."""


Block = Predictions | Shadows


def body_of(blocks: list[bytes]) -> bytes:
    """A whole body of blocks that are encoded already."""
    if len(blocks) > _MOST_BLOCKS:
        raise ValueError(f"{len(blocks)} blocks are more than one body holds, at most {_MOST_BLOCKS}")
    return b"".join([_ARRAY_32, len(blocks).to_bytes(4, "big"), *blocks])
