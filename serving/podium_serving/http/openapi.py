"""What the model takes and answers, as an OpenAPI 3.1 document. Pure. Its example, pasted, answers."""

import math
from typing import Any

from podium_crds.package import Descriptor, InputSpec, OutputSpec, TensorSpec

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


def openapi_document(descriptor: Descriptor, model: str, version: str) -> dict[str, Any]:
    """Describes the endpoint of `model` while `version` serves it."""
    path = f"/v2/models/{model}/infer"
    body = {"schema": _request_schema(descriptor), "example": example_request(descriptor)}
    return {
        "openapi": "3.1.0",
        "info": {"title": model, "version": version, "description": descriptor.documentation or f"Model {model}."},
        "paths": {
            path: {
                "post": {
                    "operationId": "infer",
                    "summary": f"Ask {model}",
                    "requestBody": {
                        "required": True,
                        "content": {"application/json": body},
                    },
                    "responses": {
                        "200": _json("The answer.", _answer_schema(descriptor)),
                        **{code: _json(text, _ERROR) for code, text in _FAILURES.items()},
                    },
                }
            },
            f"/v2/models/{model}": {"get": {"summary": "Inputs and outputs", "responses": {"200": _json("Metadata.", {})}}},
            f"/v2/models/{model}/ready": {"get": {"summary": "Whether it answers", "responses": {"200": _json("Yes.", {})}}},
        },
    }


_ERROR: dict[str, Any] = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
_FAILURES = {
    "400": "The request does not fit the model; the text names the input.",
    "404": "No such model or version.",
    "503": "Starting, leaving or overloaded: try again after Retry-After seconds.",
    "504": "No answer before the deadline.",
}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _request_schema(descriptor: Descriptor) -> dict[str, Any]:
    tensors = [_tensor_schema(spec) for spec in descriptor.inputs]
    return {
        "type": "object",
        "required": ["inputs"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string", "description": "Comes back with the answer."},
            "inputs": {
                "type": "array",
                "minItems": len(tensors),
                "maxItems": len(tensors),
                "items": {"oneOf": tensors},
                "description": "All inputs, in any order, with the same number of rows.",
            },
            "outputs": {
                "type": "array",
                "items": {"type": "object", "properties": {"name": {"enum": [spec.name for spec in descriptor.outputs]}}},
                "description": "Leave it out for all outputs.",
            },
            "parameters": {"type": "object"},
        },
    }


def _answer_schema(descriptor: Descriptor) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": {"oneOf": [_tensor_schema(spec) for spec in descriptor.outputs]}},
        },
    }


def _tensor_schema(spec: TensorSpec) -> dict[str, Any]:
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


def _dimension(size: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": 1} if size == -1 else {"const": size}


def value_schema(spec: TensorSpec) -> dict[str, Any]:
    """One value. Ranges and categories are what training saw: they inform, and are not enforced."""
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
        if _flat(spec.example):
            schema.setdefault("examples", _flat(spec.example)[:1])
    if isinstance(spec, OutputSpec) and spec.classes:
        schema["description"] = "Classes: " + ", ".join(spec.classes[:50]) + "."
    return schema


def _json_type(spec: TensorSpec) -> str:
    if spec.datatype == "BYTES":
        return "string"
    if spec.datatype == "BOOL":
        return "boolean"
    return "number" if spec.datatype.startswith("FP") else "integer"


def _bound(value: float | None) -> str:
    return "no bound" if value is None else f"{value:g}"


def example_request(descriptor: Descriptor) -> dict[str, Any]:
    """One row that the model takes: the package's example values, else what lies within what training saw."""
    return {"inputs": [_example_tensor(spec) for spec in descriptor.inputs]}


def _example_tensor(spec: InputSpec) -> dict[str, Any]:
    values = _flat(spec.example)
    fixed = math.prod(size for size in spec.shape[1:] if size != -1)
    free = spec.shape[1:].count(-1)
    if not free and len(values) == 1:
        values = values * fixed
    if len(values) != fixed and not (free == 1 and values and len(values) % max(fixed, 1) == 0):
        values = [_typical(spec)] * fixed
    size_of_free = len(values) // max(fixed, 1) if free == 1 else 1
    shape = [1, *(size_of_free if size == -1 else size for size in spec.shape[1:])]
    return {"name": spec.name, "datatype": spec.datatype, "shape": shape, "data": values}


def _typical(spec: InputSpec) -> Any:
    if spec.datatype == "BYTES":
        return spec.categories[0] if spec.categories else "a"
    if spec.datatype == "BOOL":
        return False
    low, high = spec.minimum, spec.maximum
    middle = (low + high) / 2 if low is not None and high is not None else (low if low is not None else high or 0)
    return middle if spec.datatype.startswith("FP") else round(middle)


def _flat(value: Any) -> list[Any]:
    if isinstance(value, list):
        return [scalar for part in value for scalar in _flat(part)]
    return [] if value is None else [value]
