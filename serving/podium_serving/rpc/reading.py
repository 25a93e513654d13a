"""ModelInferRequest to columns, against one model's schema. On the hot path. Pure.

A client that sends raw contents describes its inputs in the same bytes again and again: what they say is kept, as a Layout,
so that reading such a request is cutting its values. Typed contents are read one by one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite, prod
from operator import itemgetter
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError, Message

from podium_serving.exchange import Columns, InvalidRequest
from podium_serving.oip.binary import array_of_bytes, check_numbers, text_of
from podium_serving.oip.codec import Codec
from podium_serving.oip.columns import json_columns
from podium_serving.oip.messages import Tensor
from podium_serving.oip.tensors import TensorSchema, check_names, check_shape, listed
from podium_serving.rpc.envelope_pb2 import Envelope
from podium_serving.rpc.inference_pb2 import InferParameter, ModelInferRequest

Part = TypeVar("Part", bound=Message)
Parameters = dict[str, bool | int | float | str]

CONTENTS = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""Where values of a datatype are. FP16 has no such field."""
_FLOATS = ("fp32_contents", "fp64_contents")
_MAX_LAYOUTS = 64
_MAX_LAYOUT_BYTES = 65_536


@dataclass(slots=True)
class Decoded:
    """A request's message: all of it that is the model's."""

    columns: Columns
    rows: int
    wanted_outputs: tuple[str, ...]
    parameters: Parameters
    raw: bool
    """Values came as raw bytes, and so go back."""


@dataclass(slots=True)
class _Group:
    """Inputs of one datatype and shape: their values become one array in one call."""

    schemas: list[TensorSchema]
    names: list[str]
    dtype: np.dtype[Any]
    shape: list[int]
    size: int
    """Bytes of each."""
    pick: Callable[[Sequence[bytes]], tuple[bytes, ...]]
    """Their contents, of all."""


@dataclass(slots=True)
class _Layout:
    """What the inputs of a request with raw contents say."""

    rows: int
    groups: list[_Group]
    singles: list[tuple[int, TensorSchema, list[int]]]
    """Inputs that are read one by one: BOOL, BYTES, and those that share datatype and shape with no other."""
    tensors: int


def opened(message: bytes) -> Envelope:
    """Raises InvalidRequest when `message` is no ModelInferRequest."""
    try:
        return Envelope.FromString(message)
    except DecodeError as error:
        raise InvalidRequest(f"the message is not a ModelInferRequest: {error}") from error


class RequestReader:
    """Reads requests of one model. Keeps nothing of them but layouts."""

    def __init__(self, codec: Codec) -> None:
        self._inputs = codec.inputs
        self._outputs = codec.outputs
        self._layouts: dict[tuple[bytes, ...], _Layout] = {}

    def decode(self, envelope: Envelope, message: bytes) -> Decoded:
        """Raises InvalidRequest, whose text names what is wrong and what the model takes."""
        contents = envelope.raw_input_contents
        if contents:
            parts = tuple(envelope.inputs)
            layout = self._layouts.get(parts) or self._layout(parts)
            columns, rows = _filled(layout, list(contents)), layout.rows
        else:
            columns, rows = _typed(self._inputs, message)
        wanted = self._wanted(envelope) if envelope.outputs else ()
        parameters = _parameters(envelope) if envelope.parameters else {}
        return Decoded(columns, rows, wanted, parameters, bool(contents))

    def _layout(self, parts: tuple[bytes, ...]) -> _Layout:
        tensors = _tensors(parts)
        for tensor in tensors:
            if tensor.HasField("contents"):
                raise InvalidRequest(
                    f"input '{tensor.name[:128]}' has contents, and the request has raw_input_contents: send one of them"
                )
        layout = _laid_out(self._inputs, tensors)
        if sum(map(len, parts)) <= _MAX_LAYOUT_BYTES:
            if len(self._layouts) >= _MAX_LAYOUTS:
                self._layouts.clear()
            self._layouts[parts] = layout
        return layout

    def _wanted(self, envelope: Envelope) -> tuple[str, ...]:
        names = tuple(
            _parsed(ModelInferRequest.InferRequestedOutputTensor, part, "outputs").name for part in envelope.outputs
        )
        for name in names:
            if name not in self._outputs:
                raise InvalidRequest(f"outputs asks for '{name[:128]}'; the model has {listed(self._outputs)}")
        return tuple(dict.fromkeys(names))


def _laid_out(schemas: dict[str, TensorSchema], tensors: list[ModelInferRequest.InferInputTensor]) -> _Layout:
    rows, shapes = _checked(schemas, tensors)
    alike: dict[tuple[str, tuple[int, ...]], list[int]] = {}
    for index, tensor in enumerate(tensors):
        alike.setdefault((tensor.datatype, tuple(shapes[index])), []).append(index)
    layout = _Layout(rows, [], [], len(tensors))
    for (datatype, _), indices in alike.items():
        members, shape = [schemas[tensors[index].name] for index in indices], shapes[indices[0]]
        if len(indices) == 1 or datatype in ("BOOL", "BYTES"):
            layout.singles += [(index, schema, shape) for index, schema in zip(indices, members, strict=True)]
        else:
            dtype = members[0].dtype
            names = [schema.name for schema in members]
            size = prod(shape) * dtype.itemsize
            layout.groups.append(_Group(members, names, dtype, shape, size, itemgetter(*indices)))
    return layout


