"""A row that answers when it is pasted: one that training knew, or else values within what it saw. Pure."""

import math
from typing import Any

import numpy as np

from podium_crds.package import Descriptor, GoldenRow, InputSpec
from podium_serving.exchange import InvalidRequest
from podium_serving.model.golden import golden_columns
from podium_serving.score.training import inside_training


def example_row(descriptor: Descriptor, golden: tuple[GoldenRow, ...] = ()) -> dict[str, Any]:
    """Values by column, as /score takes them: a golden row within training, rather one with nothing missing."""
    return _golden_row(descriptor, golden) or {spec.name: _typical(spec) for spec in descriptor.inputs}


def example_inputs(descriptor: Descriptor, row: dict[str, Any]) -> list[dict[str, Any]]:
    """The same row as tensors of the Open Inference Protocol."""
    return [
        {
            "name": spec.name,
            "datatype": spec.datatype,
            "shape": [1, *_sizes(spec.shape[1:], row[spec.name])],
            "data": flat(row[spec.name]),
        }
        for spec in descriptor.inputs
    ]


def flat(value: Any) -> list[Any]:
    """Scalars in row-major order."""
    return [scalar for part in value for scalar in flat(part)] if isinstance(value, list) else [value]


def _golden_row(descriptor: Descriptor, golden: tuple[GoldenRow, ...]) -> dict[str, Any] | None:
    try:
        columns = golden_columns(descriptor, golden) if golden else {}
    except InvalidRequest:  # such a package is never served, but a page is no place to find out
        return None
    if not columns:
        return None
    usual = inside_training(descriptor.inputs, columns, len(golden))
    inside = [row for row, is_usual in zip(golden, usual, strict=True) if is_usual]
    whole = [row for row in inside if None not in flat(list(row.inputs.values()))]
    chosen = next(iter(whole or inside), None)
    return None if chosen is None else {spec.name: _bare(spec, chosen.inputs[spec.name]) for spec in descriptor.inputs}


def _bare(spec: InputSpec, value: Any) -> Any:
    """A golden row may hold a list of one where a row of the tensor has one value."""
    tail = spec.shape[1:]
    return flat(value)[0] if math.prod(tail) == 1 and -1 not in tail else value


def _typical(spec: InputSpec) -> Any:
    """The package's example if it fits, else what lies in the middle of what training saw."""
    tail = spec.shape[1:]
    fixed = math.prod(size for size in tail if size != -1)
    given = [] if spec.example is None else flat(spec.example)
    if tail.count(-1) == 0 and len(given) == 1:
        given = given * fixed
    fits = len(given) == fixed or (tail.count(-1) == 1 and given and len(given) % max(fixed, 1) == 0)
    values = given if fits else [_middle(spec)] * fixed
    free = len(values) // max(fixed, 1) if tail.count(-1) == 1 else 1
    sizes = [free if size == -1 else size for size in tail]
    return values[0] if math.prod(sizes) == 1 and -1 not in tail else np.array(values, object).reshape(sizes).tolist()


def _middle(spec: InputSpec) -> Any:
    if spec.datatype == "BYTES":
        return spec.categories[0] if spec.categories else "a"
    if spec.datatype == "BOOL":
        return False
    low, high = spec.minimum, spec.maximum
    middle = (low + high) / 2 if low is not None and high is not None else (low if low is not None else high or 0)
    return middle if spec.datatype.startswith("FP") else round(middle)


def _sizes(tail: list[int], value: Any) -> list[int]:
    sizes = []
    for size in tail:
        sizes.append(len(value) if size == -1 and isinstance(value, list) else max(size, 1))
        value = value[0] if isinstance(value, list) and value else None
    return sizes
