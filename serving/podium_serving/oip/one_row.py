"""The usual request, on the shortest road: one row, and all inputs as values in the order in which the model has them.

Whatever is different, or wrong, is for `columns`, which takes the same messages and more, and has a word for each fault.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from podium_serving.exchange import Columns
from podium_serving.oip.messages import Tensor
from podium_serving.oip.tensors import TensorSchema, packed, packer


class _Group(NamedTuple):
    """Inputs that become one array: of the same datatype and shape."""

    dtype: np.dtype[Any]
    accepted: set[type]
    names: list[str]
    positions: list[int]
    shape: list[int]
    """Of the array of all of them."""
    pack: Callable[..., bytes] | None
    """None: strings are no numbers."""


class OneRow:
    def __init__(self, schemas: Mapping[str, TensorSchema]) -> None:
        tensors = list(schemas.values())
        self._names = [schema.name for schema in tensors]
        self._datatypes = [str(schema.datatype) for schema in tensors]
        self._shapes = [schema.one_row for schema in tensors]
        self._lengths = [schema.row_values for schema in tensors]
        self._possible = None not in self._shapes
        alike: dict[tuple[str, tuple[int, ...]], list[int]] = {}
        for position, schema in enumerate(tensors):
            alike.setdefault((schema.datatype, tuple(schema.tail)), []).append(position)
        self._groups = [_group(tensors, positions) for positions in alike.values()] if self._possible else []
        self._single = len(tensors) == 1

    def columns(self, tensors: Sequence[Tensor], *, typed: bool) -> Columns | None:
        """None: the request is another one. `typed`: all values are of accepted types, or lists of them."""
        if not self._possible:
            return None
        if self._single:
            return self._only_column(tensors, typed)
        if (
            [tensor.name for tensor in tensors] != self._names
            or [tensor.datatype for tensor in tensors] != self._datatypes
            or [tensor.shape for tensor in tensors] != self._shapes
        ):
            return None
        values: list[Any] = [tensor.data for tensor in tensors]
        try:
            if list(map(len, values)) != self._lengths:
                return None
            columns: Columns = {}
            for group in self._groups:
                if not _fill(columns, group, values, typed):
                    return None
        except (TypeError, OverflowError, struct.error):  # no values at all, or one that does not fit
            return None
        return columns

    def _only_column(self, tensors: Sequence[Tensor], typed: bool) -> Columns | None:
        """Of the model that has a single input: the same as above, without lists of one."""
        tensor, group = tensors[0] if len(tensors) == 1 else None, self._groups[0]
        if (
            tensor is None
            or tensor.name != self._names[0]
            or tensor.datatype != self._datatypes[0]
            or tensor.shape != self._shapes[0]
            or type(tensor.data) is not list
            or len(tensor.data) != self._lengths[0]
            or group.pack is None
            or (not typed and not set(map(type, tensor.data)) <= group.accepted)
        ):
            return None
        try:
            return {tensor.name: np.ndarray(tensor.shape, group.dtype, group.pack(*tensor.data))}
        except struct.error:  # a list among them, or a number beyond its type
            return None


def _group(tensors: list[TensorSchema], positions: list[int]) -> _Group:
    first = tensors[positions[0]]
    return _Group(
        first.dtype,
        first.accepted,
        [tensors[position].name for position in positions],
        positions,
        [len(positions), 1, *first.tail],
        None if first.dtype.kind == "O" else packer(first.dtype, len(positions) * first.row_values),
    )


def _fill(columns: Columns, group: _Group, values: list[Any], typed: bool) -> bool:
    """False: a value is null, a list, or of another type."""
    positions = group.positions
    if len(positions) == 1:
        flat = values[positions[0]]
    elif len(positions) == len(values):
        flat = list(chain.from_iterable(values))
    else:
        flat = list(chain.from_iterable([values[position] for position in positions]))
    if not typed and not set(map(type, flat)) <= group.accepted:
        return False
    if group.pack is None:
        array = packed(group.dtype, flat).reshape(group.shape)
    else:
        array = np.ndarray(group.shape, group.dtype, group.pack(*flat))
    for name, view in zip(group.names, array, strict=True):
        columns[name] = view
    return True
