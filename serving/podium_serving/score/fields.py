"""One column of a form, and the words for what does not fit it. Pure."""

from dataclasses import dataclass
from difflib import get_close_matches
from math import prod
from typing import Any

import numpy.typing as npt

from podium_crds.package import InputSpec
from podium_serving.exchange import InvalidRequest
from podium_serving.oip.tensors import TensorSchema, array_of, flat_values, kind_of, tensor_schema
from podium_serving.score.training import Seen

MAX_PROBLEMS = 10
"""That one error lists."""

_LISTED = 5
_ONE = {"?": "true or false", "u": "a whole number of at least 0", "i": "a whole number", "f": "a number", "O": "a text"}
_SEVERAL = {"?": "true and false", "u": "whole numbers of at least 0", "i": "whole numbers", "f": "numbers", "O": "texts"}


@dataclass(frozen=True, slots=True)
class Field:
    """A model's input as a column."""

    spec: InputSpec
    schema: TensorSchema
    scalar: bool
    """A row holds one value, which is sent bare."""
    seen: Seen

    @property
    def name(self) -> str:
        return self.spec.name

    def column(self, values: list[Any]) -> npt.NDArray[Any]:
        """Raises InvalidRequest when one of the values, one per row, does not fit."""
        schema = self.schema
        if self.scalar:
            return array_of(schema, values).reshape(len(values), *schema.tail)
        shape = [len(values), *_tail(schema, values[0])]
        return array_of(schema, flat_values(schema, shape, values)).reshape(shape)

    def fits(self, values: list[Any]) -> bool:
        try:
            self.column(values)
        except InvalidRequest:
            return False
        return True

    def takes(self) -> str:
        """`a number such as 29.0`."""
        kind = kind_of(self.schema.dtype)
        if not self.scalar:
            sizes = " of ".join("any number of" if size == -1 else str(size) for size in self.schema.tail)
            return f"a list of {sizes} {_SEVERAL[kind]}"
        example = self.spec.categories[0] if self.spec.categories else self.spec.example
        return _ONE[kind] + (f" such as {shown(example)}" if example is not None and kind != "?" else "")

    def problem(self, value: Any) -> str | None:
        """What is wrong with a value that is there; None: nothing."""
        if self.fits([value]):
            return None
        kind = kind_of(self.schema.dtype)
        if value is None:
            return f"is null and must not be missing; it takes {self.takes()}"
        if isinstance(value, str) and kind != "O" and self.scalar:
            return f"is the text {shown(value)}, must be {self.takes()}" + ("" if kind == "?" else ", without quotes")
        if isinstance(value, float) and kind in "iu" and value.is_integer():
            return f"is {shown(value)}, must be {self.takes()}, without a decimal point"
        if type(value) is int and kind in "iuf" and self.scalar:
            return f"is {shown(value)}, which does not fit {self.schema.datatype}; it takes {self.takes()}"
        return f"is {shown(value)}, must be {self.takes()}"

    def outside(self, cells: npt.NDArray[Any]) -> str:
        """What is unusual about one row's values, of which one is outside of what training saw."""
        spec = self.spec
        if spec.datatype == "BYTES":
            known = spec.categories or []
            value = next(cell for cell in cells.ravel().tolist() if cell not in known and not (spec.nullable and cell == ""))
            match = get_close_matches(str(value)[:200], known, 1, 0.8)
            hint = f"; did you mean {shown(match[0])}?" if match else ""
            return f"column '{self.name}' is {shown(value)}, training saw {some(known)}{hint}"
        low = "anything" if spec.minimum is None else f"{spec.minimum:g}"
        high = "anything" if spec.maximum is None else f"{spec.maximum:g}"
        index = self.seen.outside(cells.reshape(-1, 1))[0]
        place = "" if self.scalar else f"[{index}]"
        return f"column '{self.name}'{place} is {shown(cells.ravel().tolist()[index])}, training saw {low} to {high}"


def field_of(spec: InputSpec) -> Field:
    tail = spec.shape[1:]
    return Field(spec, tensor_schema(spec, "column"), -1 not in tail and prod(tail) == 1, Seen(spec))


def listed(problems: list[str]) -> str:
    """All of them in one sentence's place."""
    if len(problems) == 1:
        return problems[0]
    numbered = " ".join(f"({number}) {text}" for number, text in enumerate(problems[:MAX_PROBLEMS], start=1))
    count = f"the first {MAX_PROBLEMS}" if len(problems) >= MAX_PROBLEMS else str(len(problems))
    return f"{count} problems: {numbered}"


def some(names: list[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(shown(name) for name in names[:_LISTED]) + (f" and {more} more" if more > 0 else "")


def shown(value: Any) -> str:
    """A value as JSON would write it, cut short."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else text[:37] + "..."


def _tail(schema: TensorSchema, value: Any) -> list[int]:
    """The schema's, its free sizes as `value` has them. Raises InvalidRequest when the value is not nested so deep."""
    tail = []
    for size in schema.tail:
        if not isinstance(value, list):
            raise InvalidRequest(f"{schema.said}: a value is not nested as {schema.takes} says")
        tail.append(len(value) if size == -1 else size)
        value = value[0] if value else None
    return tail
