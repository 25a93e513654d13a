"""Columns as MessagePack between the server and the processes that run transform.py.

Not pickle: what user code answers is read here, and reading it must not be able to run anything. Columns of one type and
shape travel as one block: thirty columns of one row are one array of thirty numbers, not thirty arrays.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from podium_serving.exchange import Columns
from podium_serving.frames import framed


class Block(msgspec.Struct, array_like=True):
    """Columns that share type and shape, one after the other."""

    names: list[str]
    dtype: str
    """numpy's name of the type; "O" for strings."""
    shape: list[int]
    """Of each column, rows first."""
    numbers: bytearray = msgspec.field(default_factory=bytearray)
    strings: list[Any] = msgspec.field(default_factory=list)


class Call(msgspec.Struct, array_like=True):
    """One call of a hook. `inputs` are there for `after` only."""

    hook: str
    columns: list[Block]
    inputs: list[Block] | None = None


class Reply(msgspec.Struct, array_like=True):
    """Columns, or what went wrong in words. The first reply of a process has neither: it names the hooks that are there."""

    columns: list[Block] | None = None
    error: str = ""
    hooks: list[str] = msgspec.field(default_factory=list)


_ENCODER = msgspec.msgpack.Encoder()
_CALLS = msgspec.msgpack.Decoder(Call)
_REPLIES = msgspec.msgpack.Decoder(Reply)


def frame(message: Call | Reply) -> bytes:
    """Raises ValueError when the message is too long, TypeError when it holds what cannot be sent."""
    return framed(_ENCODER.encode(message))


def read_call(message: bytes) -> Call:
    return _CALLS.decode(message)


def read_reply(message: bytes) -> Reply:
    """Raises ValueError when it is none."""
    return _REPLIES.decode(message)


def packed(parts: Sequence[Columns]) -> list[Block]:
    """The columns of `parts`, joined along their rows. All have the names, types and further sizes of the first.

    Raises ValueError for arrays of types that no tensor has.
    """
    alike: dict[tuple[str, tuple[int, ...]], list[str]] = {}
    for name, array in parts[0].items():
        dtype = "O" if array.dtype.kind in "OUS" else array.dtype.str
        alike.setdefault((dtype, array.shape), []).append(name)
    return [_block(dtype, shape, names, parts) for (dtype, shape), names in alike.items()]


def unpacked(blocks: Sequence[Block]) -> Columns:
    """The columns, each writable. Raises ValueError when the blocks hold none."""
    columns: Columns = {}
    for block in blocks:
        try:
            array = _strings(block.strings) if block.dtype == "O" else np.frombuffer(block.numbers, _numeric(block.dtype))
            array = array.reshape(len(block.names), *block.shape)
        except TypeError as error:
            raise ValueError(f"not columns: {error}") from error
        columns.update(zip(block.names, array, strict=True))
    return columns


def _block(dtype: str, shape: tuple[int, ...], names: list[str], parts: Sequence[Columns]) -> Block:
    arrays = [part[name] for name in names for part in parts]
    if len(parts) > 1:
        shape = (sum(part[names[0]].shape[0] for part in parts), *shape[1:])
    if dtype == "O":
        strings = [value for array in arrays for value in array.astype(object, copy=False).ravel().tolist()]
        return Block(names, dtype, list(shape), strings=strings)
    numeric = _numeric(dtype).newbyteorder("=")
    # Flattened first: then a column without an axis is as good as any.
    numbers = np.concatenate(arrays, axis=None, dtype=numeric)
    return Block(names, numeric.str, list(shape), bytearray(numbers.data))


def _numeric(name: str) -> np.dtype[Any]:
    dtype = np.dtype(name)
    if dtype.kind not in "biuf":
        raise ValueError(f"arrays of numpy type {dtype} are not taken")
    return dtype


def _strings(values: list[Any]) -> npt.NDArray[Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array
