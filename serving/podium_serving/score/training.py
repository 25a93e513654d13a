"""Which values lie outside of what training saw of an input. Pure."""

from typing import Any

import numpy as np
import numpy.typing as npt

from podium_crds.package import InputSpec


def outside_training(spec: InputSpec, column: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Shape (rows,): whether a row holds a number out of the range or a category that is not listed.

    A missing value is never outside: whether it may be sent is another question. False where the package says nothing.
    """
    cells = column.reshape(len(column), -1)
    if spec.datatype == "BYTES":
        if spec.categories is None:
            return np.zeros(len(column), dtype=bool)
        known = {*spec.categories, ""} if spec.nullable else set(spec.categories)
        return np.array([not known.issuperset(row) for row in cells.tolist()], dtype=bool)
    outside = np.zeros(cells.shape, dtype=bool)
    # BOOL has neither bound.
    with np.errstate(invalid="ignore", over="ignore"):
        # In the column's own precision: 0.1 as FP32 is above 0.1 as a double.
        as_number = cells.dtype.type if cells.dtype.kind == "f" else float
        if spec.minimum is not None:
            outside |= cells < as_number(spec.minimum)
        if spec.maximum is not None:
            outside |= cells > as_number(spec.maximum)
    return np.asarray(outside.any(axis=1))
