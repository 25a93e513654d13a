"""The bytes of a sticky key: equal keys must land alike on every pod, however the client wrote them. Pure.

A key is compared as text, encoded as UTF-8:
- a string is its own text, as it is: no trimming, no case folding, no Unicode normalisation ("007" is not "7");
- a number of integer value is its decimal integer text, whatever its datatype: 7, 7.0 and the string "7" are one key;
- any other number is the shortest decimal text, without exponent, that reads back as the same number of its datatype;
- a boolean is `true` or `false`; bytes that are no UTF-8 are taken as they are; a header is the bytes on the wire.
Null, NaN and the empty string are no key.
"""

from typing import Any

import numpy as np
import numpy.typing as npt


class MixedKeys(ValueError):
    """The rows of one batch have different keys."""


def key_of_header(value: str | None) -> bytes | None:
    """HTTP servers hand header bytes over as Latin-1 text; a character beyond it was decoded by someone already."""
    if not value:
        return None
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:
        return value.encode()


def key_of_value(value: Any) -> bytes | None:
    """The key of one cell: str, bytes, bool, or a number of numpy or Python. None: there is no key."""
    if isinstance(value, bytes):
        return value or None
    if isinstance(value, str):
        return value.encode() or None
    if value is None:
        return None
    if isinstance(value, bool | np.bool_):
        return b"true" if value else b"false"
    if isinstance(value, int | np.integer):
        return str(int(value)).encode()
    return _float_key(value)


def _float_key(value: float | np.floating[Any]) -> bytes | None:
    if np.isnan(value):
        return None
    if np.isinf(value):
        return b"inf" if value > 0 else b"-inf"
    if value == int(value):
        return str(int(value)).encode()
    return np.format_float_positional(value, unique=True, trim="-").encode()


def key_of_column(column: npt.NDArray[Any]) -> bytes | None:
    """The one key of all rows. None: no row has a key, or the input is wider than one value per row.

    Raises MixedKeys when two rows differ; a row without a key differs from one that has it.
    """
    rows = column.shape[0]
    if column.size != rows or rows == 0:
        return None
    cells = column.reshape(rows)
    key = key_of_value(cells[0])
    if rows > 1 and not _all_like_first(cells, key):
        raise MixedKeys
    return key


def _all_like_first(cells: npt.NDArray[Any], key: bytes | None) -> bool:
    if cells.dtype != object:
        same = np.isnan(cells) if key is None else cells == cells[0]
        return bool(same.all())
    return all(key_of_value(cell) == key for cell in cells)


def row_keys(column: npt.NDArray[Any]) -> list[str | None]:
    """The key of each row as text, for joining labels; bytes that are no UTF-8 are escaped."""
    rows = column.shape[0]
    if column.size != rows:
        return [None] * rows
    keys = [key_of_value(cell) for cell in column.reshape(rows)]
    return [None if key is None else key.decode(errors="backslashreplace") for key in keys]
