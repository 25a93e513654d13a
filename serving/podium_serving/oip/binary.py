"""Tensors as raw bytes, little-endian and row-major: the protocol's binary tensor extension, and gRPC's raw contents.

Arrays are made over the received bytes, without a copy, so they are read-only and keep those bytes alive. Source: the
binary tensor data extension of the Open Inference Protocol. BOOL is a byte of 0 or 1, an element of BYTES its length in
four bytes and then its bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from podium_serving.exchange import Columns, InvalidRequest
from podium_serving.oip.tensors import TensorSchema, check_shape

_LENGTH_BYTES = 4
ALIGNMENT = 8
"""Our own messages begin their tensors at a multiple of it, so that nobody has to copy them."""


class Framed(NamedTuple):
    """A message: `header_length` bytes of JSON, and then the binary tensors."""

    header_length: int
    body: bytes


class RawTensor(NamedTuple):
    """Where in the tail one tensor lies."""

    schema: TensorSchema
    shape: tuple[int, ...]
    offset: int
    size: int


def split(body: bytes, header_length: int) -> bytes:
    """The JSON of a message. Raises InvalidRequest when the length is none of this body's."""
    if 0 < header_length <= len(body):
        return body[:header_length]
    raise InvalidRequest(
        f"Inference-Header-Content-Length is {header_length}, the body has {len(body)} bytes; "
        f"the header says how many bytes of JSON the body begins with"
    )


@dataclass(frozen=True, slots=True)
class Layout:
    """How the bytes behind the JSON are tensors. The same for every message with the same JSON, so it is made once."""

    tensors: tuple[RawTensor, ...]
    rows: int
    size: int
    alike: tuple[int, ...] | None
    """The shape of all of them as one array, where they are many of one type and shape."""

    @classmethod
    def of(cls, tensors: Sequence[RawTensor]) -> "Layout":
        first = tensors[0]
        shapes = {tensor.shape for tensor in tensors}
        dtypes = {tensor.schema.dtype for tensor in tensors}
        one = len(shapes) == len(dtypes) == 1 and len(tensors) > 1 and first.schema.dtype.kind not in "Ob"
        size = sum(tensor.size for tensor in tensors)
        return cls(tuple(tensors), first.shape[0], size, (len(tensors), *first.shape) if one else None)

    def columns(self, body: bytes, start: int, *, strict: bool) -> Columns:
        """`start` is where the JSON ends. `strict` refuses what JSON cannot say: NaN where null is not taken, infinities."""
        if len(body) - start != self.size:
            raise InvalidRequest(_wrong_size(self, len(body) - start))
        if self.alike is None:
            return {tensor.schema.name: _array(tensor, body, start, strict) for tensor in self.tensors}
        dtype = self.tensors[0].schema.dtype
        joined = np.ndarray(self.alike, dtype, body, start)
        if start % dtype.itemsize:
            joined = joined.copy()
        if strict and dtype.kind == "f" and not np.isfinite(joined).all():
            for tensor, array in zip(self.tensors, joined, strict=True):
                check_numbers(tensor.schema, array)
        return {tensor.schema.name: array for tensor, array in zip(self.tensors, joined, strict=True)}


def raw_tensor(schema: TensorSchema, shape: list[int], size: int, offset: int) -> RawTensor:
    """Raises InvalidRequest when `size` bytes are not what a tensor of this shape has."""
    check_shape(schema, shape)
    count = prod(shape)
    if schema.dtype.kind == "O":
        if size < count * _LENGTH_BYTES:
            raise InvalidRequest(
                f"{schema.said} has shape {shape} and {size} bytes; {count} elements with a length of "
                f"{_LENGTH_BYTES} bytes each need at least {count * _LENGTH_BYTES}; the model takes {schema.takes}"
            )
    elif size != count * schema.dtype.itemsize:
        raise InvalidRequest(
            f"{schema.said} has shape {shape}, which is {count * schema.dtype.itemsize} bytes of {schema.datatype}, "
            f"but {size} bytes are given; the model takes {schema.takes}"
        )
    return RawTensor(schema, tuple(shape), offset, size)


