"""JSON objects, one per row, become columns of the lake. Pure.

Rows of one model have the same names. A struct is made for these, once, and read into: no dict per row, no key per value,
nothing that garbage collection has to look at. Rows that do not fit it are read as JSON may be: the columns are the same.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from podium_monitor.lake.values import EXACT, Kind, Side, ValueColumn, apart, arrays_of, check_width, values_of_objects

Objects = dict[str, Any] | None

_MANY_ROWS = 16
"""Fewer are not worth a struct."""
_MOST_NAMES = 256
"""Of a struct. Where rows have them in another order each is searched for: 1000 took three times as long as dicts."""
_MOST_LAYOUTS = 64
"""Kept. The widest takes some 30 KB."""

_KINDS: dict[type, Kind] = {float: "number", int: "number", str: "text", bool: "truth"}
_TYPES: dict[Kind, Any] = {"number": float | None, "text": str | None, "truth": bool | None}

_read_first = msgspec.json.Decoder(Objects).decode
_read_objects = msgspec.json.Decoder(list[Objects]).decode


class _Layout(NamedTuple):
    """How rows with the names of the first one are read."""

    read: Callable[[bytes], list[msgspec.Struct]]
    kinds: tuple[Kind, ...]
    """By name. `json`: whatever it is."""


def values_of_json(side: Side, objects: Sequence[msgspec.Raw]) -> dict[str, pa.Array]:
    """Columns of JSON objects or nulls, one per row. Raises TooWide, or what msgspec raises if one is neither."""
    text = b"[" + b",".join(objects) + b"]"
    if len(objects) >= _MANY_ROWS:
        first = _read_first(objects[0])
        if first and (layout := _layout_of(first)) is not None:
            check_width(len(first), len(objects))
            try:
                found = layout.read(text)
            except msgspec.ValidationError:
                pass  # another name, or another kind of value: rows are not alike
            else:
                if (columns := _columns(side, layout, tuple(first), found)) is not None:
                    return columns
    return values_of_objects(side, _read_objects(text))


def _layout_of(first: dict[str, Any]) -> _Layout | None:
    """None: no struct can have these names."""
    if len(first) > _MOST_NAMES or not all(map(_may_be_a_field, first)):
        return None
    return _layout(tuple(first), tuple(map(_kind, first.values())))


def _kind(value: Any) -> Kind:
    is_large = isinstance(value, int | float) and abs(value) >= EXACT  # and so are those of other rows, likely
    return "json" if is_large else _KINDS.get(type(value), "json")


def _may_be_a_field(name: str) -> bool:
    """msgspec compares names as they are written in JSON, and knows no escapes there."""
    return name.isprintable() and '"' not in name and "\\" not in name


@lru_cache(maxsize=_MOST_LAYOUTS)
def _layout(names: tuple[str, ...], kinds: tuple[Kind, ...]) -> _Layout:
    fields = [f"field_{number}" for number in range(len(names))]
    row = msgspec.defstruct(
        "Row",
        [(field, _TYPES.get(kind, Any), None) for field, kind in zip(fields, kinds, strict=True)],
        rename=dict(zip(fields, names, strict=True)),
        forbid_unknown_fields=True,
        gc=False,
    )
    return _Layout(msgspec.json.Decoder(list[row]).decode, kinds)  # type: ignore[valid-type]


def _columns(side: Side, layout: _Layout, names: tuple[str, ...], found: list[msgspec.Struct]) -> dict[str, pa.Array] | None:
    """None: a number is too large for a double, and so may have been another one."""
    cells = _cells(found, len(names))
    places = [place for place, kind in enumerate(layout.kinds) if kind == "number"]
    numbers = cells[places].astype(np.float64)  # null becomes NaN, which JSON cannot say
    missing = np.isnan(numbers)
    if np.any(np.abs(numbers) >= EXACT):  # whole numbers beyond it are texts; read as doubles they look like it
        return None
    made: dict[int, dict[Kind, pa.Array]] = {
        place: {"number": pa.array(values, mask=gone if gone.any() else None)}
        for place, values, gone in zip(places, numbers, missing, strict=True)
    }
    for place, kind in enumerate(layout.kinds):
        if kind != "number":
            made[place] = arrays_of(cells[place].tolist())
    marked = apart(names)
    return {
        str(ValueColumn(side, kind, name, name in marked)): column
        for place, name in enumerate(names)
        for kind, column in made[place].items()
        if column.null_count < len(column)
    }


def _cells(found: list[msgspec.Struct], names: int) -> npt.NDArray[np.object_]:
    """By name and row. The tuple of a row is gone before the next is made: many at once are looked at by the collection of
    garbage, which costs as much as to make them."""
    values = chain.from_iterable(map(msgspec.structs.astuple, found))
    return np.fromiter(values, dtype=np.object_, count=len(found) * names).reshape(len(found), names).T
