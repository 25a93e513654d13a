"""JSON messages of the Open Inference Protocol against one model's schema. On the hot path.

Decoding takes a quick road first: all tensors of one datatype become one array in one call. Only when something does not
fit are they looked at one by one, to name the culprit; both roads accept the same messages.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from podium_crds.package import Descriptor
from podium_serving.exchange import Columns, InvalidRequest
from podium_serving.oip.tensors import (
    TensorSchema,
    array_of,
    check_names,
    check_shape,
    flat_values,
    listed,
    packed,
    tensor_schema,
)


class _Tensor(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    datatype: str
    shape: list[int]
    data: list[Any]
    parameters: dict[str, Any] = {}


class _WantedOutput(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    parameters: dict[str, Any] = {}


class _Request(msgspec.Struct, forbid_unknown_fields=True):
    inputs: list[_Tensor]
    id: str = ""
    outputs: list[_WantedOutput] = []
    parameters: dict[str, Any] = {}


class _Answer(msgspec.Struct):
    model_name: str
    outputs: list[_Tensor]
    model_version: str = ""
    id: str = ""
    parameters: dict[str, Any] = {}


_read_request = msgspec.json.Decoder(_Request).decode
_read_answer = msgspec.json.Decoder(_Answer).decode
_json = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Decoded:
    """A request's body: everything of it that is not HTTP's."""

    columns: Columns
    rows: int
    id: str
    """Empty when the client sent none."""
    wanted_outputs: tuple[str, ...]
    parameters: dict[str, Any]


class Codec:
    """Reads requests and writes answers of one model. Made once per version; keeps no state between calls."""

    def __init__(self, descriptor: Descriptor) -> None:
        self.inputs = {spec.name: tensor_schema(spec, "input") for spec in descriptor.inputs}
        self.outputs = {spec.name: tensor_schema(spec, "output") for spec in descriptor.outputs}
        self._heads = {
            name: f'{{"name":{_text(name)},"datatype":"{schema.datatype}","shape":'.encode()
            for name, schema in self.outputs.items()
        }

    def decode(self, body: bytes) -> Decoded:
        """Raises InvalidRequest, whose text names what is wrong and what the model takes."""
        try:
            message = _read_request(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest(_why_malformed(body, error)) from error
        columns, rows = _columns(self.inputs, message.inputs, "input")
        wanted = tuple(output.name for output in message.outputs)
        for name in wanted:
            if name not in self.outputs:
                raise InvalidRequest(f"outputs asks for '{name}'; the model has {listed(self.outputs)}")
        return Decoded(columns, rows, message.id, wanted, message.parameters)

    def decode_answer(self, body: bytes, rows: int) -> Columns:
        """Outputs of another pod's answer to `rows` rows. Raises InvalidRequest when it does not fit this schema."""
        try:
            message = _read_answer(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest(f"the answer is not a protocol message: {error}") from error
        wanted = {tensor.name: schema for tensor in message.outputs if (schema := self.outputs.get(tensor.name))}
        columns, got = _columns(wanted or self.outputs, message.outputs, "output")
        if got != rows:
            raise InvalidRequest(f"the answer has {got} rows, the request has {rows}")
        return columns

    def encode(self, columns: Columns, model: str, version: str, request_id: str, wanted: tuple[str, ...] = ()) -> bytes:
        """An answer. `request_id` is left out when empty, outputs that were not asked for too. NaN becomes null."""
        head = f'{{"model_name":{_text(model)},"model_version":{_text(version)},'
        if request_id:
            head += f'"id":{_text(request_id)},'
        names = wanted or self._heads
        outputs = b",".join(
            self._heads[name] + _json(columns[name].shape) + b',"data":' + data_json(columns[name]) + b"}" for name in names
        )
        return head.encode() + b'"outputs":[' + outputs + b"]}"


def data_json(array: npt.NDArray[Any]) -> bytes:
    """Flat row-major JSON. FP16 and FP32 as the shortest decimals that read back as the same number."""
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        if np.isfinite(array).all():
            return ("[" + ",".join([str(number) for number in array.ravel()]) + "]").encode()
        array = np.where(np.isfinite(array), array.astype(str).astype(np.float64), np.nan)
    elif array.dtype.kind == "O":
        return _json([value if isinstance(value, str) else _decoded(value) for value in array.ravel().tolist()])
    return _json(array.ravel().tolist())


def _columns(schemas: dict[str, TensorSchema], tensors: list[_Tensor], direction: str) -> tuple[Columns, int]:
    """Arrays by name, and how many rows they have."""
    check_names(schemas, tensors, direction)
    groups: dict[str, list[tuple[TensorSchema, list[int], list[Any]]]] = {}
    rows = -1
    for tensor in tensors:
        schema = schemas[tensor.name]
        shape, values = tensor.shape, tensor.data
        if tensor.datatype != schema.datatype:
            raise InvalidRequest(f"{schema.said} has datatype {tensor.datatype[:40]}, the model takes {schema.takes}")
        if shape != schema.one_row or len(values) != schema.row_values or type(values[0]) is list:
            check_shape(schema, shape)
            values = flat_values(schema, shape, values)
        if rows != shape[0]:
            if rows >= 0:
                raise InvalidRequest(
                    f"{schema.said} has {shape[0]} rows (shape {shape}) but {direction} '{tensors[0].name}' has {rows}; "
                    f"all have the same number; the model takes {schema.takes}"
                )
            rows = shape[0]
        group = groups.get(schema.datatype)
        if group is None:
            group = groups[schema.datatype] = []
        group.append((schema, shape, values))
    columns: Columns = {}
    for group in groups.values():
        _fill(columns, group)
    return columns, rows


def _fill(columns: Columns, group: list[tuple[TensorSchema, list[int], list[Any]]]) -> None:
    """Arrays of tensors of one datatype: one conversion for all of them where nothing is null or wrong."""
    if len(group) > 1:
        values: list[Any] = []
        for _, _, part in group:
            values += part
        joined = _quickly(group[0][0], values)
        first = group[0][1]
        if joined is not None and all(shape == first for _, shape, _ in group):
            for (schema, _, _), view in zip(group, joined.reshape(len(group), *first), strict=True):
                columns[schema.name] = view
            return
        if joined is not None:
            start = 0
            for schema, shape, part in group:
                end = start + len(part)
                columns[schema.name] = joined[start:end].reshape(shape)
                start = end
            return
    for schema, shape, part in group:
        columns[schema.name] = array_of(schema, part).reshape(shape)


def _quickly(schema: TensorSchema, values: list[Any]) -> npt.NDArray[Any] | None:
    """None: something is null or wrong, so each tensor has to be looked at."""
    if not set(map(type, values)) <= schema.accepted:
        return None
    try:
        return packed(schema.dtype, values)
    except OverflowError:
        return None


def _why_malformed(body: bytes, error: Exception) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"the body is not UTF-8: {error.reason} at byte {error.start}"
    if not body:
        return 'the body is empty; it must be JSON: {"inputs": [{"name", "datatype", "shape", "data"}, ...]}'
    hint = ""
    if b"NaN" in body:
        hint = " (NaN is not JSON: send null for a missing value)"
    elif b"binary_data_size" in body:
        hint = " (binary tensors are not taken here: send data as JSON)"
    return f"the body is not an inference request in JSON: {error}{hint}"


def _text(value: str) -> str:
    return _json(value).decode()


def _decoded(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
