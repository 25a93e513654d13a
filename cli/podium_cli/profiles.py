"""Bins and counts of the sample, and the sample's reference rows: what the monitor will measure drift against. Pure."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from podium_cli.columns import Array, Column, tensors
from podium_crds.package import OutputSpec, canonical_json
from podium_crds.profile import (
    MAX_PROFILED_CATEGORIES,
    NUMERIC_BINS,
    CategoricalProfile,
    ColumnProfile,
    NumericProfile,
    Profile,
)
from podium_evaluation.bins import quantile_bins

MAX_REFERENCE_ROWS = 10_000
OUTPUT_PREFIX = "output."
"""Of the output columns in reference.parquet: an input may have any name."""
TARGET_COLUMN = "target"


def profile_bytes(frame: Any, columns: Sequence[Column], outputs: dict[str, Array], specs: Sequence[OutputSpec]) -> bytes:
    """The contents of profile.json."""
    inputs = {name: column_profile(values[:, 0]) for name, values in tensors(frame, columns).items()}
    answered: dict[str, ColumnProfile] = {}
    for spec in specs:
        values = outputs[spec.name].reshape(len(frame), -1)
        keys = spec.classes if spec.kind == "Probabilities" and spec.classes else [str(i) for i in range(values.shape[1])]
        for index, key in enumerate(keys):
            name = spec.name if values.shape[1] == 1 else f"{spec.name}[{key}]"
            column = values[:, index]
            answered[name] = _categories(column.astype(str)) if spec.kind == "Label" else column_profile(column)
    return canonical_json(Profile(rows=len(frame), inputs=inputs, outputs=answered).model_dump(mode="json"))


def column_profile(values: Array) -> ColumnProfile:
    if values.dtype == object or values.dtype == bool:
        return _categories(values.astype(str))
    return _numbers(values.astype(float))


def _categories(values: Array) -> CategoricalProfile:
    missing = int(np.sum(values == ""))
    names, counts = np.unique(values[values != ""], return_counts=True)
    order = np.lexsort((names, -counts))[:MAX_PROFILED_CATEGORIES]
    kept = {str(names[i]): int(counts[i]) for i in order}
    return CategoricalProfile(counts=kept, other=int(counts.sum()) - sum(kept.values()), missing=missing)


def _numbers(values: Array) -> NumericProfile:
    present = values[np.isfinite(values)]
    missing = len(values) - len(present)
    if len(present) == 0:
        return NumericProfile(edges=[], counts=[0], missing=missing)
    bins = quantile_bins(present, NUMERIC_BINS)
    return NumericProfile(
        edges=list(bins.edges),
        counts=bins.count(present).tolist()[:-1],
        missing=missing,
        mean=float(present.mean()),
        standard_deviation=float(present.std()),
    )


def reference_bytes(frame: Any, columns: Sequence[Column], outputs: dict[str, Array], target: Any | None) -> bytes:
    """The contents of reference.parquet: an even spread of the sample with the library's answers, BYTES as strings."""
    positions = np.unique(np.linspace(0, len(frame) - 1, num=min(MAX_REFERENCE_ROWS, len(frame))).astype(int))
    rows = frame.iloc[positions]
    arrays: dict[str, Any] = {}
    for column, (name, values) in zip(columns, tensors(rows, columns).items(), strict=True):
        gone = np.asarray(rows[name].isna(), dtype=bool)
        arrays[name] = pa.array(values[:, 0], mask=gone, type=pa.string() if column.datatype == "BYTES" else None)
    for name, values in outputs.items():
        picked = values[positions]
        flat = picked.reshape(len(positions), -1)
        arrays[OUTPUT_PREFIX + name] = pa.array(flat[:, 0] if flat.shape[1] == 1 else flat.tolist())
    if target is not None and TARGET_COLUMN not in arrays:
        arrays[TARGET_COLUMN] = pa.array(np.asarray(target)[positions])
    sink = io.BytesIO()
    pq.write_table(pa.table(arrays), sink, compression="zstd")
    return sink.getvalue()
