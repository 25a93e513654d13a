"""Inputs and outputs as columns: one of each name and kind of value. Pure.

`input.number.tenure`, `output.numbers.probabilities`: the kind stands in the name, so a column has one type in all files,
whatever models come and go and whatever two of them call by one name. Files of any time lie in one table therefore, and a
text where numbers are expected is seen as what it is.

SQL takes names that differ by case alone for one. Where rows have two of them, `age` and `Age`, the one that is not in lower
case has a mark behind its kind, `input.number~9b5f.Age`: each is a column of its own for everybody.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any, Literal, get_args

import msgspec
import pyarrow as pa

Side = Literal["input", "output"]
Kind = Literal["number", "text", "truth", "numbers", "json"]
"""`numbers`: a list of them. `json`: whatever is none of the others, as JSON text."""

TYPES: dict[Kind, pa.DataType] = {
    "number": pa.float64(),
    "text": pa.string(),
    "truth": pa.bool_(),
    "numbers": pa.list_(pa.float64()),
    "json": pa.string(),
}
EXACT = 2**53
"""Up to it a double holds every whole number. A larger one is kept as text."""
MOST_COLUMNS = 10_000
"""Of values in one file: who names more sends data as names."""
MOST_CELLS = 2**22
"""Rows times names of one batch: a few rows that have nothing in common must not become gigabytes of nulls."""

Values = Mapping[str, pa.Array]
"""Columns by their names in the lake, all of one length. What is absent is null."""

_json = msgspec.json.Encoder().encode
_KINDS = get_args(Kind)
_NOTHING = type(None)


@dataclass(frozen=True, slots=True)
class ValueColumn:
    side: Side
    kind: Kind
    name: str
    """As the model calls it."""
    apart: bool = False
    """Marked: there is another name that differs by case alone."""

    def __str__(self) -> str:
        return f"{self.side}.{self.kind}{_mark(self.name) if self.apart else ''}.{self.name}"


def _mark(name: str) -> str:
    return "~" + hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=2).hexdigest()


def value_column(text: str) -> ValueColumn | None:
    """What a column of the lake holds. None: it is none of values."""
    side, _, rest = text.partition(".")
    marked, dot, name = rest.partition(".")
    kind, mark, _ = marked.partition("~")
    if side not in get_args(Side) or kind not in _KINDS or not dot:
        return None
    found = ValueColumn(side, kind, name, bool(mark))  # type: ignore[arg-type]
    return found if str(found) == text else None


def apart(names: Collection[str]) -> frozenset[str]:
    """Those of some names of one side that need a mark beside the others."""
    lower = [name.lower() for name in names]
    if len(set(lower)) == len(names):
        return frozenset()
    several = {name for name, count in Counter(lower).items() if count > 1}
    return frozenset(name for name, low in zip(names, lower, strict=True) if low in several and name != low)


def respelled(columns: Iterable[str]) -> dict[str, str]:
    """Of the columns of several files or batches that come together: the new names of those that need a mark now."""
    known = {text: column for text in columns if (column := value_column(text)) is not None}
    needed = {side: apart({one.name for one in known.values() if one.side == side}) for side in get_args(Side)}
    return {
        text: str(replace(column, apart=True))
        for text, column in known.items()
        if not column.apart and column.name in needed[column.side]
    }


class TooWide(ValueError):
    """Rows have too many names of inputs and outputs, or too many cells. The text says how many are taken."""


def check_width(names: int, rows: int) -> None:
    """Raises TooWide."""
    if names > MOST_COLUMNS:
        raise TooWide(f"its rows have more than {MOST_COLUMNS} names of inputs or outputs")
    if names * rows > MOST_CELLS:
        raise TooWide(f"{rows} rows times {names} names of inputs or outputs are more than {MOST_CELLS}, send fewer rows")


def values_of_objects(side: Side, objects: Sequence[Mapping[str, Any] | None]) -> dict[str, pa.Array]:
    """Columns of JSON objects, one per row. Raises TooWide."""
    named = dict(_cells(objects))
    marked = apart(named.keys())
    return {
        str(ValueColumn(side, kind, name, name in marked)): column
        for name, cells in named.items()
        for kind, column in arrays_of(cells).items()
    }


def _cells(objects: Sequence[Mapping[str, Any] | None]) -> Iterator[tuple[str, Sequence[Any]]]:
    """By name. Objects with the same names in the same order, as a program writes them, are turned at once."""
    groups = [names for names, _ in groupby(objects, _names)]
    check_width(len(groups[0]) if groups else 0, len(objects))
    if len(groups) == 1:
        yield from zip(groups[0], zip(*[one.values() for one in objects if one], strict=True), strict=True)
        return
    names: dict[str, None] = {}
    for group in groups:
        names |= dict.fromkeys(group)
        check_width(len(names), len(objects))
    whole = [one or {} for one in objects]
    for name in names:
        yield name, [one.get(name) for one in whole]


def _names(one: Mapping[str, Any] | None) -> tuple[str, ...]:
    return tuple(one or ())


def arrays_of(cells: Sequence[Any]) -> dict[Kind, pa.Array]:
    """Columns of one name, by kind: JSON values, one per row. Most have one kind alone."""
    types = set(map(type, cells))
    types.discard(_NOTHING)
    if types <= {float}:
        return {"number": pa.array(cells, TYPES["number"])} if types else {}
    if types == {str}:
        return {"text": pa.array(cells, TYPES["text"])}
    kinds = [None if cell is None else _kind(cell) for cell in cells]
    return {
        kind: pa.array(
            [_as(kind, cell) if one == kind else None for one, cell in zip(kinds, cells, strict=True)], TYPES[kind]
        )
        for kind in _KINDS
        if kind in kinds
    }


def _kind(cell: Any) -> Kind:
    if isinstance(cell, str):
        return "text"
    if isinstance(cell, bool):
        return "truth"
    if isinstance(cell, int):
        return "number" if -EXACT <= cell <= EXACT else "text"
    if isinstance(cell, float):
        return "number"
    if isinstance(cell, list) and all(one is None or (type(one) in (int, float) and _kind(one) == "number") for one in cell):
        return "numbers"
    return "json"


def _as(kind: Kind, cell: Any) -> Any:
    if kind == "json":
        return _json(cell).decode()
    return str(cell) if kind == "text" else cell


def objects_of(side: Side, columns: Mapping[str, Sequence[Any]], rows: int) -> list[dict[str, Any]]:
    """One object per row, of what columns hold: the reverse of `values_of_objects`. What is missing is left out."""
    found: list[dict[str, Any]] = [{} for _ in range(rows)]
    for text, cells in columns.items():
        known = value_column(text)
        if known is None or known.side != side:
            continue
        for one, cell in zip(found, cells, strict=True):
            if cell is not None:
                one[known.name] = msgspec.Raw(cell.encode()) if known.kind == "json" else cell
    return found


def chosen_values(values: Values, mask: Sequence[bool]) -> Values:
    rows = pa.array(mask, pa.bool_())
    return {name: column.filter(rows) for name, column in values.items()}


def joined_values(parts: Iterable[tuple[int, Values]]) -> Values:
    """The rows of all parts, each with its number of rows."""
    given = list(parts)
    names = respelled({name for _, values in given for name in values})
    known = [(rows, {names.get(name, name): column for name, column in values.items()}) for rows, values in given]
    types = {name: column.type for _, values in known for name, column in values.items()}
    return {
        name: pa.concat_arrays([values[name] if name in values else pa.nulls(rows, kind) for rows, values in known])
        for name, kind in types.items()
    }
