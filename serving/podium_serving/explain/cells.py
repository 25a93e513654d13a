"""The cells of a row, which are what a prediction is explained by: one per value of each input. Pure.

A cell is swapped as a whole, missing or not, so a composite row holds only values that some real row had in that place.
"""

from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from podium_crds.package import InputSpec
from podium_serving.exchange import Columns, ServingError
from podium_serving.explain.coalitions import Bools, Composites

MAX_CELLS = 1_000
"""Of one row. Above it, two rounds of walks over 100 background rows are 400,000 rows to ask about."""


class NotExplainable(ServingError):
    """This model's answers have no reasons that could be computed. Retrying is useless."""

    http_status = 400
    reason = "NotExplainable"


class Cells:
    """The cells of one model's rows, in the order of its inputs."""

    def __init__(self, inputs: list[InputSpec]) -> None:
        """Raises NotExplainable when the number of cells is not fixed, or above MAX_CELLS."""
        self.names: list[str] = []
        self._places: dict[str, tuple[slice, list[int]]] = {}
        self._nullable = {spec.name for spec in inputs if spec.nullable}
        for spec in inputs:
            tail = spec.shape[1:]
            if -1 in tail:
                raise NotExplainable(f"input '{spec.name}' has shape {spec.shape}: cells of any number cannot be explained")
            start = len(self.names)
            self._places[spec.name] = (slice(start, start + prod(tail)), tail)
            if start + prod(tail) > MAX_CELLS:
                raise NotExplainable(f"a row has more than {MAX_CELLS} values; so many are not explained")
            self.names += _names(spec.name, tail)

    def differs(self, row: Columns, background: Columns) -> Bools:
        """Shape (background rows, cells): where `row`, the columns of a single one, has another value."""
        parts = []
        for name in self._places:
            own, others = _flat(row[name]), _flat(background[name])
            parts.append((own != others).astype(bool) & ~(_is_nan(own) & _is_nan(others)))
        return np.concatenate(parts, axis=1)

    def composites(self, row: Columns, background: Columns, asked: Composites) -> Columns:
        """The rows that are asked about."""
        columns: Columns = {}
        for name, (place, tail) in self._places.items():
            cells = np.where(asked.taken[:, place], _flat(row[name]), _flat(background[name])[asked.index])
            columns[name] = cells.reshape(len(asked), *tail)
        return columns

    def values(self, row: Columns) -> list[Any]:
        """The cells of a single row as JSON has them; None: missing."""
        return [
            None if value != value or (value == "" and name in self._nullable) else _text(value)
            for name in self._places
            for value in row[name].ravel().tolist()
        ]


def _names(name: str, tail: list[int]) -> list[str]:
    """`age` for a single value, `x[3]` or `x[0][3]` in wider inputs."""
    if prod(tail) == 1:
        return [name]
    return [name + "".join(f"[{i}]" for i in place) for place in product(*map(range, tail))]


def _flat(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return array.reshape(len(array), -1)


def _is_nan(array: npt.NDArray[Any]) -> Bools:
    return np.isnan(array) if array.dtype.kind == "f" else np.zeros(array.shape, dtype=bool)


def _text(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