def _filled(layout: _Layout, contents: list[bytes]) -> Columns:
    if len(contents) != layout.tensors:
        raise InvalidRequest(
            f"raw_input_contents has {len(contents)} entries, inputs has {layout.tensors}: one for each, in their order"
        )
    columns: Columns = {}
    for group in layout.groups:
        picked = group.pick(contents)
        joined = _joined(group, picked)
        if joined is None:  # each alone: that names the culprit, if there is one
            for schema, content in zip(group.schemas, picked, strict=True):
                columns[schema.name] = array_of_bytes(schema, group.shape, content)
        else:
            columns.update(zip(group.names, joined, strict=True))
    for index, schema, shape in layout.singles:
        columns[schema.name] = array_of_bytes(schema, shape, contents[index])
    return columns


def _joined(group: _Group, picked: tuple[bytes, ...]) -> npt.NDArray[Any] | None:
    """The group's tensors as one array; None where a size or a value is not plainly right."""
    if set(map(len, picked)) != {group.size}:
        return None
    joined = np.frombuffer(b"".join(picked), group.dtype).reshape(len(picked), *group.shape)
    if group.dtype.kind == "f" and not np.isfinite(joined).all():
        return None
    return joined


def _typed(schemas: dict[str, TensorSchema], message: bytes) -> tuple[Columns, int]:
    """By the words and the road of JSON: what comes typed and what comes as JSON are lists of values alike."""
    tensors = list(_parsed(ModelInferRequest, message, "inputs").inputs)
    try:
        read = [_tensor(schemas, tensor) for tensor in tensors]
        try:
            return json_columns(schemas, read, "input", typed=True)
        except (InvalidRequest, OverflowError):
            return json_columns(schemas, read, "input")  # with a word for what is wrong
    except InvalidRequest:
        for tensor in tensors:
            _check_field(tensor)
        raise


def _tensor(schemas: dict[str, TensorSchema], tensor: ModelInferRequest.InferInputTensor) -> Tensor:
    name, datatype = tensor.name, tensor.datatype
    field = CONTENTS.get(datatype)
    values = list(getattr(tensor.contents, field)) if field else []
    schema = schemas.get(name)
    if schema is not None and values:
        if datatype == "BYTES":
            values = [text_of(schema, value, index) for index, value in enumerate(values)]
        elif field in _FLOATS and not isfinite(sum(values)):  # or too large a sum, which the check tells apart
            check_numbers(schema, np.array(values))
    return Tensor(name, datatype, list(tensor.shape), values)


def _check_field(tensor: ModelInferRequest.InferInputTensor) -> None:
    """Raises InvalidRequest when the tensor's values are not where its datatype has them."""
    said = f"input '{tensor.name[:128]}'"
    if "shared_memory_region" in tensor.parameters:
        raise InvalidRequest(f"{said} is in shared memory, which is not read here; send its values")
    field = CONTENTS.get(tensor.datatype)
    if tensor.datatype == "FP16":
        raise InvalidRequest(f"{said} is FP16, which has no typed contents; send raw_input_contents")
    for other, _ in tensor.contents.ListFields():
        if field is not None and other.name != field:
            raise InvalidRequest(f"{said} has {other.name}; values of {tensor.datatype} are sent as {field}")


def _checked(
    schemas: dict[str, TensorSchema], tensors: list[ModelInferRequest.InferInputTensor]
) -> tuple[int, list[list[int]]]:
    """How many rows there are, and each tensor's shape."""
    check_names(schemas, tensors, "input")
    shapes = [list(tensor.shape) for tensor in tensors]
    for tensor, shape in zip(tensors, shapes, strict=True):
        schema = schemas[tensor.name]
        if tensor.datatype != schema.datatype:
            raise InvalidRequest(f"{schema.said} has datatype {tensor.datatype[:40]}, the model takes {schema.takes}")
        check_shape(schema, shape)
        if shape[0] != shapes[0][0]:
            raise InvalidRequest(
                f"{schema.said} has {shape[0]} rows (shape {shape}) but input '{tensors[0].name}' has {shapes[0][0]}; "
                f"all have the same number; the model takes {schema.takes}"
            )
    return (shapes[0][0] if shapes else 0), shapes


def _tensors(parts: tuple[bytes, ...]) -> list[ModelInferRequest.InferInputTensor]:
    return [_parsed(ModelInferRequest.InferInputTensor, part, "inputs") for part in parts]


def _parsed(kind: type[Part], part: bytes, place: str) -> Part:
    try:
        return kind.FromString(part)
    except DecodeError as error:
        raise InvalidRequest(f"{place} of the ModelInferRequest cannot be read: {error}") from error


def _parameters(envelope: Envelope) -> Parameters:
    whole = _parsed(ModelInferRequest, Envelope(parameters=envelope.parameters).SerializeToString(), "parameters")
    return {name: _value(parameter) for name, parameter in whole.parameters.items()}


def _value(parameter: InferParameter) -> bool | int | float | str:
    kind = parameter.WhichOneof("parameter_choice")
    return getattr(parameter, kind) if kind else ""
