"""One tensor: what the model takes, and how JSON values become its array. Every error names tensor, shape and datatype."""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import prod
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from podium_crds.package import Datatype, InputSpec, TensorSpec
from podium_serving.exchange import InvalidRequest

NUMPY_TYPES: dict[Datatype, str] = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "u2",
    "UINT32": "u4",
    "UINT64": "u8",
    "INT8": "i1",
    "INT16": "i2",
    "INT32": "i4",
    "INT64": "i8",
    "FP16": "f2",
    "FP32": "f4",
    "FP64": "f8",
    "BYTES": "O",
}
"""numpy's type codes. BYTES are object arrays of str."""

_STRUCT_CODES = {
    np.dtype(code): letter
    for code, letter in zip(
        ("?", "u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f2", "f4", "f8"), "?BHIQbhiqefd", strict=True
    )
}

_MOST_VALUES = 2**26
"""As many as a body of 64 MB has bytes."""

_ACCEPTED: dict[str, set[type]] = {"?": {bool}, "u": {int}, "i": {int}, "f": {int, float}, "O": {str}}
"""Python types that JSON values of a kind may have. type() is asked, so a bool is no int."""
_IN_WORDS = {"?": "true or false", "u": "an integer of at least 0", "i": "an integer", "f": "a number", "O": "a string"}


@dataclass(frozen=True, slots=True)
class TensorSchema:
    """An input or output, prepared for the hot path."""

    name: str
    datatype: Datatype
    dtype: np.dtype[Any]
    tail: list[int]
    """The shape without rows. -1: any size."""
    fixed: bool
    """No -1 in `tail`."""
    one_row: list[int] | None
    """The shape of a single row, the usual request, where every row has the same number of values, at least one."""
    row_values: int
    """Values in such a row."""
    nullable: bool
    text_only: bool
    """BYTES must be UTF-8, as a model's strings are. False where a hook reads them first, and in outputs."""
    said: str
    """`input 'age'`: how errors begin."""
    takes: str
    """`[-1, 1] FP32 (-1: any number)`: how they end."""

    @property
    def accepted(self) -> set[type]:
        return _ACCEPTED[kind_of(self.dtype)]

    @property
    def fill(self) -> Any:
        """What stands for null."""
        return "" if self.datatype == "BYTES" else float("nan")


def kind_of(dtype: np.dtype[Any]) -> str:
    return "?" if dtype.kind == "b" else dtype.kind


def tensor_schema(spec: TensorSpec, direction: str, *, text_only: bool = False) -> TensorSchema:
    """`direction` is input or output. Answers of other pods may hold null where a number was NaN."""
    dtype = np.dtype(NUMPY_TYPES[spec.datatype])
    can_be_null = dtype.kind in "fO"
    tail = list(spec.shape[1:])
    fixed = -1 not in tail
    return TensorSchema(
        name=spec.name,
        datatype=spec.datatype,
        dtype=dtype,
        tail=tail,
        fixed=fixed,
        one_row=[1, *tail] if fixed and 0 not in tail else None,
        row_values=prod(tail) if fixed else 0,
        nullable=can_be_null and (spec.nullable if isinstance(spec, InputSpec) else True),
        text_only=text_only,
        said=f"{direction} '{spec.name}'",
        takes=f"{list(spec.shape)} {spec.datatype} (-1: any number)",
    )


class Named(Protocol):
    @property
    def name(self) -> str: ...


def check_names(schemas: Mapping[str, TensorSchema], tensors: Sequence[Named], direction: str) -> None:
    """Raises InvalidRequest unless each of `schemas` is there exactly once, and nothing else."""
    seen = {tensor.name for tensor in tensors}
    if len(seen) == len(tensors) and seen == schemas.keys():
        return
    for tensor in tensors:
        if tensor.name not in schemas:
            raise InvalidRequest(f"the model has no {direction} '{tensor.name[:128]}'; it takes {listed(schemas)}")
    for name, schema in schemas.items():
        if name not in seen:
            raise InvalidRequest(f"{schema.said} is missing; the model takes {schema.takes}")
    names = [tensor.name for tensor in tensors]
    twice = next(name for name in names if names.count(name) > 1)
    raise InvalidRequest(f"{schemas[twice].said} is there {names.count(twice)} times, must be there once")


def listed(schemas: Mapping[str, TensorSchema]) -> str:
    """Their names, for an error."""
    names = [f"'{name}'" for name in schemas]
    return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def check_shape(schema: TensorSchema, shape: list[int]) -> None:
    """Raises InvalidRequest unless `shape` fits."""
    tail = shape[1:]
    fits = tail == schema.tail or (
        not schema.fixed
        and len(tail) == len(schema.tail)
        and all(want in (-1, got) for got, want in zip(tail, schema.tail, strict=True))
    )
    if not shape or not fits or min(shape) < 0:
        raise InvalidRequest(f"{schema.said} has shape {shape}, the model takes {schema.takes}")
    if shape[0] < 1:
        raise InvalidRequest(
            f"{schema.said} has shape {shape}: a request holds at least one row; the model takes {schema.takes}"
        )
    # A row without values costs the client nothing: no number of bytes bounds how many there are.
    if prod(max(size, 1) for size in shape) > _MOST_VALUES:
        raise InvalidRequest(
            f"{schema.said} has shape {shape}: a tensor has at most {_MOST_VALUES} values; the model takes {schema.takes}"
        )


