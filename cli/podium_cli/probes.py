"""Rows that the sample lacks but production will send: a missing value in each nullable column, an unseen category. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from podium_cli.columns import Column

UNSEEN_CATEGORY = "podium: no training row has this"
_ROWS = 3


def probe_frames(rows: Any, columns: Sequence[Column]) -> Iterator[Any]:
    """Small frames like `rows`, each with one column changed. The library may refuse them."""
    for column in columns:
        if column.nullable and not rows[column.name].isna().any():
            yield _changed(rows, column.name, np.nan)
        if column.datatype == "BYTES":
            yield _changed(rows, column.name, UNSEEN_CATEGORY)


def _changed(rows: Any, name: str, value: Any) -> Any:
    probe = rows.head(_ROWS)
    number = probe[name].dtype.kind in "iuf" and not isinstance(value, str)
    probe = probe.astype({name: float if number else object})
    probe[name] = value
    return probe