def array_of_bytes(schema: TensorSchema, shape: list[int], raw: bytes, *, strict: bool = True) -> npt.NDArray[Any]:
    """One tensor from bytes of its own, as gRPC has them. Raises InvalidRequest."""
    return _array(raw_tensor(schema, shape, len(raw), 0), raw, 0, strict)


def bytes_of_array(array: npt.NDArray[Any]) -> bytes:
    """A tensor's bytes; strings as UTF-8."""
    if array.dtype.kind != "O":
        return array.tobytes()
    parts = []
    for value in array.ravel().tolist():
        element = value if type(value) is bytes else str(value).encode("utf-8", "replace")
        parts.append(len(element).to_bytes(_LENGTH_BYTES, "little"))
        parts.append(element)
    return b"".join(parts)


def _array(tensor: RawTensor, body: bytes, start: int, strict: bool) -> npt.NDArray[Any]:
    schema, shape, offset, size = tensor
    kind, begin = schema.dtype.kind, start + offset
    if kind == "O":
        return _strings(schema, body[begin : begin + size], shape)
    array: npt.NDArray[Any] = np.ndarray(shape, schema.dtype, body, begin)
    if kind == "b":
        _check_bools(schema, array)
    elif begin % schema.dtype.itemsize:
        array = array.copy()  # arithmetic on numbers that cross a word's border is slow, and on some machines wrong
    if strict and kind == "f" and not np.isfinite(array).all():
        check_numbers(schema, array)
    return array


def _check_bools(schema: TensorSchema, array: npt.NDArray[Any]) -> None:
    numbers = array.view(np.uint8).ravel()
    if (numbers > 1).any():
        index = int(np.argmax(numbers > 1))
        raise InvalidRequest(
            f"{schema.said}: value {index} is the byte {numbers[index]}, must be 0 or 1; the model takes {schema.takes}"
        )


def check_numbers(schema: TensorSchema, array: npt.NDArray[Any]) -> None:
    """Raises InvalidRequest for a NaN where the input is not nullable, and for infinities: JSON could not hold them."""
    flat = array.ravel()
    wrong = np.isinf(flat) if schema.nullable else ~np.isfinite(flat)
    if wrong.any():
        index = int(np.argmax(wrong))
        hint = " (NaN is taken by nullable inputs only)" if np.isnan(flat[index]) else ""
        raise InvalidRequest(
            f"{schema.said}: value {index} is {flat[index]}, must be a number{hint}; the model takes {schema.takes}"
        )


def _strings(schema: TensorSchema, raw: bytes, shape: tuple[int, ...]) -> npt.NDArray[Any]:
    count = prod(shape)
    array = np.empty(count, object)
    start = 0
    for index in range(count):
        begin = start + _LENGTH_BYTES
        end = begin + int.from_bytes(raw[start:begin], "little")
        if begin > len(raw) or end > len(raw):
            raise InvalidRequest(
                f"{schema.said}: element {index} of {count} goes beyond the tensor's {len(raw)} bytes, at byte {start}; "
                f"each is its length in {_LENGTH_BYTES} bytes, little-endian, and its bytes; the model takes {schema.takes}"
            )
        array[index] = text_of(schema, raw[begin:end], index)
        start = end
    if start != len(raw):
        raise InvalidRequest(
            f"{schema.said}: {count} elements end at byte {start}, but {len(raw)} bytes are given; "
            f"the model takes {schema.takes}"
        )
    return array.reshape(shape)


def text_of(schema: TensorSchema, element: bytes, index: int) -> str | bytes:
    """An element of BYTES as text. Raises InvalidRequest where it must be text and is none."""
    try:
        return element.decode()
    except UnicodeDecodeError as error:
        if not schema.text_only:
            return element
        raise InvalidRequest(
            f"{schema.said}: value {index} is not UTF-8 ({error.reason} at byte {error.start}); "
            f"a model's strings are text; the model takes {schema.takes}"
        ) from error


def _wrong_size(layout: Layout, got: int) -> str:
    parts = ", ".join(f"{tensor.size} of {tensor.schema.said}" for tensor in layout.tensors[:10])
    more = f" and {len(layout.tensors) - 10} more" if len(layout.tensors) > 10 else ""
    return (
        f"{got} bytes follow the JSON of the message, its tensors have {layout.size}: {parts}{more}; "
        f"binary tensors follow in the order of the JSON, with nothing between or behind them"
    )
