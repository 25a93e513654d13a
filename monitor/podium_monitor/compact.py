"""Blocks of rows, as pods send them, become rows of the lake. Pure: bytes in, rows or a refusal out.

The pod has no time to write an event per row; this has. What a block says is not taken on trust: whatever an event would be
refused for (podium_monitor.events), a block is refused for too.
"""

import itertools
import math
import operator
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt
import orjson

from podium_crds.rows import TEXT, Block, Column, Predictions, Shadows
from podium_monitor.credentials import Source
from podium_monitor.events import MAX_ID, Clock, InvalidBatch, TooLarge, filed, json_text
from podium_monitor.lake.tables import Rows

_read_blocks = msgspec.msgpack.Decoder(list[Block]).decode
_read_cells = msgspec.json.Decoder(list[msgspec.Raw]).decode
_json = msgspec.json.Encoder().encode

_NUMBERS = re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248])")
"""Forms of columns. numpy itself would read far more: structures, dates, objects, Python expressions."""
_MOST_DIMENSIONS = 32
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
    size = sum(map(_least_bytes, blocks))
    predictions: list[_Columns] = []
    shadows: list[_Columns] = []
    for number, block in enumerate(blocks):
        if size > max_bytes:
            raise TooLarge(f"the batch's rows have more than {max_bytes} bytes, send smaller ones")
        try:
            of_block = _predictions(block) if isinstance(block, Predictions) else _shadows(block)
        except (ValueError, TypeError, OverflowError, RecursionError, msgspec.DecodeError) as error:
            raise InvalidBatch(f"block {number} does not fit: {error}") from error
        size += sum(len(text) for name in ("inputs", "outputs") for text in of_block.get(name, ()) if text)
        (predictions if isinstance(block, Predictions) else shadows).append(of_block)
    if size > max_bytes:
        raise TooLarge(f"the batch's rows have more than {max_bytes} bytes, send smaller ones")
    return [
        *filed("predictions", source, clock, _joined(predictions)),
        *filed("shadows", source, clock, _joined(shadows)),
    ]


def _least_bytes(block: Block) -> int:
    """Of its rows' texts, without the values of columns: what is said once for many rows may become very long."""
    columns = [*(block.inputs if isinstance(block, Predictions) else ()), *(block.outputs or ())]
    size = len(block.members) + len(block.stem) + sum(len(column.name) + 3 + _brackets(column) for column in columns)
    if isinstance(block, Shadows):
        size += len(block.name)
    elif block.start is not None:
        size += sum(map(len, block.request_ids))
    return max(0, block.rows) * size


def _brackets(column: Column) -> int:
    """Bytes of a row's cell that no content pays for: an array of nothing may have lists without end, and so has one of many
    dimensions of one."""
    if column.form == TEXT or len(column.shape) > _MOST_DIMENSIONS:  # the latter is refused for that
        return 0
    lists = itertools.accumulate((max(0, length) for length in column.shape[1:-1]), operator.mul)
    return 2 * sum(lists)


def _joined(parts: Sequence[_Columns]) -> _Columns:
    if len(parts) == 1:
        return parts[0]
    return {name: [value for part in parts for value in part[name]] for name in (parts[0] if parts else ())}


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
        "inputs": _objects(block.inputs, rows),
        "outputs": _objects(block.outputs, rows),
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
        "outputs": [None] * rows if block.outputs is None else _objects(block.outputs, rows),
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


def _objects(columns: list[Column], rows: int) -> list[str]:
    """JSON objects of all columns, one per row."""
    if not columns:
        return ["{}"] * rows
    frame = "{" + ",".join(_json(column.name).decode().replace("%", "%%") + ":%s" for column in columns) + "}"
    cells = [_cells(column, rows) for column in columns]
    return [frame % row for row in zip(*cells, strict=True)]


def _cells(column: Column, rows: int) -> list[str]:
    """JSON of each row's cell: a scalar where there is one value per row, else a nested list. What is not finite is null."""
    if column.form == TEXT:
        cells = [bytes(cell).decode() for cell in _read_cells(column.content)]
        _check_lengths(rows, cells)
        return cells
    return _cell_texts(_array(column, rows))


def _array(column: Column, rows: int) -> npt.NDArray[Any]:
    shape = column.shape
    known = _NUMBERS.fullmatch(column.form) and len(shape) <= _MOST_DIMENSIONS
    if not known or shape[:1] != [rows] or (len(shape) > 1 and min(shape) < 0):
        raise ValueError(f"column '{column.name[:80]}' has the form {column.form[:20]!r} and the shape {shape[:8]}")
    dtype = _dtype(column.form)
    if math.prod(shape) * dtype.itemsize != len(column.content):
        raise ValueError(f"column '{column.name[:80]}' has {len(column.content)} bytes, which do not fit {shape[:8]}")
    array = np.frombuffer(column.content, dtype)
    if not dtype.isnative:
        array = array.astype(dtype.newbyteorder("="))
    return array if len(shape) == 1 else array.reshape(shape)


@lru_cache(maxsize=64)
def _dtype(form: str) -> np.dtype[Any]:
    return np.dtype(form)


def _cell_texts(column: npt.NDArray[Any]) -> list[str]:
    """JSON of each row of an array of numbers or booleans, FP32 as the shortest decimals that read back as the same.

    Never by way of Python's lists: of an array of many dimensions they take a thousand times its bytes."""
    rows = column.shape[0]
    scalar = column.size == rows
    if column.dtype == np.float16:
        column = column.astype(np.float64)
    if column.size > 0 and (scalar or column.ndim == 2):
        text = orjson.dumps(column.reshape(-1) if scalar else column, option=orjson.OPT_SERIALIZE_NUMPY).decode()
        if scalar:
            return text[1:-1].split(",")
        return [f"[{values}]" for values in text[2:-2].split("],[")]
    return [orjson.dumps(cell, option=orjson.OPT_SERIALIZE_NUMPY).decode() for cell in column]


@lru_cache(maxsize=4096)
def _moment(milliseconds: int) -> datetime:
    if not 0 <= milliseconds < _LAST_SECOND * 1000:
        raise ValueError(f"it has the time {milliseconds / 1000} s, must be Unix seconds of our times")
    return _EPOCH + timedelta(milliseconds=milliseconds)
