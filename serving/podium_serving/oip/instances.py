"""Rows as KServe's and TensorFlow Serving's first protocol has them: `instances` in, `predictions` out. Pure.

Source: the RESTful API of TensorFlow Serving, row format, which KServe calls the V1 protocol. A row is an object of named
values, or a list of them in the order of the model's inputs; where the model has one input, the row is its value.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import orjson

from podium_serving.exchange import Columns, InvalidRequest
from podium_serving.oip.messages import Parameters
from podium_serving.oip.rows import row_texts
from podium_serving.oip.tensors import TensorSchema, array_of, check_shape, flat_values, listed

_SAMPLE = '{"instances": [[1, 2, 3], ...]} or {"instances": [{"name": value, ...}, ...]}'


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    instances: list[Any]
    id: str = ""
    signature_name: str = ""
    """A model here has one signature, so any name will do."""
    parameters: Parameters | None = None


_read = msgspec.json.Decoder(_Request).decode
_json = msgspec.json.Encoder().encode


def read_instances(schemas: Mapping[str, TensorSchema], body: bytes) -> tuple[Columns, int, str]:
    """Columns, rows and the request's id, empty where it has none. Raises InvalidRequest."""
    try:
        message = _read(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is not a prediction request: {error}; it must be {_SAMPLE}") from error
    rows = message.instances
    if not rows:
        raise InvalidRequest(f"instances is empty: a request holds at least one row; it must be {_SAMPLE}")
    values = _values(schemas, rows)
    return {name: _column(schemas[name], column) for name, column in values.items()}, len(rows), message.id


def _values(schemas: Mapping[str, TensorSchema], rows: list[Any]) -> dict[str, list[Any]]:
    """Each input's values, row by row."""
    if type(rows[0]) is dict:
        return _by_name(schemas, rows)
    if len(schemas) == 1:
        return {next(iter(schemas)): rows}
    for index, row in enumerate(rows):
        if type(row) is not list or len(row) != len(schemas):
            got = f"a list of {len(row)}" if type(row) is list else type(row).__name__
            raise InvalidRequest(
                f"instances[{index}] is {got}; a row is a list of {len(schemas)} values, for {listed(schemas)}, "
                f"or all rows are objects with these names"
            )
    return dict(zip(schemas, map(list, zip(*rows, strict=True)), strict=True))


def _by_name(schemas: Mapping[str, TensorSchema], rows: list[Any]) -> dict[str, list[Any]]:
    wanted = schemas.keys()
    for index, row in enumerate(rows):
        if type(row) is not dict:
            raise InvalidRequest(f"instances[{index}] is no object, but instances[0] is one; all rows are alike")
        if row.keys() == wanted:
            continue
        for name in row:
            if name not in schemas:
                raise InvalidRequest(
                    f"instances[{index}]: the model has no input '{name[:128]}'; it takes {listed(schemas)}"
                )
        missing = next(schema for name, schema in schemas.items() if name not in row)
        raise InvalidRequest(f"instances[{index}]: {missing.said} is missing; the model takes {missing.takes}")
    return {name: [row[name] for row in rows] for name in schemas}


def _column(schema: TensorSchema, values: list[Any]) -> npt.NDArray[Any]:
    shape = [len(values), *(schema.tail if schema.fixed else _sizes(values[0], len(schema.tail)))]
    check_shape(schema, shape)
    return array_of(schema, flat_values(schema, shape, values)).reshape(shape)


def _sizes(value: Any, depth: int) -> list[int]:
    """Of a row, as the first has them: the others are held to it."""
    sizes = []
    for _ in range(depth):
        sizes.append(len(value) if type(value) is list else 1)
        value = value[0] if type(value) is list and value else None
    return sizes


def written_predictions(columns: Columns, names: list[str]) -> bytes:
    """`{"predictions": [...]}`: per row the value of the only output, or an object of all."""
    if len(names) == 1:
        rows = _row_jsons(columns[names[0]])
    else:
        keys = [_json(name) for name in names]
        parts = zip(*(_row_jsons(columns[name]) for name in names), strict=True)
        rows = [b"{" + b",".join([b"%b:%b" % pair for pair in zip(keys, row, strict=True)]) + b"}" for row in parts]
    return b'{"predictions":[' + b",".join(rows) + b"]}"


def _row_jsons(column: npt.NDArray[Any]) -> list[bytes]:
    if column.ndim == 1:
        return row_texts(column)
    if column.ndim == 2:
        return [b"[" + text + b"]" for text in row_texts(column)]
    if column.dtype.kind in "biuf" and column.dtype != np.float16:
        return [orjson.dumps(np.ascontiguousarray(row), option=orjson.OPT_SERIALIZE_NUMPY) for row in column]
    return [_json(row.tolist()) for row in column]
