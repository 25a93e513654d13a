"""Columns as MessagePack between this process and the one that runs transform.py.

Not pickle: what user code answers is read here, and reading it must not be able to run anything.
"""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from podium_serving.exchange import Columns


class Call(msgspec.Struct):
    """One call of a hook. `inputs` are there for `after` only."""

    hook: str
    columns: dict[str, Any]
    inputs: dict[str, Any] | None = None


class Reply(msgspec.Struct):
    """Columns, or what went wrong in words."""

    columns: dict[str, Any] | None = None
    error: str = ""


def packed_columns(columns: Columns) -> dict[str, Any]:
    return {name: _packed(array) for name, array in columns.items()}


def unpacked_columns(packed: dict[str, Any]) -> Columns:
    """Raises ValueError when the message holds no arrays."""
    try:
        return {name: _unpacked(array) for name, array in packed.items()}
    except (KeyError, TypeError) as error:
        raise ValueError(f"not columns: {error!r}") from error


def _packed(array: npt.NDArray[Any]) -> dict[str, Any]:
    if array.dtype.kind in "OUS":
        return {"dtype": "O", "shape": array.shape, "data": array.astype(object).ravel().tolist()}
    if array.dtype.kind not in "biuf":
        raise ValueError(f"arrays of numpy type {array.dtype} are not taken")
    plain = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False)
    return {"dtype": plain.dtype.str, "shape": array.shape, "data": plain.tobytes()}


def _unpacked(packed: dict[str, Any]) -> npt.NDArray[Any]:
    if packed["dtype"] == "O":
        array = np.empty(len(packed["data"]), dtype=object)
        array[:] = packed["data"]
    else:
        array = np.frombuffer(packed["data"], dtype=np.dtype(packed["dtype"])).copy()
    return array.reshape(packed["shape"])
