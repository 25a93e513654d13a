"""Which rows become golden rows, and how a row is written. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from podium_cli.columns import Array, Column
from podium_crds.package import GoldenRow, canonical_json

MAX_GOLDEN_ROWS = 100
_NEAR_MARGIN_ROWS = 10
_MAX_CATEGORY_ROWS = 20
"""Categories of one column that get a row of their own: the rarest, for common ones come by themselves."""


def edge_positions(frame: Any, columns: Sequence[Column], margins: Array | None, limit: int) -> list[int]:
    """At most `limit` positions of `frame`, sorted: the edges of each column, undecided rows, then an even spread.

    Columns take turns, so that a wide table with a low limit still shows something of each column.
    """
    wishes = [list(_column_edges(frame[column.name], column)) for column in columns]
    if margins is not None:
        wishes.append([int(p) for p in np.argsort(margins, kind="stable")[:_NEAR_MARGIN_ROWS]])
    chosen: dict[int, None] = {}
    for turn in zip_longest(*wishes):
        for position in turn:
            if position is not None and len(chosen) < limit:
                chosen[position] = None
    spread = np.linspace(0, len(frame) - 1, num=min(limit, len(frame))).astype(int)
    for position in spread:
        if len(chosen) < limit:
            chosen[int(position)] = None
    return sorted(chosen)


def _column_edges(series: Any, column: Column) -> Iterable[int]:
    """Positions of the first missing value, the least, the greatest, and the first row of each category, rarest first."""
    gone = np.asarray(series.isna(), dtype=bool)
    if gone.any():
        yield int(np.argmax(gone))
    present = np.flatnonzero(~gone)
    if len(present) == 0:
        return
    values = np.asarray(series.astype(object), dtype=object)[present]
    if column.datatype == "BYTES":
        names, firsts, counts = np.unique(values.astype(str), return_index=True, return_counts=True)
        for index in np.lexsort((names, counts))[:_MAX_CATEGORY_ROWS]:
            yield int(present[firsts[index]])
        return
    numbers = values.astype(float)
    yield int(present[np.argmin(numbers)])
    yield int(present[np.argmax(numbers)])


def row_value(value: Any) -> Any:
    """One row of a tensor as JSON: a scalar where it holds one element, else nested lists. NaN is null."""
    array = np.asarray(value, dtype=object)
    plain = _plain(array.tolist())
    return plain[0] if array.shape == (1,) else plain


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and np.isnan(value) else value


def output_row(outputs: Mapping[str, Array], row: int) -> dict[str, Any]:
    return {name: row_value(array[row]) for name, array in outputs.items()}


def golden_bytes(rows: Iterable[GoldenRow]) -> bytes:
    """The contents of golden.jsonl. A field that a row lacks is left out; a null inside inputs or outputs stays."""
    lines = []
    for row in rows:
        fields = {"inputs": row.inputs, "outputs": row.outputs, "margin": row.margin, "hooked_outputs": row.hooked_outputs}
        lines.append(canonical_json({key: value for key, value in fields.items() if value is not None}) + b"\n")
    return b"".join(lines)