def flat_values(schema: TensorSchema, shape: list[int], values: list[Any]) -> list[Any]:
    """The values in row-major order, from flat or nested `values`. Raises InvalidRequest when their number does not fit."""
    if len(shape) > 1 and values and type(values[0]) is list:
        return _unnested(schema, shape, values)
    if len(values) != prod(shape):
        raise InvalidRequest(
            f"{schema.said} has shape {shape}, which holds {prod(shape)} values, but data has {len(values)}; "
            f"the model takes {schema.takes}"
        )
    return values


def _unnested(schema: TensorSchema, shape: list[int], values: list[Any]) -> list[Any]:
    _check_lengths(schema, shape, 0, [values])
    for axis in range(1, len(shape)):
        _check_lengths(schema, shape, axis, values)
        values = list(chain.from_iterable(values))
    return values


def _check_lengths(schema: TensorSchema, shape: list[int], axis: int, lists: Sequence[Any]) -> None:
    want = shape[axis]
    if set(map(type, lists)) <= {list} and set(map(len, lists)) <= {want}:
        return
    index, wrong = next((i, part) for i, part in enumerate(lists) if type(part) is not list or len(part) != want)
    got = f"{len(wrong)} values" if type(wrong) is list else f"{_shown(wrong)} where a list should be"
    place = "data" if axis == 0 else f"data[{']['.join(map(str, np.unravel_index(index, tuple(shape[:axis]))))}]"
    raise InvalidRequest(
        f"{schema.said}: {place} has {got}, but shape {shape} says {want}; "
        f"data is nested as its shape says, or flat in row-major order; "
        f"the model takes {schema.takes}"
    )


def array_of(schema: TensorSchema, values: list[Any]) -> npt.NDArray[Any]:
    """Flat values as a one-dimensional array of the schema's type; null becomes NaN or "" where it may be sent.

    Raises InvalidRequest naming the first value that does not fit.
    """
    accepted = schema.accepted
    kinds = set(map(type, values))
    if not kinds <= accepted:
        if not (schema.nullable and kinds <= accepted | {type(None)}):
            raise _wrong_value(schema, values)
        values = [schema.fill if value is None else value for value in values]
    try:
        return packed(schema.dtype, values)
    except OverflowError as error:
        raise _out_of_range(schema, values) from error


def packed(dtype: np.dtype[Any], values: list[Any]) -> npt.NDArray[Any]:
    """An array of values of accepted types. Raises OverflowError when one does not fit the type's range.

    struct is twice as fast as numpy here. Its standard sizes ("=") refuse what its native ones make an infinity.
    """
    if dtype.kind == "O":
        return np.array(values, dtype)
    try:
        return np.frombuffer(struct.pack(f"={len(values)}{_STRUCT_CODES[dtype]}", *values), dtype)
    except struct.error as error:
        raise OverflowError(str(error)) from error


def packer(dtype: np.dtype[Any], values: int) -> Callable[..., bytes]:
    """What `packed` does to so many values, prepared: takes them as arguments, gives bytes. Raises struct.error."""
    return struct.Struct(f"={values}{_STRUCT_CODES[dtype]}").pack


def _wrong_value(schema: TensorSchema, values: list[Any]) -> InvalidRequest:
    accepted = schema.accepted | ({type(None)} if schema.nullable else set())
    index, wrong = next((i, value) for i, value in enumerate(values) if type(value) not in accepted)
    if wrong is None:
        hint = " (null is taken by nullable inputs only)"
    elif type(wrong) is list:
        hint = " (data is nested deeper than its shape)"
    else:
        hint = ""
    return InvalidRequest(
        f"{schema.said}: value {index} is {_shown(wrong)}, must be {_IN_WORDS[kind_of(schema.dtype)]}{hint}; "
        f"the model takes {schema.takes}"
    )


def _out_of_range(schema: TensorSchema, values: list[Any]) -> InvalidRequest:
    for index, value in enumerate(values):
        try:
            packed(schema.dtype, [value])
        except OverflowError:
            return InvalidRequest(
                f"{schema.said}: value {index} is {_shown(value)}, which does not fit {schema.datatype}; "
                f"the model takes {schema.takes}"
            )
    raise AssertionError("called without a value out of range")


def _shown(value: Any) -> str:
    """A value as JSON would write it, cut short."""
    if value is None or value is True or value is False:
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return "a list"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."
