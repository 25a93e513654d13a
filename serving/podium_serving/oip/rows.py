"""JSON of a run's rows, written for all of them at once: a call per output instead of a call per output and row.

What a client reads and what capture keeps of a row are the same numbers, so they are written once. Pure.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from podium_serving.exchange import Columns
from podium_serving.oip.writing import data_json


class RowTexts:
    """Rows of outputs as JSON. Made when first asked for: gRPC and binary tensors want none."""

    __slots__ = ("_columns", "_made")

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._made: dict[str, list[bytes]] = {}

    def of(self, name: str) -> list[bytes]:
        """Per row its values in row-major order, comma-separated, without brackets. NaN and infinities are null."""
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = row_texts(self._columns[name])
        return made


def row_texts(column: npt.NDArray[Any]) -> list[bytes]:
    """JSON of each row's values. FP16 and FP32 as the shortest decimals that read back as the same number."""
    rows = column.shape[0]
    if column.size == 0:
        return [b""] * rows
    width = column.size // rows
    if column.dtype.kind not in "biuf" or column.dtype == np.float16:
        return [data_json(row)[1:-1] for row in column.reshape(rows, width)]
    flat = np.ascontiguousarray(column).reshape((rows, width) if width > 1 else rows)
    text = orjson.dumps(flat, option=orjson.OPT_SERIALIZE_NUMPY)
    return text[2:-2].split(b"],[") if width > 1 else text[1:-1].split(b",")
