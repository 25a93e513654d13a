"""The OpenAPI document and the docs page: examples that the model takes, and texts that cannot break out."""

import json
import re
from typing import Any

import pytest

from podium_crds.package import Descriptor, GoldenRow
from podium_serving.http.docs import docs_page, list_page
from podium_serving.http.endpoint import Access, Endpoint
from podium_serving.http.examples import example_inputs, example_row
from podium_serving.http.openapi import openapi_document
from podium_serving.http.schemas import value_schema
from podium_serving.oip.codec import Codec
from podium_serving.score.form import Form
from podium_serving.score.message import read_message
from score_fixtures import classifier_descriptor, golden_rows


def descriptor(*inputs: dict[str, Any], **changes: Any) -> Descriptor:
    outputs = [{"name": "label", "datatype": "BYTES", "shape": [-1], "kind": "Label", "classes": ["no", "yes"]}]
    return Descriptor.model_validate({"name": "churn", "version": "1", "inputs": inputs, "outputs": outputs, **changes})


@pytest.mark.parametrize(
    ("spec", "data"),
    [
        pytest.param({"datatype": "FP32", "shape": [-1, 1], "example": 2.5}, [2.5], id="scalar"),
        pytest.param({"datatype": "FP32", "shape": [-1, 3], "example": [1, 2, 3]}, [1, 2, 3], id="list"),
        pytest.param({"datatype": "FP32", "shape": [-1, 2, 2], "example": [[1, 2], [3, 4]]}, [1, 2, 3, 4], id="nested"),
        pytest.param({"datatype": "FP32", "shape": [-1, 3], "example": 2}, [2, 2, 2], id="scalar-for-a-wide-tensor"),
        pytest.param({"datatype": "FP32", "shape": [-1, 3], "example": [1, 2]}, [0, 0, 0], id="example-of-another-width"),
        pytest.param({"datatype": "FP32", "shape": [-1, -1], "example": [1, 2]}, [1, 2], id="any-width"),
        pytest.param({"datatype": "FP32", "shape": [-1, 1], "minimum": 1, "maximum": 4}, [2.5], id="middle-of-the-range"),
        pytest.param({"datatype": "INT64", "shape": [-1, 1], "minimum": 1, "maximum": 4}, [2], id="middle-as-an-integer"),
        pytest.param({"datatype": "FP32", "shape": [-1, 1], "minimum": 7}, [7], id="only-a-minimum"),
        pytest.param({"datatype": "BYTES", "shape": [-1, 1], "categories": ["x", "y"]}, ["x"], id="first-category"),
        pytest.param({"datatype": "BYTES", "shape": [-1]}, ["a"], id="any-text"),
        pytest.param({"datatype": "BOOL", "shape": [-1]}, [False], id="bool"),
    ],
)
def test_the_example_has_one_row_that_both_ways_to_ask_take(spec: dict[str, Any], data: list[Any]) -> None:
    made = descriptor({"name": "x", **spec})
    row = example_row(made)
    inputs = example_inputs(made, row)
    assert inputs[0]["data"] == data
    assert Codec(made).decode(json.dumps({"inputs": inputs}).encode()).rows == 1
    assert Form(made).filled([row], "Refuse", numbered=False).warnings == [[]]


def test_the_example_is_a_row_that_training_knew_with_nothing_missing_and_nothing_unusual() -> None:
    made = classifier_descriptor()
    known = golden_rows()[3]
    unusual = {**known, "inputs": {**known["inputs"], "tenure": 99.0}}
    missing = {**known, "inputs": {**known["inputs"], "contract": None}}
    golden = tuple(GoldenRow.model_validate(row) for row in (unusual, missing, known))
    assert example_row(made, golden) == known["inputs"]
    assert list(example_row(made, golden)) == ["tenure", "contract", "usage"]
    assert example_row(made, golden[:2]) == missing["inputs"]
    assert example_row(made, golden[:1]) == {"tenure": 12, "contract": "Month-to-month", "usage": [1, 0, -1]}


@pytest.mark.parametrize(
    ("spec", "schema"),
    [
        pytest.param(
            {"datatype": "FP32", "nullable": True, "minimum": 0, "maximum": 72, "example": 3},
            {
                "type": ["number", "null"],
                "x-seen-range": [0, 72],
                "description": "Training saw 0 to 72.",
                "examples": [3],
            },
            id="range",
        ),
        pytest.param({"datatype": "UINT8"}, {"type": "integer", "minimum": 0, "maximum": 255}, id="integers-have-limits"),
        pytest.param(
            {"datatype": "BYTES", "categories": ["m", "y"]},
            {"type": "string", "examples": ["m", "y"], "description": "Training saw m, y."},
            id="categories",
        ),
        pytest.param({"datatype": "BOOL"}, {"type": "boolean"}, id="bool"),
    ],
)
def test_a_value_is_described_by_type_and_by_what_training_saw(spec: dict[str, Any], schema: dict[str, Any]) -> None:
    made = descriptor({"name": "x", "shape": [-1, 1], **spec})
    assert value_schema(made.inputs[0]) == schema


