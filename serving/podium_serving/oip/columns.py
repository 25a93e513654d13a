"""The tensors of one message as columns, whichever way each was sent: as JSON values or as raw bytes. On the hot path.

There is a quick road first: all tensors of one datatype become one array in one call. Only when something does not
fit are they looked at one by one, to name the culprit; both roads accept the same messages.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
from msgspec import UNSET

from podium_serving.exchange import Columns, InvalidRequest
from podium_serving.oip.binary import Layout, RawTensor, raw_tensor
from podium_serving.oip.messages import Parameters, Tensor
from podium_serving.oip.tensors import TensorSchema, array_of, check_names, check_shape, flat_values, packed

Schemas = Mapping[str, TensorSchema]
_Group = list[tuple[TensorSchema, list[int], list[Any]]]


def json_columns(schemas: Schemas, tensors: Sequence[Tensor], direction: str, *, typed: bool = False) -> tuple[Columns, int]:
    """Arrays by name, and how many rows they have. Raises InvalidRequest.

    `typed`: all values are of accepted types, or lists of them. Then no value is looked at, and errors are not worth a
    word: InvalidRequest or OverflowError only says that the general road has to be taken.
    """
    check_names(schemas, tensors, direction)
    groups: dict[str, _Group] = {}
    rows = -1
    for tensor in tensors:
        schema = schemas[tensor.name]
        shape, values = tensor.shape, tensor.data
        if tensor.datatype != schema.datatype:
            raise _wrong_datatype(schema, tensor)
        if type(values) is not list:
            raise _without_values(schema, tensor.parameters)
        if shape != schema.one_row or len(values) != schema.row_values or type(values[0]) is list:
            check_shape(schema, shape)
            values = flat_values(schema, shape, values)
        if rows != shape[0]:
            if rows >= 0:
                raise _rows_differ(schema, shape, direction, tensors[0].name, rows)
            rows = shape[0]
        group = groups.get(schema.datatype)
        if group is None:
            group = groups[schema.datatype] = []
        group.append((schema, shape, values))
    columns: Columns = {}
    for group in groups.values():
        _fill(columns, group, typed)
    return columns, rows


def binary_layout(schemas: Schemas, tensors: Sequence[Tensor], direction: str) -> Layout:
    """Of tensors whose bytes follow the JSON, in this order. Raises InvalidRequest."""
    found: list[RawTensor] = []
    offset = 0
    for tensor in tensors:
        schema = schemas[tensor.name]
        if tensor.datatype != schema.datatype:
            raise _wrong_datatype(schema, tensor)
        placed = raw_tensor(schema, tensor.shape, _binary_size(schema, tensor.parameters), offset)
        if found and placed.shape[0] != found[0].shape[0]:
            raise _rows_differ(schema, tensor.shape, direction, found[0].schema.name, found[0].shape[0])
        found.append(placed)
        offset += placed.size
    return Layout.of(found)


def mixed_columns(
    schemas: Schemas, tensors: Sequence[Tensor], direction: str, body: bytes, start: int, *, strict: bool
) -> tuple[Columns, int]:
    """Some tensors as values, at least one as bytes behind the JSON, which ends at `start`."""
    check_names(schemas, tensors, direction)
    raw = [tensor for tensor in tensors if tensor.data is UNSET]
    plain = [tensor for tensor in tensors if tensor.data is not UNSET]
    for tensor in plain:
        if tensor.parameters and "binary_data_size" in tensor.parameters:
            raise InvalidRequest(f"{schemas[tensor.name].said} has both data and binary_data_size; one of them is needed")
    layout = binary_layout(schemas, raw, direction)
    columns = layout.columns(body, start, strict=strict)
    if plain:
        named = {tensor.name: schemas[tensor.name] for tensor in plain}
        values, rows = json_columns(named, plain, direction)
        if rows != layout.rows:
            raise _rows_differ(named[plain[0].name], plain[0].shape, direction, raw[0].name, layout.rows)
        columns |= values
    return columns, layout.rows


def _fill(columns: Columns, group: _Group, typed: bool) -> None:
    """Arrays of tensors of one datatype: one conversion for all of them where nothing is null or wrong."""
    if len(group) == 1:
        schema, shape, values = group[0]
        columns[schema.name] = (packed(schema.dtype, values) if typed else array_of(schema, values)).reshape(shape)
        return
    joined = _quickly(group[0][0], [value for _, _, part in group for value in part], typed)
    if joined is None:
        for schema, shape, part in group:
            columns[schema.name] = array_of(schema, part).reshape(shape)
        return
    first = group[0][1]
    if all(shape == first for _, shape, _ in group):
        for (schema, _, _), view in zip(group, joined.reshape(len(group), *first), strict=True):
            columns[schema.name] = view
        return
    start = 0
    for schema, shape, part in group:
        end = start + len(part)
        columns[schema.name] = joined[start:end].reshape(shape)
        start = end


def _quickly(schema: TensorSchema, values: list[Any], typed: bool) -> npt.NDArray[Any] | None:
    """None: something is null or wrong, so each tensor has to be looked at."""
    if not typed and not set(map(type, values)) <= schema.accepted:
        return None
    try:
        return packed(schema.dtype, values)
    except OverflowError:
        return None


def _binary_size(schema: TensorSchema, parameters: Parameters | None) -> int:
    size = (parameters or {}).get("binary_data_size")
    if size is None:
        raise _without_values(schema, parameters)
    if type(size) is not int or size < 0:
        raise InvalidRequest(f"{schema.said}: binary_data_size is {str(size)[:40]}, must be a number of bytes, at least 0")
    return size


def _without_values(schema: TensorSchema, parameters: Parameters | None) -> InvalidRequest:
    given = parameters or {}
    if "binary_data_size" in given:
        return InvalidRequest(
            f"{schema.said} has binary_data_size, but the request has no header Inference-Header-Content-Length, "
            f"which says where the JSON ends and the tensors begin"
        )
    if "shared_memory_region" in given:
        return InvalidRequest(f"{schema.said} is in shared memory, which is not read here; send its data")
    return InvalidRequest(f"{schema.said} has neither data nor binary_data_size; the model takes {schema.takes}")


def _wrong_datatype(schema: TensorSchema, tensor: Tensor) -> InvalidRequest:
    return InvalidRequest(f"{schema.said} has datatype {tensor.datatype[:40]}, the model takes {schema.takes}")


def _rows_differ(schema: TensorSchema, shape: Sequence[int], direction: str, first: str, rows: int) -> InvalidRequest:
    return InvalidRequest(
        f"{schema.said} has {shape[0]} rows (shape {list(shape)}) but {direction} '{first}' has {rows}; "
        f"all have the same number; the model takes {schema.takes}"
    )
