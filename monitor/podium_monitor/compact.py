"""Blocks of rows, as pods send them, become rows of the lake. Pure: bytes in, rows or a refusal out.

The pod has no time to write an event per row; this has. What a block says is not taken on trust: whatever an event would be
refused for (podium_monitor.events), a block is refused for too.
"""

import math
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any

import msgspec

from podium_crds.rows import Block, Column, Predictions, Shadows
from podium_monitor.cells import Cells, brackets_of, cells_of, values_of_cells
from podium_monitor.credentials import Source
from podium_monitor.events import MAX_ID, Clock, InvalidBatch, TooLarge, filed, json_text
from podium_monitor.lake.tables import Rows
from podium_monitor.lake.values import TooWide, Values

_read_blocks = msgspec.msgpack.Decoder(list[Block]).decode
_LAST_SECOND = 253_370_764_800
"""The year 8999: what lies beyond is refused, as an event's time is."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_REQUESTS = 2**63
_MOST_ROWS = 2**31

_Columns = dict[str, list[Any]]


class _Members(msgspec.Struct):
    """What all rows of a block of predictions share."""

    arm_assigned: str
    arm_answered: str
    fallback: str
    epoch: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    version: str
    digest: str
    sampled: bool = True
    join_key_hashed: bool = False
    split: msgspec.Raw = msgspec.Raw(b"null")


class _ShadowMembers(msgspec.Struct):
    version: str
    digest: str
    error: str | None = None


_read_members = msgspec.json.Decoder(_Members).decode
_read_shadow_members = msgspec.json.Decoder(_ShadowMembers).decode


def rows_of_blocks(content: bytes, source: Source, clock: Clock, max_rows: int, max_bytes: int) -> list[Rows]:
    """The batch's rows, by place. Raises InvalidBatch or TooLarge."""
    try:
        blocks = _read_blocks(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidBatch(f"the body is not an array of blocks of rows: {error}") from error
    if (rows := sum(max(1, block.rows) for block in blocks)) > max_rows:  # a block without rows takes time, too
        raise TooLarge(f"the batch has {rows} rows, at most {max_rows} are taken at once")
    if sum(map(_repeated_bytes, blocks)) > max_bytes:
        raise TooLarge(f"the batch's rows have more than {max_bytes} bytes, send smaller ones")
    predictions, shadows = _Batch(), _Batch()
    for number, block in enumerate(blocks):
        try:
            if isinstance(block, Predictions):
                predictions.add(_predictions(block), input=block.inputs, output=block.outputs)
            else:
                shadows.add(_shadows(block), output=block.outputs or [])
        except (ValueError, TypeError, OverflowError, RecursionError, msgspec.DecodeError) as error:
            raise InvalidBatch(f"block {number} does not fit: {error}") from error
    try:
        return [
            *filed("predictions", source, clock, predictions.columns, predictions.values()),
            *filed("shadows", source, clock, shadows.columns, shadows.values()),
        ]
    except TooWide as error:
        raise TooLarge(f"the batch is too wide: {error}") from error


class _Batch:
    """Rows of one table, as they are gathered from blocks."""

    def __init__(self) -> None:
        self.columns: _Columns = {}
        self._cells: list[Cells] = []
        self._rows = 0

    def add(self, columns: _Columns, **sides: list[Column]) -> None:
        rows = len(columns["event_id"])
        for side, given in sides.items():
            self._cells += cells_of("input" if side == "input" else "output", given, self._rows, rows)
        for name, values in columns.items():
            self.columns.setdefault(name, []).extend(values)
        self._rows += rows

    def values(self) -> Values:
        """Raises TooWide."""
        return values_of_cells(self._cells, self._rows)


def _repeated_bytes(block: Block) -> int:
    """Of texts that are said once for many rows, or not at all: they may become very long."""
    columns = [*(block.inputs if isinstance(block, Predictions) else ()), *(block.outputs or ())]
    size = len(block.members) + len(block.stem) + sum(map(brackets_of, columns))
    if isinstance(block, Shadows):
        size += len(block.name)
    elif block.start is not None:
        size += sum(map(len, block.request_ids))
    return max(0, block.rows) * size


def _predictions(block: Predictions) -> _Columns:
    rows = block.rows
    requests = rows if block.start is None else 1
    _check_lengths(requests, block.times, block.latencies, block.request_ids)
    _check_numbers(block.first, requests, _MOST_REQUESTS)
    keys = block.request_ids if block.join_keys is None else block.join_keys
    stem = block.stem.decode("ascii")
    if block.start is None:
        times, latencies, ids, places = block.times, block.latencies, block.request_ids, [0] * rows
        events = [f"{stem}-{number:x}-0" for number in range(block.first, block.first + rows)]
    else:
        _check_numbers(block.start, rows, _MOST_ROWS)
        times, latencies, ids = block.times * rows, block.latencies * rows, block.request_ids * rows
        places = list(range(block.start, block.start + rows))
        events = [f"{stem}-{block.first:x}-{row}" for row in places]
        keys = ids if block.join_keys is None else keys
    units = [None] * rows if block.unit_keys is None else block.unit_keys
    _check_lengths(rows, keys, units)
    if not all(map(math.isfinite, latencies)):
        raise ValueError("it has a latency that is not finite")
    return {
        **_shared(events, times),
        "request_id": ids,
        "row": places,
        "join_key": keys,
        "unit_key": units,
        **_repeated(_read_members(block.members), rows),
        "latency_seconds": [round(latency, 6) for latency in latencies],
    }


def _shadows(block: Shadows) -> _Columns:
    rows = block.rows
    _check_numbers(block.start, rows, _MOST_ROWS)
    stem = f"{block.stem.decode('ascii')}-{block.request:x}"
    predictions = [f"{stem}-{row}" for row in range(block.start, block.start + rows)]
    return {
        **_shared([f"{prediction}-{block.name}" for prediction in predictions], [block.time] * rows),
        "prediction_id": predictions,
        **_repeated(_read_shadow_members(block.members), rows),
    }


def _shared(events: list[str], times: list[float]) -> _Columns:
    longest = max(map(len, events), default=0)
    if longest > MAX_ID:
        raise ValueError(f"it has an event id of {longest} characters, must have at most {MAX_ID}")
    return {"event_id": events, "time": [_moment(round(at * 1000)) for at in times]}


def _repeated(members: msgspec.Struct, rows: int) -> _Columns:
    values = msgspec.structs.asdict(members)
    return {name: [json_text(value) if isinstance(value, msgspec.Raw) else value] * rows for name, value in values.items()}


def _check_numbers(first: int, count: int, most: int) -> None:
    if first < 0 or count < 0 or first + count > most:
        raise ValueError(f"it counts {count} from {first}, must count from 0 or more and stay below {most}")


def _check_lengths(wanted: int, *lists: list[Any]) -> None:
    for one in lists:
        if len(one) != wanted:
            raise ValueError(f"it has {len(one)} of something that it must have {wanted} of")


@lru_cache(maxsize=4096)
def _moment(milliseconds: int) -> datetime:
    if not 0 <= milliseconds < _LAST_SECOND * 1000:
        raise ValueError(f"it has the time {milliseconds / 1000} s, must be Unix seconds of our times")
    return _EPOCH + timedelta(milliseconds=milliseconds)