GOLDEN = tuple(GoldenRow.model_validate(row) for row in golden_rows())


def endpoint(**changes: Any) -> Endpoint:
    return Endpoint(
        **{"model": "churn", "version": "churn-3", "descriptor": classifier_descriptor(), "golden": GOLDEN, **changes}
    )


def test_the_document_names_model_version_and_every_tensor() -> None:
    document = openapi_document(endpoint())
    assert document["info"]["title"] == "churn"
    assert document["info"]["version"] == "churn-3"
    operation = document["paths"]["/v2/models/churn/infer"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["inputs"]["items"]["oneOf"][0]["properties"]["shape"] == {
        "type": "array",
        "prefixItems": [{"type": "integer", "minimum": 1}, {"const": 1}],
        "items": False,
    }
    answered = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert [tensor["title"] for tensor in answered["properties"]["outputs"]["items"]["oneOf"]] == ["label", "probabilities"]
    assert set(operation["responses"]) == {"200", "400", "404", "413", "503", "504"}


def test_the_document_describes_a_row_by_its_columns() -> None:
    document = openapi_document(endpoint())
    row = document["components"]["schemas"]["Row"]
    assert row["required"] == ["usage"]
    assert row["properties"]["usage"] == {
        "type": "array",
        "minItems": 3,
        "maxItems": 3,
        "items": value_schema(classifier_descriptor().inputs[2]),
    }
    prediction = document["components"]["schemas"]["Prediction"]["properties"]
    assert set(prediction) == {"label", "probabilities", "warnings", "explanation"}
    assert set(prediction["probabilities"]["properties"]) == {"no", "yes"}


@pytest.mark.parametrize("path", ["/score", "/explain"])
def test_the_example_of_the_document_is_a_body_that_is_taken(path: str) -> None:
    body = openapi_document(endpoint())["paths"][path]["post"]["requestBody"]["content"]["application/json"]["example"]
    form = Form(classifier_descriptor())
    message = read_message(json.dumps(body).encode(), form.names)
    assert form.filled(message.rows, "Refuse").warnings == [[]]


def test_references_of_the_document_lead_somewhere() -> None:
    document = openapi_document(endpoint())
    found = re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(document))
    assert set(found) == set(document["components"]["schemas"])


@pytest.mark.parametrize(
    ("authentication", "scheme"),
    [
        ("ApiKey", {"key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"}}),
        ("Jwt", {"token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}}),
    ],
)
def test_the_document_says_which_credential_is_asked_for(authentication: str, scheme: dict[str, Any]) -> None:
    document = openapi_document(endpoint(access=Access(authentication)))
    assert document["components"]["securitySchemes"] == scheme
    assert document["security"] == [{name: [] for name in scheme}]
    assert "401" in document["paths"]["/score"]["post"]["responses"]


def test_nothing_is_said_of_explanations_where_there_is_nothing_to_explain_against() -> None:
    assert "/explain" not in openapi_document(endpoint(golden=()))["paths"]
    assert script_of(docs_page(endpoint(golden=())))["explain"] is None


def test_where_there_are_several_models_all_paths_name_theirs() -> None:
    assert "/models/churn/score" in openapi_document(endpoint(named=True))["paths"]
    page = docs_page(endpoint(named=True))
    assert script_of(page)["root"] == "../.."
    assert 'href="../../v2/models/churn"' in page
    assert '<a href="models/a%3Cb/docs">a&lt;b</a>' in list_page(["a<b", "churn"])


def test_the_page_says_how_to_come_in() -> None:
    page = docs_page(endpoint(access=Access("ApiKey", grpc_port=9000, tls=False)))
    assert "<code>X-Api-Key</code>" in page
    assert "grpcurl -plaintext HOST:9000 list" in page
    assert script_of(page)["header"] == "X-Api-Key"
    assert "grpcurl" not in docs_page(endpoint())


def test_the_page_has_a_control_for_each_column() -> None:
    assert script_of(docs_page(endpoint()))["columns"] == [
        {"name": "tenure", "kind": "number", "nullable": True, "categories": None, "hint": "0 to 72"},
        {"name": "contract", "kind": "text", "nullable": True, "categories": ["Month-to-month", "Two year"], "hint": ""},
        {"name": "usage", "kind": "list", "nullable": False, "categories": None, "hint": "-5 to 5"},
    ]


def test_texts_of_a_package_stay_texts_on_the_page() -> None:
    nasty = "</script><script>alert(1)</script>{% page %}"
    made = descriptor(
        {"name": nasty, "datatype": "BYTES", "shape": [-1], "categories": [nasty], "example": nasty},
        documentation=nasty,
        training={"framework": nasty, "rows": 7043, "metrics": {nasty: 0.84}},
    )
    page = docs_page(endpoint(descriptor=made, golden=()))
    assert page.count("<script") == 2
    assert "alert(1)</script>" not in page
    assert script_of(page)["example"] == {nasty: nasty}
    assert "7,043 rows" in page


def script_of(page: str) -> Any:
    """What the page's script works with."""
    return json.loads(page.split('<script type="application/json" id=page>')[1].split("</script>")[0])
