"""Reading what a newer release wrote: fields that this one does not know are dropped, all else is checked as ever."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

_M = TypeVar("_M", bound=BaseModel)
_ROUNDS = 5
"""Validations until no unknown field is left: pydantic tells all that it sees at once, but not behind another error."""


def without_unknown_fields(model: type[_M], content: Any) -> _M:
    """`content` as the model reads it. Raises ValidationError for anything but unknown fields."""
    for _ in range(_ROUNDS):
        try:
            return model.model_validate(content)
        except ValidationError as error:
            unknown = [found["loc"] for found in error.errors() if found["type"] == "extra_forbidden"]
            if not unknown:
                raise
            content = copy.deepcopy(content)
            for place in unknown:
                _drop(content, place)
    return model.model_validate(content)


def first_error(error: ValidationError) -> str:
    """Where and why, of the first."""
    found = error.errors()[0]
    return f"{'.'.join(map(str, found['loc'])) or 'it'}: {found['msg']}"


def _drop(content: Any, place: Sequence[str | int]) -> None:
    """`place` is pydantic's path: keys, positions, and for a union the name of its branch, which the content has not."""
    for step in place[:-1]:
        if not isinstance(content, Mapping) or step in content:
            content = content[step]
    del content[place[-1]]
