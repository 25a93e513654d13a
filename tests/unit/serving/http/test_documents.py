"""The OpenAPI document and the docs page: examples that the model takes, and texts that cannot break out."""

import json
from typing import Any

import pytest

from podium_crds.package import Descriptor
from podium_serving.http.docs import docs_page
from podium_serving.http.openapi import example_request, openapi_document, value_schema
from podium_serving.oip.codec import Codec


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
def test_the_example_has_one_row_that_the_codec_takes(spec: dict[str, Any], data: list[Any]) -> None:
    made = descriptor({"name": "x", **spec})
    example = example_request(made)
    assert example["inputs"][0]["data"] == data
    assert Codec(made).decode(json.dumps(example).encode()).rows == 1


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


def test_the_document_names_model_version_and_every_tensor() -> None:
    document = openapi_document(descriptor({"name": "x", "datatype": "FP32", "shape": [-1, 1]}), "churn", "churn-3")
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
    assert [tensor["title"] for tensor in answered["properties"]["outputs"]["items"]["oneOf"]] == ["label"]
    assert set(operation["responses"]) == {"200", "400", "404", "503", "504"}


def test_texts_of_a_package_stay_texts_on_the_page() -> None:
    nasty = "</script><script>alert(1)</script>{% page %}"
    made = descriptor(
        {"name": nasty, "datatype": "BYTES", "shape": [-1], "categories": [nasty], "example": nasty},
        documentation=nasty,
        training={"framework": nasty, "rows": 7043, "metrics": {nasty: 0.84}},
    )
    page = docs_page(made, "churn", "churn-3")
    assert page.count("<script") == 2
    assert "alert(1)</script>" not in page
    shown = page.split('<script type="application/json" id=page>')[1].split("</script>")[0]
    assert json.loads(shown)["example"]["inputs"][0]["data"] == [nasty]
    assert "7,043 rows" in page
