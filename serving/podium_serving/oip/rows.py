"""JSON of a run's rows, written for all of them at once: a call per output instead of a call per output and row. Pure."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from podium_serving.exchange import Columns
from podium_serving.oip.writing import data_json, shape_json


class RunTexts:
    """exchange.RowTexts of one run. Texts are made when first asked for: gRPC and binary tensors want none."""

    __slots__ = ("_all", "_made", "asked", "rows", "said")

    def __init__(self, rows: int, asked: Columns, said: Columns) -> None:
        self.rows = rows
        self.asked = asked
        self.said = said
        self._made: dict[str, list[bytes]] = {}
        self._all: list[bytes] | None = None

    def said_of(self, row: int) -> Columns:
        """Outputs of one row, as views."""
        return {name: column[row : row + 1] for name, column in self.said.items()}

    def of(self, name: str) -> list[bytes]:
        """Per row its values in row-major order, comma-separated, without brackets. NaN and infinities are null."""
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = row_texts(self.said[name])
        return made

    def outputs(self, row: int, wanted: tuple[str, ...], beginnings: Mapping[str, bytes]) -> bytes:
        """The outputs of one row as the protocol writes them, comma-separated: those `wanted`, or all, which are written
        for all rows at once. `beginnings` is the JSON of each up to its shape."""
        if wanted:
            return b",".join([b"%b%b]}" % (self._frame(name, beginnings), self.of(name)[row]) for name in wanted])
        if self._all is None:
            frames = [(self._frame(name, beginnings), self.of(name)) for name in beginnings]
            parts = [[b"%b%b]}" % (frame, text) for text in texts] for frame, texts in frames]
            self._all = [b",".join(outputs) for outputs in zip(*parts, strict=True)]
        return self._all[row]

    def _frame(self, name: str, beginnings: Mapping[str, bytes]) -> bytes:
        return b'%b%b,"data":[' % (beginnings[name], shape_json((1, *self.said[name].shape[1:])))


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
