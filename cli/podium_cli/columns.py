"""What a table's columns are on the wire: datatype, nullability, range, categories, and their values as tensors and as JSON.

The one place that knows how pandas spells missing values, and that the wire spells them NaN in floats and "" in BYTES.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from podium_cli.errors import UserError
from podium_crds.package import Datatype, InputSpec

Array = np.ndarray[Any, np.dtype[Any]]
Floats = Literal["Sample", "FP32", "FP64"]
"""Sample: float32 columns travel as FP32, all others as FP64, so that no value is rounded on its way."""

MAX_CATEGORIES = 10_000
"""As many as an InputSpec may list."""
NUMPY_TYPES: Mapping[str, Any] = {
    "BOOL": np.bool_,
    "UINT8": np.uint8,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "INT8": np.int8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "FP16": np.float16,
    "FP32": np.float32,
    "FP64": np.float64,
    "BYTES": np.object_,
}


@dataclass(frozen=True)
class Column:
    name: str
    datatype: Datatype
    nullable: bool


def infer_columns(frame: Any, imputed: Collection[str], floats: Floats) -> list[Column]:
    """The wire type of each column of `frame`. A column in `imputed` may be null even where the sample has none missing."""
    return [_column(name, frame[name], name in imputed, floats) for name in frame.columns]


def _column(name: str, series: Any, imputed: bool, floats: Floats) -> Column:
    nullable = imputed or bool(series.isna().any())
    present = series.dropna()
    if isinstance(series.dtype, pd.CategoricalDtype):
        present = present.astype(series.cat.categories.dtype)
    if len(present) == 0:
        raise UserError(
            f"column {name!r} of the sample holds only missing values; give a sample with at least one value in it"
        )
    real: Datatype = ("FP32" if series.dtype == np.float32 else "FP64") if floats == "Sample" else floats
    if pd.api.types.is_bool_dtype(present.dtype) or _all_are(present, bool | np.bool_):
        return Column(name, real if series.isna().any() else "BOOL", bool(series.isna().any()))
    if pd.api.types.is_integer_dtype(present.dtype):
        return Column(name, real if nullable else "INT64", nullable)
    if pd.api.types.is_float_dtype(present.dtype):
        if np.isinf(present.to_numpy(dtype=float)).any():
            raise UserError(f"column {name!r} holds infinite values, which JSON cannot carry; replace them before training")
        return Column(name, real, nullable)
    if _all_are(present, str):
        if nullable and bool((present == "").any()):
            raise UserError(
                f"column {name!r} holds both empty strings and missing values, which are the same on the wire; "
                "replace one of them before training"
            )
        return Column(name, "BYTES", nullable)
    raise UserError(
        f"column {name!r} has dtype {series.dtype}, which has no place on the wire; "
        "use numbers, booleans or strings (of a date, derive numbers before training)"
    )


def _all_are(series: Any, kind: Any) -> bool:
    return all(isinstance(value, kind) for value in series)


def tensors(frame: Any, columns: Sequence[Column]) -> dict[str, Array]:
    """The columns as the model's input tensors, each of shape [rows, 1]."""
    return {column.name: _tensor(frame[column.name], column) for column in columns}


def _tensor(series: Any, column: Column) -> Array:
    values = np.asarray(series.astype(object), dtype=object)
    gone = np.asarray(series.isna(), dtype=bool)
    filled = np.where(gone, "" if column.datatype == "BYTES" else math.nan, values) if gone.any() else values
    return filled.astype(NUMPY_TYPES[column.datatype]).reshape(-1, 1)


def json_value(value: Any, datatype: Datatype) -> Any:
    """A cell as a client sends it. Missing is null. The full double is kept: the server rounds it like any client's."""
    if pd.isna(value):
        return None
    if datatype == "BYTES":
        return str(value)
    if datatype == "BOOL":
        return bool(value)
    return int(value) if datatype.startswith(("INT", "UINT")) else float(value)


def json_row(frame: Any, position: int, columns: Sequence[Column]) -> dict[str, Any]:
    return {column.name: json_value(frame[column.name].iloc[position], column.datatype) for column in columns}


def input_spec(series: Any, column: Column) -> InputSpec:
    """What training saw of the column, with its most typical value as the example."""
    present = series.dropna()
    if column.datatype == "BYTES":
        counts = present.astype(str).value_counts()
        categories = sorted(counts.index)
        example = min(counts.index[counts == counts.iloc[0]])
        listed = categories if is_category_list(categories, len(present)) else None
        return _spec(column, categories=listed, example=example)
    numbers = np.sort(present.to_numpy(dtype=float))
    example = json_value(
        present.iloc[int(np.argsort(present.to_numpy(dtype=float), kind="stable")[len(numbers) // 2])], column.datatype
    )
    if column.datatype == "BOOL":
        return _spec(column, example=example)
    return _spec(column, minimum=float(numbers[0]), maximum=float(numbers[-1]), example=example)


def is_category_list(categories: Sequence[str], rows: int) -> bool:
    """Identifiers and free text are no categories: nearly every row has its own value."""
    return len(categories) <= MAX_CATEGORIES and (len(categories) <= 50 or len(categories) <= rows / 2)


def _spec(column: Column, **seen: Any) -> InputSpec:
    return InputSpec(name=column.name, datatype=column.datatype, shape=[-1, 1], nullable=column.nullable, **seen)
