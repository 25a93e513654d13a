"""What training saw of an input, and which values lie outside of it. Pure; on the way of every /score."""

from typing import Any

import numpy as np
import numpy.typing as npt

from podium_crds.package import InputSpec
from podium_serving.oip.tensors import NUMPY_TYPES

_FEW = 64
"""Values that Python compares faster than numpy is called."""


class Seen:
    """The range or the categories of one input. A missing value is never outside: another rule says if it may be sent."""

    def __init__(self, spec: InputSpec) -> None:
        self._known = None
        if spec.datatype == "BYTES" and spec.categories is not None:
            self._known = frozenset([*spec.categories, ""] if spec.nullable else spec.categories)
        dtype = np.dtype(NUMPY_TYPES[spec.datatype])
        self._bounded = dtype.kind in "iuf" and (spec.minimum, spec.maximum) != (None, None)
        self._low = _bound(dtype, spec.minimum, -np.inf)
        self._high = _bound(dtype, spec.maximum, np.inf)

    def outside(self, column: npt.NDArray[Any]) -> list[int]:
        """Numbers of the rows of `column` that hold a value which training never saw, in order."""
        if self._known is None and not self._bounded:
            return []
        rows = len(column)
        width = column.size // max(rows, 1)
        cells = column.ravel()
        if self._known is not None:
            known, values = self._known, cells.tolist()
            if known.issuperset(values):
                return []
            return sorted({position // width for position, value in enumerate(values) if value not in known})
        if cells.size <= _FEW:
            low, high = self._low, self._high
            found = {position // width for position, value in enumerate(cells.tolist()) if value < low or value > high}
            return sorted(found)
        with np.errstate(invalid="ignore"):
            beyond = (cells < self._low) | (cells > self._high)
        return [] if not beyond.any() else np.flatnonzero(beyond.reshape(rows, width).any(axis=1)).tolist()


def inside_training(inputs: list[InputSpec], columns: dict[str, npt.NDArray[Any]], rows: int) -> npt.NDArray[np.bool_]:
    """Shape (rows,): whether all of a row is what training saw."""
    inside = np.ones(rows, dtype=bool)
    for spec in inputs:
        inside[Seen(spec).outside(columns[spec.name])] = False
    return inside


def _bound(dtype: np.dtype[Any], bound: float | None, none: float) -> float:
    """In the column's own precision: 0.1 as FP32 is above 0.1 as a double."""
    if bound is None:
        return none
    with np.errstate(over="ignore"):
        return float(dtype.type(bound)) if dtype.kind == "f" else bound
