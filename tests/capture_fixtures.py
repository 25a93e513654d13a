"""What a collector reads out of the blocks of rows that pods send, as the data of events."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from podium_crds.rows import TEXT, Block, Column, Predictions, Shadows, body_of
from podium_serving.capture.events import Captured


def events_in(body: bytes) -> list[dict[str, Any]]:
    """A row's id, time (Unix seconds) and data."""
    blocks = msgspec.msgpack.decode(body, type=list[Block])
    return [
        event for block in blocks for event in (_predictions(block) if isinstance(block, Predictions) else _shadows(block))
    ]


def events_of(captured: Captured, start: int = 0, end: int | None = None) -> list[dict[str, Any]]:
    return events_in(body_of([captured.block(start, captured.rows if end is None else end)]))


def _predictions(block: Predictions) -> Iterator[dict[str, Any]]:
    inputs, outputs = _objects(block.inputs, block.rows), _objects(block.outputs, block.rows)
    for place in range(block.rows):
        alone = block.start is None
        request, row = (place, 0) if alone else (0, place + (block.start or 0))
        identity = block.request_ids[request]
        data = json.loads(block.members) | {
            "request_id": identity,
            "row": row,
            "join_key": identity if block.join_keys is None else block.join_keys[place],
            "latency_seconds": block.latencies[request],
            "inputs": inputs[place],
            "outputs": outputs[place],
        }
        if block.unit_keys is not None:
            data["unit_key"] = block.unit_keys[place]
        event = f"{block.stem.decode()}-{block.first + request:x}-{row}"
        yield {"id": event, "time": block.times[request], "data": data}


def _shadows(block: Shadows) -> Iterator[dict[str, Any]]:
    outputs = [None] * block.rows if block.outputs is None else _objects(block.outputs, block.rows)
    for place in range(block.rows):
        prediction = f"{block.stem.decode()}-{block.request:x}-{block.start + place}"
        data = json.loads(block.members) | {"prediction_id": prediction, "outputs": outputs[place]}
        yield {"id": f"{prediction}-{block.name}", "time": block.time, "data": data}


def _objects(columns: list[Column], rows: int) -> list[dict[str, Any]]:
    cells = {column.name: _cells(column) for column in columns}
    assert all(len(column) == rows for column in cells.values())
    return [{name: column[row] for name, column in cells.items()} for row in range(rows)]


def _cells(column: Column) -> list[Any]:
    if column.form == TEXT:
        texts: list[Any] = json.loads(column.content)
        return texts
    array = np.frombuffer(column.content, column.form).reshape(column.shape)
    cells: list[Any] = (array.reshape(-1) if array.size == array.shape[0] else array).tolist()
    return cells
