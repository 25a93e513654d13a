"""What goes into a hook's call and comes out of it: joined rows, checked against the schema, and cut apart. Pure."""

from typing import Any

import numpy as np

from podium_serving.exchange import Columns
from podium_serving.oip.binary import text_of
from podium_serving.oip.tensors import TensorSchema


def same_shape(one: Columns, other: Columns) -> bool:
    """Whether the rows of both can be in one array."""
    return all(one[name].shape[1:] == other[name].shape[1:] for name in one)


def split(columns: Columns, rows: list[int]) -> list[Columns]:
    """The columns of each caller, who gave so many rows. They are views: a caller that writes to them writes to its own."""
    if len(rows) == 1:
        return [columns]
    parts = []
    start = 0
    for count in rows:
        parts.append({name: array[start : start + count] for name, array in columns.items()})
        start += count
    return parts


def fitted(schemas: list[TensorSchema], columns: Columns, hook: str, rows: int) -> Columns:
    """`columns` in the schema's types. Raises ValueError naming the first that does not fit."""
    fitting: Columns = {}
    for schema in schemas:
        array = columns.get(schema.name)
        if array is None:
            raise ValueError(f"'{schema.name}' is missing; it returned {', '.join(sorted(columns)) or 'nothing'}")
        shape = array.shape
        if array.dtype == schema.dtype and shape == (rows, *schema.tail) and schema.dtype.kind != "O":
            fitting[schema.name] = array  # nearly always
            continue
        fitting[schema.name] = _cast(schema, array)
        tail_fits = len(shape) == 1 + len(schema.tail) and all(
            want in (-1, got) for got, want in zip(shape[1:], schema.tail, strict=True)
        )
        if not tail_fits or shape[0] != rows:
            raise ValueError(f"'{schema.name}' has shape {list(shape)} for {rows} rows, must be {schema.takes}")
    extra = columns.keys() - fitting.keys()
    if extra:
        raise ValueError(f"'{min(extra)}' is none of the model's {'inputs' if hook == 'before' else 'outputs'}")
    return fitting


def check_text(schemas: list[TensorSchema], columns: Columns) -> None:
    """Raises InvalidRequest for bytes that are no text: a model takes them for something else, without a word."""
    for schema in schemas:
        if schema.dtype.kind == "O":
            for index, value in enumerate(columns[schema.name].ravel().tolist()):
                if type(value) is bytes:
                    text_of(schema, value, index)


def _cast(schema: TensorSchema, array: Any) -> Any:
    if schema.dtype.kind == "O" and array.dtype.kind == "O":
        for value in array.ravel().tolist():
            if type(value) is not str and (type(value) is not bytes or schema.text_only):
                raise ValueError(f"'{schema.name}' holds {value!r}, must be {schema.takes}")
        return array
    if array.dtype == schema.dtype:
        return array
    if array.dtype.kind in "iuf" and np.can_cast(array.dtype, schema.dtype, casting="same_kind"):
        return array.astype(schema.dtype)
    raise ValueError(f"'{schema.name}' has numpy type {array.dtype}, must be {schema.takes}")
