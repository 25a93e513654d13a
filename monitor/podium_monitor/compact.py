"""Blocks of rows, as pods send them, become the batch of CloudEvents that they stand for. Pure: bytes in, bytes out.

The pod has no time to write an event per row; this has. What comes out is read like any other batch, so nothing that a
block says is taken on trust.
"""

import math
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import orjson

from podium_crds.capture import PREDICTION, SHADOW
from podium_crds.rows import TEXT, Block, Column, Predictions, Shadows
from podium_monitor.credentials import Source
from podium_monitor.events import InvalidBatch, TooLarge

_read_blocks = msgspec.msgpack.Decoder(list[Block]).decode
_read_cells = msgspec.json.Decoder(list[msgspec.Raw]).decode
_json = msgspec.json.Encoder().encode

_NUMBERS = "biuf"
_LAST_SECOND = 253_370_764_800
"""The year 8999: what lies beyond is refused with the event, and time.gmtime need not know it."""

_HEAD = b'{"specversion":"1.0","datacontenttype":"application/json","source":%b,"type":%b,"time":"'
_PREDICTION = (
    b'%b%b","data":{%b,"request_id":%b,"latency_seconds":%.6f,"row":%d,"join_key":%b,"inputs":%b,"outputs":%b},"id":%b}'
)
_SHADOW = b'%b%b","data":{%b,"prediction_id":%b,"outputs":%b},"id":%b}'


def expanded(content: bytes, source: Source, max_events: int, max_bytes: int) -> bytes:
    """The batch in `application/cloudevents-batch+json`. Raises InvalidBatch or TooLarge."""
    try:
        blocks = _read_blocks(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidBatch(f"the body is not an array of blocks of rows: {error}") from error
    if (rows := sum(max(0, block.rows) for block in blocks)) > max_events:
        raise TooLarge(f"the batch has {rows} rows, at most {max_events} are taken at once")
    events: list[bytes] = []
    size = 0
    for number, block in enumerate(blocks):
        try:
            of_block = _predictions(block, source) if isinstance(block, Predictions) else _shadows(block, source)
        except (ValueError, TypeError, msgspec.DecodeError) as error:
            raise InvalidBatch(f"block {number} does not fit: {error}") from error
        size += sum(map(len, of_block))
        if size > max_bytes:
            raise TooLarge(f"the batch's events have more than {max_bytes} bytes, send smaller ones")
        events += of_block
    return b"[" + b",".join(events) + b"]"


def _predictions(block: Predictions, source: Source) -> list[bytes]:
    rows = block.rows
    requests = rows if block.start is None else 1
    _check_lengths(requests, block.times, block.latencies, block.request_ids)
    keys = block.request_ids if block.join_keys is None else block.join_keys
    if block.start is None:
        times, latencies, ids, places = block.times, block.latencies, block.request_ids, [0] * rows
        numbers = range(block.first, block.first + rows)
    else:
        times, latencies, ids = block.times * rows, block.latencies * rows, block.request_ids * rows
        places, numbers = list(range(block.start, block.start + rows)), range(block.first, block.first + 1)
        keys = ids if block.join_keys is None else keys
    _check_lengths(rows, keys)
    head, members = _head(source, PREDICTION), _members(block.members)
    stem = block.stem.decode("ascii")
    events = [f"{stem}-{number:x}" for number in numbers] * (rows if block.start is not None else 1)
    inputs, outputs = _objects(block.inputs, rows), _objects(block.outputs, rows)
    return [
        _PREDICTION
        % (
            head, _rfc3339(round(at * 1000)), members, _text(identity), latency, row, _text(key), asked, said,
            _text(f"{event}-{row}"),
        )
        for at, identity, latency, row, key, asked, said, event in zip(
            times, ids, latencies, places, keys, inputs, outputs, events, strict=True
        )
    ]  # fmt: skip


def _shadows(block: Shadows, source: Source) -> list[bytes]:
    head, members, at = _head(source, SHADOW), _members(block.members), _rfc3339(round(block.time * 1000))
    outputs = [b"null"] * block.rows if block.outputs is None else _objects(block.outputs, block.rows)
    event = f"{block.stem.decode('ascii')}-{block.request:x}"
    return [
        _SHADOW % (head, at, members, _text(f"{event}-{row}"), said, _text(f"{event}-{row}-{block.name}"))
        for row, said in zip(range(block.start, block.start + block.rows), outputs, strict=True)
    ]


def _check_lengths(wanted: int, *lists: list[Any]) -> None:
    for one in lists:
        if len(one) != wanted:
            raise ValueError(f"it has {len(one)} of something that it must have {wanted} of")


def _members(text: bytes) -> bytes:
    """Between the braces. Whether they are the right ones is seen when the event is read."""
    if text[:1] != b"{" or text[-1:] != b"}" or len(text) < 3:
        raise ValueError("its members are no JSON object")
    return text[1:-1]


def _objects(columns: list[Column], rows: int) -> list[bytes]:
    """JSON objects of all columns, one per row."""
    if not columns:
        return [b"{}"] * rows
    frame = b"{" + b",".join(_text(column.name).replace(b"%", b"%%") + b":%b" for column in columns) + b"}"
    cells = [_cells(column, rows) for column in columns]
    return [frame % row for row in zip(*cells, strict=True)]


def _cells(column: Column, rows: int) -> list[bytes]:
    """JSON of each row's cell: a scalar where there is one value per row, else a nested list. What is not finite is null."""
    if column.form == TEXT:
        cells = [bytes(cell) for cell in _read_cells(column.content)]
        _check_lengths(rows, cells)
        return cells
    return cell_texts(_array(column, rows))


def _array(column: Column, rows: int) -> npt.NDArray[Any]:
    dtype = np.dtype(column.form)
    if dtype.kind not in _NUMBERS or min(column.shape, default=0) < 0 or column.shape[:1] != [rows]:
        raise ValueError(f"column '{column.name[:80]}' has the form {column.form[:20]!r} and the shape {column.shape[:8]}")
    if math.prod(column.shape) * dtype.itemsize != len(column.content):
        raise ValueError(f"column '{column.name[:80]}' has {len(column.content)} bytes, which do not fit {column.shape[:8]}")
    array = np.frombuffer(column.content, dtype).reshape(column.shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def cell_texts(column: npt.NDArray[Any]) -> list[bytes]:
    """JSON of each row of an array of numbers or booleans, FP32 as the shortest decimals that read back as the same."""
    rows = column.shape[0]
    scalar = column.size == rows
    if column.dtype != np.float16 and column.size > 0 and (scalar or column.ndim == 2):
        text = orjson.dumps(column.reshape(-1) if scalar else column, option=orjson.OPT_SERIALIZE_NUMPY)
        if scalar:
            return text[1:-1].split(b",")
        return [b"[%b]" % values for values in text[2:-2].split(b"],[")]
    return [_json(cell) for cell in (column.reshape(-1) if scalar else column).tolist()]


@lru_cache(maxsize=64)
def _head(source: Source, kind: str) -> bytes:
    return _HEAD % (_text(source.event_source), _text(kind))


@lru_cache(maxsize=1024)
def _rfc3339(milliseconds: int) -> bytes:
    seconds, rest = divmod(milliseconds, 1000)
    if not 0 <= seconds < _LAST_SECOND:
        raise ValueError(f"it has the time {seconds} s, must be Unix seconds of our times")
    return b"%b.%03dZ" % (time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode(), rest)


_text: Callable[[str], bytes] = _json
