"""What the endpoint takes and answers, as an OpenAPI 3.1 document. Pure. Its examples, pasted, answer."""

from typing import Any

from podium_serving.http.endpoint import Endpoint
from podium_serving.http.examples import example_inputs, example_row
from podium_serving.http.schemas import (
    EXPLAIN_OPTIONS,
    EXPLANATION,
    prediction_schema,
    row_schema,
    tensor_schema,
)

_FAILURES = {
    "400": "The request does not fit the model; the text says what, where, and what would be right.",
    "404": "No such model or version.",
    "413": "The body is too large.",
    "503": "Starting, leaving or overloaded: try again after Retry-After seconds.",
    "504": "No answer before the deadline.",
}
_UNAUTHORIZED = {"401": "The credential is missing or wrong.", "403": "The credential does not let in here."}
_WHO = {"model": {"type": "string"}, "version": {"type": "string"}, "request_id": {"type": "string"}}
_TIMEOUT = {
    "name": "Podium-Timeout-Milliseconds",
    "in": "header",
    "description": "Lowers the deadline of this request.",
    "schema": {"type": "integer", "minimum": 1},
}
_SECURITY: dict[str, dict[str, Any]] = {
    "Open": {},
    "ApiKey": {"key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}},
    "Jwt": {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
}


def openapi_document(endpoint: Endpoint) -> dict[str, Any]:
    """Describes the endpoint while its version serves."""
    security = _SECURITY[endpoint.access.authentication]
    return {
        "openapi": "3.1.0",
        "info": {"title": endpoint.model, "version": endpoint.version, "description": _description(endpoint)},
        "paths": _paths(endpoint),
        "components": {"schemas": _schemas(endpoint), **({"securitySchemes": security} if security else {})},
        **({"security": [{name: [] for name in security}]} if security else {}),
    }


def _description(endpoint: Endpoint) -> str:
    text = endpoint.descriptor.documentation or f"Model {endpoint.model}."
    port = endpoint.access.grpc_port
    if port is not None:
        text += f"\n\ngRPC on port {port}: inference.GRPCInferenceService of the Open Inference Protocol, with reflection."
    return text


def _paths(endpoint: Endpoint) -> dict[str, Any]:
    row = example_row(endpoint.descriptor, endpoint.golden)
    rows, infer = _reference("Rows"), {"inputs": example_inputs(endpoint.descriptor, row)}
    score = "Score rows of named columns. One row is answered by itself, several in `predictions`."
    explain = "The same, with the columns that moved each prediction most."
    asked = (
        "The Open Inference Protocol. Binary tensors are taken, too: Inference-Header-Content-Length and binary_data_size "
        "as the protocol's binary extension has them."
    )
    answer, paths = _reference("Scored"), {}
    paths[endpoint.score_path] = _operation(endpoint, "score", score, rows, row, answer)
    if endpoint.golden:
        paths[endpoint.explain_path] = _operation(endpoint, "explain", explain, rows, row, answer)
    paths[endpoint.infer_path] = _operation(endpoint, "infer", asked, _request(endpoint), infer, _answer(endpoint))
    predict = "KServe's and TensorFlow Serving's first protocol: rows as objects, or as lists in the order of the inputs."
    instances = {"type": "object", "required": ["instances"], "properties": {"instances": {"type": "array", "minItems": 1}}}
    predictions = {"type": "object", "properties": {"predictions": {"type": "array"}}}
    paths[endpoint.predict_path] = _operation(endpoint, "predict", predict, instances, {"instances": [row]}, predictions)
    metadata = f"/v2/models/{endpoint.model}"
    paths[metadata] = {"get": {"summary": "Inputs and outputs", "responses": {"200": _json("Metadata.", {})}}}
    paths[f"{metadata}/ready"] = {"get": {"summary": "Whether it answers", "responses": {"200": _json("Yes.", {})}}}
    return paths


def _operation(
    endpoint: Endpoint, name: str, text: str, body: dict[str, Any], example: Any, answer: dict[str, Any]
) -> dict[str, Any]:
    failures = {**_FAILURES, **({} if endpoint.access.authentication == "Open" else _UNAUTHORIZED)}
    return {
        "post": {
            "operationId": name,
            "summary": text.split(".")[0] + ".",
            "description": text,
            "parameters": [_TIMEOUT],
            "requestBody": {"required": True, "content": {"application/json": {"schema": body, "example": example}}},
            "responses": {
                "200": _json("The answer.", answer),
                **{code: _json(said, _reference("Error")) for code, said in sorted(failures.items())},
            },
        }
    }


def _schemas(endpoint: Endpoint) -> dict[str, Any]:
    row, prediction = _reference("Row"), _reference("Prediction")
    options: dict[str, Any] = {
        "type": "object",
        "required": ["rows"],
        "additionalProperties": False,
        "properties": {
            "rows": {"type": "array", "items": row, "minItems": 1},
            "id": {"type": "string", "description": "Comes back as request_id."},
            "explain": {"oneOf": [{"type": "boolean"}, EXPLAIN_OPTIONS]},
        },
    }
    several = {"type": "object", "properties": {"predictions": {"type": "array", "items": prediction}, **_WHO}}
    return {
        "Row": row_schema(endpoint.descriptor),
        "Rows": {"anyOf": [row, {"type": "array", "items": row, "minItems": 1}, options]},
        "Prediction": prediction_schema(endpoint.descriptor, EXPLANATION),
        "Scored": {"anyOf": [{"allOf": [prediction, {"type": "object", "properties": _WHO}]}, several]},
        "Error": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]},
    }


def _reference(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _request(endpoint: Endpoint) -> dict[str, Any]:
    tensors = [tensor_schema(spec) for spec in endpoint.descriptor.inputs]
    names = [spec.name for spec in endpoint.descriptor.outputs]
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
                "items": {"type": "object", "properties": {"name": {"enum": names}}},
                "description": "Leave it out for all outputs.",
            },
            "parameters": {"type": "object"},
        },
    }


def _answer(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": {"oneOf": [tensor_schema(spec) for spec in endpoint.descriptor.outputs]}},
        },
    }
