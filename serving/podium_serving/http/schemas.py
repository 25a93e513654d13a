"""JSON schemas of values, rows, tensors and answers of one model. Pure.

Ranges and categories are what training saw: they inform, and no schema enforces them.
"""

import math
from typing import Any

from podium_crds.package import Descriptor, InputSpec, OutputSpec, TensorSpec
from podium_serving.http.examples import flat

_NUMBER_LIMITS = {
    "UINT8": (0, 2**8 - 1),
    "UINT16": (0, 2**16 - 1),
    "UINT32": (0, 2**32 - 1),
    "UINT64": (0, 2**64 - 1),
    "INT8": (-(2**7), 2**7 - 1),
    "INT16": (-(2**15), 2**15 - 1),
    "INT32": (-(2**31), 2**31 - 1),
    "INT64": (-(2**63), 2**63 - 1),
}


def value_schema(spec: TensorSpec) -> dict[str, Any]:
    """One value of an input or output."""
    schema: dict[str, Any] = {"type": _json_type(spec)}
    if spec.datatype in _NUMBER_LIMITS:
        schema["minimum"], schema["maximum"] = _NUMBER_LIMITS[spec.datatype]
    if isinstance(spec, InputSpec):
        if spec.nullable:
            schema["type"] = [schema["type"], "null"]
        if (spec.minimum, spec.maximum) != (None, None):
            schema["x-seen-range"] = [spec.minimum, spec.maximum]
            schema["description"] = f"Training saw {_bound(spec.minimum)} to {_bound(spec.maximum)}."
        if spec.categories:
            schema["examples"] = spec.categories[:50]
            schema["description"] = "Training saw " + ", ".join(spec.categories[:50]) + "."
        if spec.example is not None:
            schema.setdefault("examples", flat(spec.example)[:1])
    if isinstance(spec, OutputSpec) and spec.classes:
        schema["description"] = "Classes: " + ", ".join(spec.classes[:50]) + "."
    return schema


def row_schema(descriptor: Descriptor) -> dict[str, Any]:
    """A row as /score takes it."""
    return {
        "type": "object",
        "title": "Row",
        "required": [spec.name for spec in descriptor.inputs if not spec.nullable],
        "additionalProperties": False,
        "properties": {spec.name: _nested(value_schema(spec), spec.shape[1:]) for spec in descriptor.inputs},
    }


def prediction_schema(descriptor: Descriptor, explanation: dict[str, Any]) -> dict[str, Any]:
    """What /score answers for one row."""
    found: dict[str, Any] = {}
    others: dict[str, Any] = {}
    keys = {"Label": "label", "Probabilities": "probabilities", "Value": "prediction"}
    for spec in descriptor.outputs:
        value = value_schema(spec)
        schema = _nested(value, spec.shape[1:])
        if spec.kind == "Probabilities" and spec.classes:
            schema = {"type": "object", "properties": {name: {"type": "number"} for name in spec.classes}}
        key = keys.get(spec.kind, "")
        if key and key not in found:
            found[key] = schema
        else:
            others[spec.name] = schema
    if others:
        found["outputs"] = {"type": "object", "properties": others}
    said = "What is unusual about the row: absent columns, values that training never saw."
    warnings = {"type": "array", "items": {"type": "string"}, "description": said}
    return {"type": "object", "properties": {**found, "warnings": warnings, "explanation": explanation}}


def tensor_schema(spec: TensorSpec) -> dict[str, Any]:
    """A tensor of the Open Inference Protocol."""
    return {
        "type": "object",
        "title": spec.name,
        "required": ["name", "datatype", "shape", "data"],
        "properties": {
            "name": {"const": spec.name},
            "datatype": {"const": spec.datatype},
            "shape": {"type": "array", "prefixItems": [_dimension(size) for size in spec.shape], "items": False},
            "data": {"type": "array", "items": value_schema(spec), "description": "Row-major, flat or nested."},
        },
    }


EXPLAIN_OPTIONS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "top": {"type": "integer", "minimum": 1, "default": 5, "description": "Contributions that are listed."},
        "target": {
            "type": "string",
            "description": "A class, or an output as name or name[2]. Else the second of two classes, or the predicted.",
        },
        "scale": {"enum": ["Probability", "LogOdds"], "default": "Probability"},
        "precision": {"type": "number", "exclusiveMinimum": 0, "description": "The error to stop at, in the scale's units."},
    },
}

EXPLANATION: dict[str, Any] = {
    "type": "object",
    "description": "There where it was asked for. prediction = baseline + all contributions + others.",
    "properties": {
        "target": {"type": "string", "description": "The class or output that is explained."},
        "scale": {"enum": ["Probability", "LogOdds", "Value"]},
        "prediction": {"type": "number"},
        "baseline": {"type": "number", "description": "The mean prediction over the background rows."},
        "contributions": {
            "type": "array",
            "description": "Shapley values, largest first.",
            "items": {
                "type": "object",
                "properties": {
                    "column": {"type": "string"},
                    "value": {"description": "As it was sent; null: missing."},
                    "contribution": {"type": "number"},
                    "bound": {"type": "number", "description": "Half of its 95 % confidence interval; 0: exact."},
                },
            },
        },
        "others": {"type": "number", "description": "What the columns add that are not listed."},
        "bound": {"type": "number", "description": "The largest of all bounds."},
        "confidence": {"const": 0.95},
        "stopped": {"enum": ["Exact", "BoundMet", "BudgetSpent", "Deadline"]},
        "rows_asked": {"type": "integer"},
        "background_rows": {"type": "integer"},
    },
}


def _nested(schema: dict[str, Any], tail: list[int]) -> dict[str, Any]:
    if math.prod(tail) == 1 and -1 not in tail:
        return schema
    for size in reversed(tail):
        schema = {"type": "array", "items": schema, **({} if size == -1 else {"minItems": size, "maxItems": size})}
    return schema


def _dimension(size: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": 1} if size == -1 else {"const": size}


def _json_type(spec: TensorSpec) -> str:
    if spec.datatype == "BYTES":
        return "string"
    if spec.datatype == "BOOL":
        return "boolean"
    return "number" if spec.datatype.startswith("FP") else "integer"


def _bound(value: float | None) -> str:
    return "no bound" if value is None else f"{value:g}"
